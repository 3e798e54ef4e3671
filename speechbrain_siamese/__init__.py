"""Siamese speaker verification from a folder of recordings, for SpeechBrain."""

__version__ = "0.1.0"
