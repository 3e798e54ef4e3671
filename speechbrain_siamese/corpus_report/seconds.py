"""Where the seconds of a recording went."""

from __future__ import annotations

from dataclasses import astuple, dataclass

from speechbrain_siamese.dataio.clean_recording import (
    CleanRecording,
    Rejected,
)
from speechbrain_siamese.dataio.kept_speech import without
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
        The rest of a recording that is used.
    unusable : float
        All of one that is not.
    """

    raw: float
    kept: float
    ends: float
    excluded: float
    recurring: float
    silence: float
    unusable: float

    def __add__(self, other: Seconds) -> Seconds:
        """Seconds of both."""
        return Seconds(
            *(a + b for a, b in zip(astuple(self), astuple(other), strict=True))
        )


def seconds_of_recording(item: CleanRecording | Rejected) -> Seconds:
    """Tell where the seconds of a recording went.

    Arguments
    ---------
    item : CleanRecording or Rejected

    Returns
    -------
    Seconds
    """
    raw = item.raw_duration
    if isinstance(item, Rejected):
        return Seconds(raw, 0.0, 0.0, 0.0, 0.0, 0.0, unusable=raw)
    inside = [item.between]
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
        unusable=0.0,
    )


def _total(stretches) -> float:
    return sum(stop - start for start, stop in stretches)
