"""Siamese speaker verification from a folder of recordings, for SpeechBrain."""

from importlib.metadata import PackageNotFoundError, version

try:
    #: Of the git tag that it was built from.
    __version__ = version("speechbrain-siamese")
except PackageNotFoundError:
    __version__ = "not installed"
