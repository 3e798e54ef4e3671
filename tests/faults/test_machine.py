"""The machine fails: each time a message in seconds, and nothing is lost.

What needs mounts is skipped where this user may not make any.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

SIAMESE = [sys.executable, "-m", "speechbrain_siamese.command_line"]
#: Never a hang: what takes longer fails the test.
SECONDS = 300


@pytest.fixture
def disk(tmp_path):
    """``disk(options)``: mount, or mount anew, a small disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mounted(options: str) -> Path:
        again = "remount," if os.path.ismount(folder) else ""
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", again + options, "none", folder],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            assert not again, done.stderr
            pytest.skip(f"this user may not mount: {done.stderr.strip()}")
        return folder

    yield mounted
    if os.path.ismount(folder):
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def run(tiny):
    """``run(command, seconds)``: exit code and all that it prints."""

    def done(command, seconds: float = SECONDS, **more) -> tuple[int, str]:
        found = subprocess.run(
            [str(part) for part in command],
            cwd=tiny.ROOT,
            env={**tiny.environment(), **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
        )
        return found.returncode, found.stdout

    return done


@pytest.fixture(scope="module")
def prepared(tiny, tiny_data, tmp_path_factory) -> Path:
    """Output folder of a model of the smallest size."""
    output = tmp_path_factory.mktemp("small") / "output"
    done = tiny.train(output, tiny_data, **tiny.SMALL)
    assert done.returncode == 0, done.stderr[-3000:]
    return output


@pytest.fixture
def training(tiny, tiny_data, prepared):
    """``training(output, **settings)``: the command, without preparation."""

    def command(output, **settings):
        shared = {"prepared_folder": prepared / "prepared", "skip_prep": True}
        return tiny.command(
            output, tiny_data, **{**tiny.SMALL, **shared, **settings}
        )

    return command


def weights(output: Path) -> bytes:
    """Of the exported encoder."""
    return (output / "export" / "embedding_model.ckpt").read_bytes()


def enroll(export, gallery, *files):
    """The command that adds a person."""
    options = [f"--source={export}", f"--gallery={gallery}", "--keep-audio"]
    return [*SIAMESE, "enroll", *options, "Sita", *files]


@pytest.mark.fault(
    "disk full in training",
    "told in words; the same command goes on and ends with the same weights",
    kept=True,
)
@pytest.mark.slow
def test_training_on_a_full_disk_ends_with_words_and_goes_on(
    disk, run, training, prepared
):
    output = disk("size=300k") / "output"
    code, told = run(training(output))
    assert code == 1
    assert "cannot write the checkpoint" in told, told[-3000:]
    assert "give the same command again" in told
    assert not (output / "export").exists()
    disk("size=100m")
    code, told = run(training(output))
    assert code == 0, told[-3000:]
    assert weights(output) == weights(prepared)
    assert not [*output.rglob("*.partial")]


@pytest.mark.fault(
    "disk full in the export",
    "told in words; the older export stays whole",
    kept=True,
)
@pytest.mark.slow
def test_export_on_a_full_disk_leaves_the_older_one(
    disk, run, training, prepared
):
    folder = disk("size=100m")
    output = shutil.copytree(prepared, folder / "output")
    shutil.rmtree(output / "prepared")
    before = weights(output)
    # A disk in memory gives out whole pages.
    used = sum(
        -(-path.stat().st_size // 4096) * 4096
        for path in folder.rglob("*")
        if path.is_file()
    )
    # The pictures are written anew in place of the old ones.
    disk(f"size={used + 200_000}")
    code, told = run(training(output))
    assert code == 1, told[-3000:]
    assert "No space left on device" in told or "cannot write" in told
    assert weights(output) == before
    assert not [*output.rglob("*.partial")]
    disk("size=100m")
    code, told = run(training(output))
    assert code == 0, told[-3000:]
    assert weights(output) == before


@pytest.mark.fault("read-only file system for the output", "told in words")
@pytest.mark.slow
def test_training_into_a_read_only_folder_ends_with_words(disk, run, training):
    output = disk("size=1m,ro") / "output"
    code, told = run(training(output), 120)
    assert code == 1
    assert "Read-only file system" in told, told[-2000:]


@pytest.mark.fault(
    "disk full in enrolment",
    "told in words; the gallery is the same, byte for byte",
    kept=True,
)
def test_gallery_without_room_keeps_what_it_has(disk, run, trained, tiny_data):
    folder = disk("size=1m")
    export, gallery = trained / "export", folder / "people.sqlite"
    clips = sorted(tiny_data.glob("voice[01]/*"))
    code, told = run(enroll(export, gallery, clips[0]))
    assert code == 0, told
    before = gallery.read_bytes()
    code, told = run(enroll(export, gallery, *clips[1:]))
    assert code == 2
    assert "people.sqlite cannot be used as a gallery" in told, told
    assert "full" in told
    assert gallery.read_bytes() == before
    assert [found.name for found in folder.iterdir()] == [gallery.name]


@pytest.mark.fault(
    "read-only gallery", "answers; refuses to enrol in words", kept=True
)
@pytest.mark.slow
def test_gallery_that_is_read_only_answers_and_says_so(
    disk, run, trained, tiny_data
):
    folder = disk("size=10m")
    export, gallery = trained / "export", folder / "people.sqlite"
    clips = sorted(tiny_data.glob("voice0/*"))
    assert run(enroll(export, gallery, clips[0]))[0] == 0
    before = gallery.read_bytes()
    disk("size=10m,ro")
    code, told = run(enroll(export, gallery, clips[1]))
    assert code == 2
    assert "readonly" in told or "read-only" in told, told
    assert gallery.read_bytes() == before
    options = [f"--source={export}", f"--gallery={gallery}"]
    code, told = run([*SIAMESE, "identify", *options, clips[0]])
    assert code in (0, 1), told
    assert "Sita" in told


@pytest.mark.fault(
    "disk full in evaluation",
    "told in words; ends well once there is room",
)
@pytest.mark.slow
def test_evaluation_without_room_ends_with_words(disk, run, tiny, prepared):
    folder = disk("size=100k")
    command = tiny.evaluation(prepared / "export", folder)
    code, told = run(command)
    assert code == 1
    assert "No space left on device" in told, told[-2000:]
    assert not [*folder.rglob("*.partial")]
    disk("size=100m")
    code, told = run(command)
    assert code == 0, told[-2000:]


@pytest.mark.fault("output that may not be written", "told in words")
@pytest.mark.slow
def test_output_that_may_not_be_written_is_told(
    run, training, trained, tiny_data, tmp_path
):
    """A file where a folder is expected holds back even root."""
    (tmp_path / "file").write_text("not a folder")
    code, told = run(training(tmp_path / "file" / "output"), 120)
    assert code == 1
    assert "Not a directory" in told, told[-2000:]
    clip = next(iter(tiny_data.glob("voice0/*")))
    gallery = tmp_path / "file" / "people.sqlite"
    code, told = run(enroll(trained / "export", gallery, clip), 120)
    assert code == 2
    assert str(tmp_path / "file") in told
    assert "Traceback" not in told
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    if os.access(closed, os.W_OK):
        pytest.skip("the rest: this user may write everywhere")
    code, told = run(training(closed / "output"), 120)
    assert code == 1
    assert "Permission denied" in told


@pytest.mark.fault(
    "clock jumps: checkpoints of tomorrow, audio of 1970",
    "goes on from the newest checkpoint",
)
@pytest.mark.slow
def test_training_goes_on_whatever_the_times_of_files_are(
    run, tiny, tiny_data, prepared, tmp_path
):
    """As after a copy of the folder, or with a clock that was wrong.

    Checkpoints from tomorrow must not outlive newer ones, audio from 1970 is
    no other data, and cleaned audio that vanished is made again.
    """
    output = shutil.copytree(prepared, tmp_path / "output")
    for name in ("metrics.json", "train_log.txt"):
        (output / name).unlink()
    for note in output.glob("save/CKPT*/CKPT.yaml"):
        meta = yaml.safe_load(note.read_text())
        meta["unixtime"] += 86_400
        note.write_text(yaml.safe_dump(meta))
    next(iter(output.glob("prepared/clean/*/*.wav"))).unlink()
    for number, path in enumerate(sorted(output.rglob("*"))):
        seconds = 0 if number % 2 else 4_000_000_000
        os.utime(path, (seconds, seconds))
    settings = {**tiny.SMALL, "number_of_epochs": 3}
    again = output, tmp_path / "undisturbed"
    for folder in again:
        code, told = run(tiny.command(folder, tiny_data, **settings))
        assert code == 0, told[-3000:]
        if folder == output:
            assert "Going into epoch 3" in told
            assert "Going into epoch 2" not in told
    epochs = [
        yaml.safe_load(note.read_text())["epoch"]
        for note in output.glob("save/CKPT*/CKPT.yaml")
    ]
    assert 3 in epochs


@pytest.mark.fault(
    "cleaned audio vanishes in training",
    "the file is named; the same command makes it again",
)
@pytest.mark.slow
def test_cleaned_audio_that_vanishes_in_training_is_named(
    run, tiny, tiny_data, prepared, tmp_path
):
    output = tmp_path / "output"
    kept = shutil.copytree(prepared / "prepared", output / "prepared")
    gone = [*kept.glob("clean/*/*.wav")]
    settings = {**tiny.SMALL, "steps_per_epoch": 400}
    process, told = begun(tiny, tiny.command(output, tiny_data, **settings))
    for path in gone:
        path.unlink()
    assert process.wait(SECONDS) == 1
    text = told.read_text(errors="replace")
    assert any(str(path) in text for path in gone), text[-2000:]
    code, text = run(tiny.command(output, tiny_data, **tiny.SMALL))
    assert code == 0, text[-3000:]


def begun(tiny, command, **more) -> tuple[subprocess.Popen, Path]:
    """A training in its first epoch, and what it prints."""
    output = next(p for p in command if p.startswith("--output_folder="))
    log = Path(f"{output.partition('=')[2]}.console.txt")
    with open(log, "w") as console:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=tiny.ROOT,
            env={**tiny.environment(), **more},
            stdout=console,
            stderr=console,
        )
    limit = time.monotonic() + SECONDS
    while not re.search(r" [1-9]\d*/\d+ \[", log.read_text(errors="replace")):
        assert process.poll() is None, log.read_text(errors="replace")[-3000:]
        assert time.monotonic() < limit, "it hangs"
        time.sleep(0.05)
    return process, log


def descendants(process: int) -> list[int]:
    """Processes that a process started, and those that they started."""
    path = Path(f"/proc/{process}/task/{process}/children")
    found = [int(one) for one in path.read_text().split()]
    return [*found, *(one for child in found for one in descendants(child))]


@pytest.mark.fault(
    "worker of the data loader killed, as without memory",
    "ends within a minute; the same command goes on to the same weights",
    kept=True,
)
@pytest.mark.slow
def test_killed_worker_of_the_loader_ends_the_training_at_once(
    tiny, run, training, prepared, tmp_path
):
    """As the system does to one when memory runs out."""
    output = tmp_path / "output"
    process, log = begun(
        tiny, training(output, num_workers=1, steps_per_epoch=2000)
    )
    (worker,) = (
        child
        for child in descendants(process.pid)
        if b"train.py" in Path(f"/proc/{child}/cmdline").read_bytes()
    )
    os.kill(worker, signal.SIGKILL)
    assert process.wait(60) == 1
    assert "is killed by signal" in log.read_text(errors="replace")
    code, told = run(training(output, num_workers=1))
    assert code == 0, told[-3000:]
    assert weights(output) == weights(prepared)


def by_two(command) -> list:
    """The command of a training, by two processes."""
    python, *arguments = command
    torchrun = ["-m", "torch.distributed.run", "--standalone"]
    torchrun += ["--nproc_per_node=2"]
    return [python, *torchrun, *arguments, "--distributed_backend=gloo"]


def trainers(launcher: int) -> dict[int, int]:
    """Process of each rank that torchrun started."""
    found = {}
    for child in descendants(launcher):
        folder = Path(f"/proc/{child}")
        if b"train.py" in (folder / "cmdline").read_bytes():
            rank = re.search(
                rb"\0LOCAL_RANK=(\d+)\0", (folder / "environ").read_bytes()
            )
            # The first is nearest to torchrun: a worker inherits its rank.
            if rank:
                found.setdefault(int(rank[1]), child)
    return found


@pytest.mark.fault(
    "one of two training processes killed",
    "all end within 90 s",
)
@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_killed_rank_ends_all_of_them_at_once(tiny, training, tmp_path, rank):
    """The first, which the other waits for and writes for both, and not."""
    output = tmp_path / "output"
    process, log = begun(tiny, by_two(training(output, steps_per_epoch=2000)))
    ranks = trainers(process.pid)
    assert ranks.keys() == {0, 1}
    os.kill(ranks[rank], signal.SIGKILL)
    assert process.wait(90) == 1
    text = log.read_text(errors="replace")
    assert "Signal 9 (SIGKILL)" in text, text[-3000:]
    for one in ranks.values():
        assert not Path(f"/proc/{one}").exists()


@pytest.mark.fault(
    "preparation refuses, and another process waits for it",
    "both end within 90 s, with the reason",
)
@pytest.mark.slow
def test_refusal_of_the_preparation_ends_who_waits_for_it(run, tiny, tmp_path):
    """The other would wait for as long as a preparation may take: hours."""
    (tmp_path / "recordings" / "sita").mkdir(parents=True)
    command = by_two(tiny.command(tmp_path / "output", tmp_path / "recordings"))
    code, told = run(command, 90)
    assert code == 1
    assert "no recordings" in told, told[-3000:]


@pytest.mark.fault(
    "/dev/shm full, or not to be written",
    "the same weights, or an error that names it",
    kept=True,
)
@pytest.mark.slow
@pytest.mark.parametrize("shared", ["size=4k", "size=1m,ro"])
def test_no_room_in_shared_memory(
    run, tiny, tiny_data, prepared, tmp_path, shared
):
    """``/dev/shm`` of a container: full, or not to be written.

    It ends as ever, or with an error that names shared memory.
    """
    mounts = f"mount -t tmpfs -o {shared} none /dev/shm && exec " + '"$@"'
    unshare = ["unshare", "--mount", "sh", "-c", mounts, "sh"]
    code, told = run([*unshare, "true"])
    if code:
        pytest.skip(f"this user may not mount: {told.strip()}")
    output = tmp_path / "output"
    command = tiny.command(
        output, tiny_data, **{**tiny.SMALL, "n_jobs": 2, "num_workers": 1}
    )
    code, told = run([*unshare, *command])
    if code:
        assert code == 1
        assert "shared memory" in told or "/dev/shm" in told, told[-3000:]
        code, told = run(command)
        assert code == 0, told[-3000:]
    assert weights(output) == weights(prepared)
