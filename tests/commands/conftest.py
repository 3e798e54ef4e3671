"""Run the command, in this process and as a program of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from speechbrain_siamese.command_line import main


@pytest.fixture(scope="module")
def clips(tiny, tmp_path_factory):
    """Files by the names of their voices."""
    folder = tmp_path_factory.mktemp("clips")
    return {
        f"{name}{take}": str(
            tiny.write(
                folder / f"{name}{take}.wav", tiny.voice(voice, take + 60, 8.0)
            )
        )
        for name, voice in (("a", 0), ("b", 7))
        for take in (1, 2)
    }


@pytest.fixture
def siamese(trained, tmp_path):
    """Run a command; gives exit code, standard output and errors."""

    def run(*arguments, source=trained / "export"):
        done = CliRunner().invoke(
            main,
            [str(argument) for argument in arguments],
            env={
                "SIAMESE_SOURCE": str(source),
                "SIAMESE_GALLERY": str(tmp_path / "people.sqlite"),
            },
            catch_exceptions=False,
        )
        return done.exit_code, done.stdout, done.stderr

    return run


@pytest.fixture
def program(trained, tiny, tmp_path):
    """Run a command as a program of its own."""

    def run(*arguments):
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "speechbrain_siamese.command_line",
                *(str(argument) for argument in arguments),
            ],
            env={
                **tiny.environment(),
                "SIAMESE_SOURCE": str(trained / "export"),
                "SIAMESE_GALLERY": str(tmp_path / "people.sqlite"),
            },
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run
