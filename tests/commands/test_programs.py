"""``siamese`` as a program of its own: answers, exit codes, what it says."""

from __future__ import annotations

import json
import shutil

import pytest

from speechbrain_siamese.command_line import main


def test_as_a_program_of_its_own(program, clips):
    done = program("verify", "--json", clips["a1"], clips["a1"])
    assert done.returncode == 0, done.stderr
    # Nothing but the answer is on standard output.
    assert json.loads(done.stdout)["same"] is True


def test_a_person_from_enrolment_to_removal(program, clips, tmp_path):
    """What each program leaves is there for the next."""

    def answer(code, *arguments):
        done = program(*arguments)
        assert done.returncode == code, (arguments, done.stderr)
        assert "Traceback" not in done.stderr
        return json.loads(done.stdout)

    done = answer(0, "enroll", "--json", "सीता", clips["a1"])
    assert (done["name"], done["added"], done["refused"]) == ("सीता", 1, {})
    # Nobody is as alike as that: the answer is no.
    found = answer(1, "identify", "--json", "--threshold=99", clips["a2"])
    assert found["name"] is None
    assert [one["name"] for one in found["candidates"]] == ["सीता"]
    rttm = tmp_path / "talk.rttm"
    found = answer(0, "label", "--json", f"--output={rttm}", clips["a1"])
    assert len(found["segments"]) == len(rttm.read_text().splitlines()) > 0
    (person,) = answer(0, "gallery", "list", "--json")["people"]
    assert (person["name"], person["clips"]) == ("सीता", 1)
    assert answer(0, "gallery", "remove", "--json", "सीता") == {
        "removed": "सीता"
    }
    again = program("gallery", "remove", "--json", "सीता")
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr.startswith("Error: nobody called 'सीता' is enrolled")
    assert answer(0, "gallery", "list", "--json") == {"people": []}


@pytest.mark.slow
def test_every_command_as_a_program(program, clips, trained, tmp_path):
    trials = tmp_path / "trials.txt"
    trials.write_text("1 a1.wav a2.wav\n0 a1.wav b1.wav\n")
    folder = clips["a1"].rsplit("/", 1)[0]
    prepared = shutil.copytree(trained / "prepared", tmp_path / "prepared")
    vectors, onnx = tmp_path / "all.npz", tmp_path / "model.onnx"
    rttm, new = tmp_path / "talk.rttm", tmp_path / "new.sqlite"
    answers = [
        # Arguments, exit codes, and what is said.
        (["enroll", "A", clips["a1"]], {0}, "A: 1 new clips"),
        (["enroll", "B", clips["b1"]], {0}, "B: 1 new clips"),
        (["identify", clips["a2"]], {0, 1}, "a2.wav: "),
        (["gallery", "list"], {0}, "A: 1 clips"),
        (["gallery", "rename", "B", "C"], {0}, "B is now C"),
        (["gallery", "re-enroll", new], {0}, "2 people"),
        (["gallery", "remove", "C"], {0}, "C is removed"),
        (["changes", clips["a1"]], {0}, ""),
        (["label", f"--output={rttm}", clips["a1"]], {0}, "a1.wav:"),
        (["embed", f"--output={vectors}", clips["a1"]], {0}, "1 embeddings"),
        (["evaluate", f"--audio-folder={folder}", trials], {0}, "eer: "),
        (["export", f"--onnx={onnx}"], {0}, "written"),
        (["audit", prepared], {0}, "suspects.csv"),
        (["completion", "bash"], {0}, "_SIAMESE_COMPLETE"),
        (["verify", clips["a1"], "nothing.wav"], {2}, ""),
        # Their own tests tell what they do.
        (["push", "--language=ne", tmp_path, "sita/voices"], {2}, ""),
        (["demo", f"--source={tmp_path}"], {2}, ""),
    ]
    for arguments, codes, said in answers:
        done = program(*arguments)
        assert done.returncode in codes, (arguments, done.stderr)
        assert said in done.stdout, arguments
        assert "Traceback" not in done.stderr, arguments
    for path in (vectors, onnx, rttm, new):
        assert path.stat().st_size > 0
    untested = set(main.commands) - {answer[0][0] for answer in answers}
    assert not untested
