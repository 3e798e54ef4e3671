"""An export on the hub: what goes there, and that it loads by its name."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial

import pytest
import soundfile
from huggingface_hub import ModelCard

from speechbrain_siamese.utils.push import push

TOLD = ["--language=ne", "--license=cc-by-4.0"]


@pytest.fixture
def export(trained, tmp_path):
    """A trained export, beside which somebody keeps a gallery."""
    folder = shutil.copytree(trained / "export", tmp_path / "export")
    (folder / "people.sqlite").write_bytes(b"voices of people")
    return folder


@pytest.fixture
def hub(hub_server):
    """Address of a stand-in for the hub, and what it keeps."""
    with hub_server.running() as found:
        yield found


@pytest.fixture
def python(hub, tmp_path):
    """``python(*arguments)`` in the folder of the test, on that hub."""

    def run(*arguments, **environment):
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=tmp_path,
            env={
                **os.environ,
                "HF_ENDPOINT": hub[0],
                "HF_HOME": str(tmp_path / "hf"),
                "HF_HUB_DISABLE_XET": "1",
                "HF_HUB_OFFLINE": "0",
                "HF_TOKEN": "hf_standin",
                **environment,
            },
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture
def siamese(python):
    """``siamese(*arguments)`` as a user types it, on that hub."""
    return partial(python, "-m", "speechbrain_siamese.command_line")


def test_what_is_pushed_loads_by_its_name(export, hub, siamese, tiny, tmp_path):
    done = siamese("push", *TOLD, "--dataset=sita/talks", export, "sita/voices")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{hub[0]}/sita/voices/commit/")
    kept = hub[1]["sita/voices"]
    left = {path.name for path in export.iterdir()} - {"people.sqlite"}
    assert set(kept) == left

    card = ModelCard(kept["README.md"].decode())
    assert card.data.language == ["ne"]
    assert card.data.license == "cc-by-4.0"
    assert card.data.datasets == ["sita/talks"]
    assert {result.metric_type for result in card.data.eval_results} == {
        "eer",
        "min_dcf_0.01",
    }
    assert 'from_hparams(source="sita/voices")' in card.text
    assert "must not be used for" in card.text

    first = tiny.write(tmp_path / "a.wav", tiny.voice(1, 5, 6.0))
    second = tiny.write(tmp_path / "b.wav", tiny.voice(1, 6, 6.0))
    scores = []
    for source, environment in (
        (export, {}),
        ("sita/voices", {}),
        # From the cache, without the hub.
        ("sita/voices", {"HF_HUB_OFFLINE": "1"}),
    ):
        done = siamese(
            *("verify", "--json", f"--source={source}", first, second),
            **environment,
        )
        assert done.returncode in (0, 1), done.stderr
        scores.append(json.loads(done.stdout)["score"])
    assert scores[0] == scores[1] == scores[2]


@pytest.mark.slow
def test_the_example_of_the_card_runs(
    export, hub, siamese, python, tiny, tmp_path
):
    assert siamese("push", *TOLD, export, "sita/voices").returncode == 0
    card = hub[1]["sita/voices"]["README.md"].decode()
    (example,) = re.findall(r"^```python\n(.*?)^```", card, re.M | re.S)
    for name in ("a.wav", "b.wav"):
        # At the model's rate: SpeechBrain's resampling is another one.
        sound = tiny.voice(1, ord(name[0]), 6.0)
        soundfile.write(tmp_path / name, sound, 16000)
    done = python("-c", f"{example}\nprint(score.item(), same.item())")
    assert done.returncode == 0, done.stderr
    score, same = done.stdout.split()[-2:]
    done = siamese("verify", "--json", "--source=sita/voices", "a.wav", "b.wav")
    told = json.loads(done.stdout)
    assert float(score) == pytest.approx(told["score"], abs=1e-4)
    assert (same == "True") == told["same"]


@pytest.mark.slow
def test_weights_go_by_lfs_and_once(export, hub, siamese):
    for name in ("sita/voices", "sita/again"):
        assert siamese("push", *TOLD, export, name).returncode == 0
    kept = hub[1]["sita/again"]
    assert kept == hub[1]["sita/voices"] | {"README.md": kept["README.md"]}
    for name in ("embedding_model.ckpt", "model.safetensors"):
        assert kept[name] == (export / name).read_bytes()


def test_names_stay_at_home_unless_told(export, hub, siamese):
    names = json.loads((export / "config.json").read_text())["speakers"]
    siamese("push", *TOLD, export, "sita/voices")
    for content in hub[1]["sita/voices"].values():
        assert not [name for name in names if name.encode() in content]
    siamese("push", *TOLD, "--keep-names", export, "sita/named")
    config = json.loads(hub[1]["sita/named"]["config.json"])
    assert config["speakers"] == names


def test_who_may_not_write_is_told(export, hub, siamese):
    done = siamese("push", *TOLD, export, "sita/voices", HF_TOKEN="hf_other")
    assert done.returncode == 2
    assert "the hub refuses sita/voices" in done.stderr
    assert "Traceback" not in done.stderr
    assert hub[1] == {}


def test_what_is_meant_to_be_private_is_not_published(export, hub, siamese):
    done = siamese("push", *TOLD, "--private", export, "sita/own")
    assert done.returncode == 0, done.stderr
    assert "README.md" in hub[1]["sita/own"]
    # Again: it is private already.
    done = siamese("push", *TOLD, "--private", export, "sita/own")
    assert done.returncode == 0, done.stderr
    hub[1]["sita/seen"] = {"notes.txt": b"everybody reads it"}
    done = siamese("push", *TOLD, "--private", export, "sita/seen")
    assert done.returncode == 2
    assert "everybody sees it" in done.stderr
    assert [*hub[1]["sita/seen"]] == ["notes.txt"]


@pytest.mark.slow
def test_no_file_of_an_earlier_export_stays(export, hub, siamese):
    hub[1]["sita/voices"] = {"notes.txt": b"of its owner"}
    done = siamese("push", *TOLD, "--keep-names", export, "sita/voices")
    assert done.returncode == 0, done.stderr
    assert "config.json" in hub[1]["sita/voices"]
    for name in ("config.json", "model.safetensors"):
        (export / name).unlink()
    done = siamese("push", *TOLD, export, "sita/voices")
    assert done.returncode == 0, done.stderr
    left = hub[1]["sita/voices"]
    assert not {"config.json", "model.safetensors"} & {*left}
    assert left["notes.txt"] == b"of its owner"


def test_a_card_that_the_hub_does_not_take_makes_no_repository(
    export, hub, siamese
):
    done = siamese(
        "push", "--language=ne", "--license=cc", export, "sita/voices"
    )
    assert done.returncode == 2
    assert "does not take the model card" in done.stderr
    assert "--license" in done.stderr
    assert hub[1] == {}


def test_a_hub_that_is_not_there_is_told(export, siamese):
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    done = siamese("push", *TOLD, export, "sita/voices", **nowhere)
    assert done.returncode == 2
    assert "the hub cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_no_export_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no hyperparams\.yaml"):
        push(tmp_path, "sita/voices", ["ne"], "mit")


@pytest.mark.parametrize(
    "name", ["voices", "sita/voices/v2", "sita/", "https://hub/sita", "sita/-a"]
)
def test_a_mistyped_name_is_not_called_a_failure_of_the_network(export, name):
    with pytest.raises(ValueError, match="is no name on the hub") as caught:
        push(export, name, ["ne"], "mit")
    assert "cannot be reached" not in str(caught.value)


@pytest.mark.parametrize(
    ("card", "found"),
    [
        (b"---\nlanguage: [ne\n---\nhello", "expected ',' or ']'"),
        (b"---\nabout: Voices: of Nepal\n---\n", "mapping values are not"),
        (b"---\n- ne\n---\nhello", "should be a dict"),
        (b"---\nlicense: mit\n---\nSit\xe1", "can't decode byte 0xe1"),
    ],
)
def test_a_card_that_cannot_be_read_is_told_in_one_line(tmp_path, card, found):
    (tmp_path / "hyperparams.yaml").touch()
    (tmp_path / "README.md").write_bytes(card)
    with pytest.raises(ValueError, match="is no model card") as caught:
        push(tmp_path, "sita/voices", ["ne"], "mit")
    told = str(caught.value)
    assert str(tmp_path / "README.md") in told and found in told
    assert "\n" not in told
