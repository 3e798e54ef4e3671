"""What a night's log says of a long job."""

from __future__ import annotations

import logging

from speechbrain_siamese.utils import progress


def test_log_tells_recordings_hours_and_the_time_left(caplog, monkeypatch):
    clock = iter([0.0, 30.0, 60.0, 90.0, 120.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    done = [(1, 3600.0), (0, 1800.0), (3, 0.0), (2, 1800.0)]
    with caplog.at_level(logging.INFO):
        found = list(
            progress.show_progress(done, [1, 1, 1, 1], float, "Cleaning")
        )
    assert found == done
    assert caplog.messages == [
        "Cleaning: 2 of 4 recordings, 1.5 h of audio done, about 01:00 left",
        "Cleaning: 4 of 4 recordings, 2.0 h of audio done, about 00:00 left",
    ]


def test_nothing_is_said_unless_wanted(caplog, monkeypatch):
    monkeypatch.setattr(progress, "LOG_EVERY", 0.0)
    with caplog.at_level(logging.INFO):
        list(progress.show_progress([(0, 1.0)], [5], float, "Cleaning", False))
    assert not caplog.messages
