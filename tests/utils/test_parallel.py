"""Tasks are done by several processes, and again where one was killed."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter

import pytest
from joblib import register_parallel_backend
from joblib.parallel import ThreadingBackend

from speechbrain_siamese.utils.parallel import run_each


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_every_item_has_its_result(n_jobs):
    found = dict(run_each(abs, [-3, 2, -1], n_jobs))
    assert found == {0: 3, 1: 2, 2: 1}


def test_nothing_to_do_gives_nothing():
    assert list(run_each(abs, [], 2)) == []


def test_results_come_as_they_are_done(tmp_path):
    """The first item is not done before the second's result is here."""

    def wait_for_the_other(item):
        stop = time.monotonic() + 60
        while item == "first" and not (tmp_path / "second").exists():
            if time.monotonic() > stop:
                return "held back"
            time.sleep(0.01)
        return item

    found = []
    for _, result in run_each(wait_for_the_other, ["first", "second"], 2):
        found.append(result)
        (tmp_path / result).touch()
    assert found == ["second", "first"]


def test_task_of_a_killed_worker_is_done_again_and_no_result_is_lost(tmp_path):
    def die_once(item):
        with open(tmp_path / "calls", "a") as file:
            file.write(f"{item}\n")
        if item == 5 and not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return item * item

    found = list(run_each(die_once, range(20), 2))
    assert Counter(position for position, _ in found) == Counter(range(20))
    assert all(result == position**2 for position, result in found)
    calls = Counter((tmp_path / "calls").read_text().split())
    assert calls["5"] == 2
    # What was done before stays done: at most what was under way is repeated.
    assert sum(calls.values()) <= 20 + 4


def test_item_that_always_kills_its_worker_is_told_and_the_rest_is_done():
    def die(item):
        if item == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return "done"

    found = dict(run_each(die, range(8), 2, lost=lambda item: f"lost {item}"))
    assert found.pop(3) == "lost 3"
    assert found == dict.fromkeys({*range(8)} - {3}, "done")


def test_error_of_the_function_itself_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(run_each(lambda item: 1 / item, [1, 0], 2))


@pytest.mark.parametrize(
    "backend", [{"backend": "hamsters"}, {"backend": "dask"}, {"colour": "red"}]
)
def test_backend_that_joblib_cannot_use_is_told(backend):
    with pytest.raises(ValueError, match=r"cannot use the backend"):
        list(run_each(abs, [1], 2, backend))


def test_backend_that_hands_over_all_at_the_end_is_enough():
    """As Ray's, which joblib knows once ``register_ray`` has been called."""

    class AtTheEnd(ThreadingBackend):
        supports_return_generator = False

    register_parallel_backend("at_the_end", AtTheEnd)
    found = dict(run_each(abs, [-3, 2, -1], 2, {"backend": "at_the_end"}))
    assert found == {0: 3, 1: 2, 2: 1}
