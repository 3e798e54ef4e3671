"""Where the seconds of a recording went."""

from __future__ import annotations

from dataclasses import dataclass

from speechbrain_siamese.dataio.clean_recording import CleanRecording, without
from speechbrain_siamese.dataio.cleaning import CleaningSettings
from speechbrain_siamese.dataio.recordings import EXCLUDED, RECURS


@dataclass(frozen=True)
class Seconds:
    """Seconds of a recording; all but ``raw`` add up to it.

    Arguments
    ---------
    raw : float
    kept : float
    ends : float
        Cut at both ends.
    excluded : float
        Not wanted by the user, between the ends.
    recurring : float
        Cut since it recurs, beside what is excluded.
    silence : float
        The rest.
    """

    raw: float
    kept: float
    ends: float
    excluded: float
    recurring: float
    silence: float


def seconds_of_recording(
    item: CleanRecording, settings: CleaningSettings
) -> Seconds:
    """Tell where the seconds of a recording went.

    Arguments
    ---------
    item : CleanRecording
    settings : CleaningSettings
        As it was cleaned.

    Returns
    -------
    Seconds
    """
    raw = item.raw_duration
    inside = [(settings.trim_start, raw - settings.trim_end)]
    # Whatever overlaps counts once; what the user says counts first.
    left = [_total(inside)]
    for why in (EXCLUDED, RECURS):
        cuts = [(c.start, c.stop) for c in item.recording.cut if c.why == why]
        inside = without(inside, cuts, 0.0)
        left.append(_total(inside))
    return Seconds(
        raw=raw,
        kept=item.duration,
        ends=raw - left[0],
        excluded=left[0] - left[1],
        recurring=left[1] - left[2],
        silence=left[2] - item.duration,
    )


def _total(stretches) -> float:
    return sum(stop - start for start, stop in stretches)
