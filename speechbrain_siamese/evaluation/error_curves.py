"""Pictures of both errors at every threshold: DET and ROC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import norm
from sklearn.metrics import roc_curve

from speechbrain_siamese.utils.intervals import bootstrap_band
from speechbrain_siamese.utils.metrics import checked_trials, crossing
from speechbrain_siamese.utils.plots import (
    COLOURS,
    LINES,
    MARKERS,
    dress,
    legend_below,
)

#: Ticks of a DET curve, in percent; an axis begins and ends at one of them.
DET_TICKS = (0.01, 0.1, 0.5, 1, 2, 5, 10, 20, 40, 60, 80, 90, 95, 99)

#: The rates 0 and 1 have no finite deviate: they are taken for these.
NEXT_TO_0_AND_1 = (1e-9, 1 - 1e-9)

#: Rates of a band: even steps of the normal deviate, and both ends.
BAND_RATES = np.concatenate(
    [[0.0], norm.cdf(np.linspace(-3.2, 3.2, 129)), [1.0]]
)


@dataclass(frozen=True)
class ErrorCurve:
    """Both error rates of a system at every threshold.

    Arguments
    ---------
    name : str
        Of the system.
    far : np.ndarray
        False acceptance rate from accepting nothing to all, 0 to 1,
        (points,).
    frr : np.ndarray
        False rejection rate at the same points, 0 to 1, (points,).
    band : tuple of np.ndarray or None
        False acceptance rates, and low and high end of the 95 % interval of
        the false rejection rate there, each (rates,).
    """

    name: str
    far: np.ndarray
    frr: np.ndarray
    band: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    @property
    def eer(self) -> float:
        """Equal error rate, 0 to 1."""
        return crossing(self.far, self.frr)[0]


def error_curve(
    name: str,
    scores: np.ndarray,
    labels: np.ndarray,
    speakers: tuple[np.ndarray, np.ndarray] | None = None,
) -> ErrorCurve:
    """Error rates of a trial list.

    Arguments
    ---------
    name : str
        Of the system.
    scores : np.ndarray
        Scores, higher is more alike, (trials,).
    labels : np.ndarray
        1 same speaker, 0 different, (trials,).
    speakers : tuple of np.ndarray
        Speaker ids of the first and of the second side of each trial,
        (trials,) each, for a band by resampling speakers. No band without.

    Returns
    -------
    ErrorCurve
        Without the points on a straight line between their neighbours.

    Raises
    ------
    ValueError
        If the trials are unusable or labels contradict the speaker ids.

    Example
    -------
    >>> error_curve("ours", [0.9, 0.6, 0.4, 0.1], [1, 0, 1, 0]).eer
    0.5
    """
    scores, labels = checked_trials(scores, labels)
    far, hit_rate, _ = roc_curve(labels, scores)
    band = None
    if speakers is not None:
        low, high = bootstrap_band(scores, labels, *speakers, BAND_RATES)
        band = (BAND_RATES, low, high)
    return ErrorCurve(name, far, 1 - hit_rate, band)


def plot_det(curves: Sequence[ErrorCurve]) -> Figure:
    """Draw false rejections over false acceptances, on normal deviates.

    There a system with normally distributed scores is a straight line
    (Martin et al. 1997, "The DET curve in assessment of detection task
    performance"). A curve leaves the picture where a rate falls below what
    the trials can tell; an EER of 0 is marked in the corner.

    Arguments
    ---------
    curves : Sequence[ErrorCurve]
        The band is drawn for the first.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there is no curve.

    Example
    -------
    >>> curve = error_curve("ours", [0.9, 0.6, 0.4, 0.1], [1, 0, 1, 0])
    >>> len(plot_det([curve]).axes)
    1
    """
    _check_any(curves)
    low, high = _det_limits(curves)
    figure = Figure(figsize=(5.8, 6.2), layout="constrained")
    axes = figure.add_subplot()

    def deviate(rate):
        return norm.ppf(np.clip(rate, *NEXT_TO_0_AND_1))

    ticks = [t for t in DET_TICKS if low <= t / 100 <= high]
    places = norm.ppf(np.array(ticks) / 100)
    names = [f"{tick:g}" for tick in ticks]
    limits = (places[0], places[-1])
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    handles = _draw(axes, curves, deviate, deviate)
    axes.set_xticks(places, names)
    axes.set_yticks(places, names)
    axes.set_xlabel("false acceptance rate (percent)")
    axes.set_ylabel("false rejection rate (percent)")
    dress(axes)
    legend_below(figure, *handles)
    return figure


def plot_roc(curves: Sequence[ErrorCurve]) -> Figure:
    """Draw accepted same-speaker trials over false acceptances.

    Good systems hug the corner: it is drawn a second time, larger.

    Arguments
    ---------
    curves : Sequence[ErrorCurve]
        The band is drawn for the first.

    Returns
    -------
    Figure
        With second axes inside the first if every EER is below 15 %.

    Raises
    ------
    ValueError
        If there is no curve.

    Example
    -------
    >>> curve = error_curve("ours", [0.9, 0.6, 0.4, 0.1], [1, 0, 1, 0])
    >>> figure = plot_roc([curve])
    """
    _check_any(curves)
    figure = Figure(figsize=(5.8, 6.2), layout="constrained")
    axes = figure.add_subplot()
    axes.axline((0, 0), slope=1, color="0.6", linewidth=0.8)

    def far_percent(rate):
        return 100 * rate

    def hit_percent(rate):
        return 100 - 100 * rate

    axes.set(xlim=(-1, 101), ylim=(-1, 101), aspect="equal")
    handles = _draw(axes, curves, far_percent, hit_percent)
    axes.set_xlabel("false acceptance rate (percent)")
    axes.set_ylabel("accepted same-speaker trials (percent)")
    dress(axes)
    worst = max(curve.eer for curve in curves)
    if worst < 0.15:
        corner = axes.inset_axes([0.36, 0.12, 0.6, 0.6])
        side = max(1.0, 250 * worst)
        room = side / 50
        corner.set(xlim=(-room, side), ylim=(100 - side, 100 + room))
        _draw(corner, curves, far_percent, hit_percent)
        corner.set_title(
            "the upper left corner, larger",
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
        corner.tick_params(labelsize=8)
        corner.grid(alpha=0.3)
    legend_below(figure, *handles)
    return figure


def _check_any(curves):
    if not curves:
        raise ValueError(
            "found no curve, expected at least one: make it with error_curve"
        )


def _draw(axes: Axes, curves, across, up) -> tuple[list, list[str]]:
    """Draw curves on axes with limits; two functions tell place from rate.

    Returns the artists of each curve, and its name for the legend.
    """
    handles, names = [], []
    if curves[0].band is not None:
        rates, low, high = curves[0].band
        shade = axes.fill_between(
            across(rates), up(low), up(high), color=COLOURS[0], alpha=0.2, lw=0
        )
        handles.append(shade)
        names.append(f"95 % interval of {curves[0].name}")
    for number, curve in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        (line,) = axes.plot(
            across(curve.far),
            up(curve.frr),
            color=colour,
            linestyle=LINES[number % len(LINES)],
            linewidth=1.6,
        )
        rate = np.array([curve.eer])
        (point,) = axes.plot(
            np.clip(across(rate), *axes.get_xlim()),
            np.clip(up(rate), *axes.get_ylim()),
            color=colour,
            linestyle="none",
            marker=MARKERS[number % len(MARKERS)],
            markersize=8,
            markeredgecolor="white",
            zorder=3,
            clip_on=False,
        )
        handles.insert(number, (line, point))
        names.insert(number, f"{curve.name}: EER {100 * curve.eer:.1f} %")
    return handles, names


def _det_limits(curves) -> tuple[float, float]:
    """Rates at which the axes begin and end: ticks that hold what counts."""
    ticks = np.array(DET_TICKS) / 100
    rates = np.concatenate([[c.far, c.frr] for c in curves], axis=None)
    # Below its smallest rate above 0 a trial list can't tell anything.
    smallest = rates[rates > 0].min()
    eers = [curve.eer for curve in curves]
    # 0.1 % is usual; lower only for a system which is that good.
    wanted = max(smallest, min(0.001, min(eers) / 2))
    first = max(0, np.searchsorted(ticks, wanted, side="right") - 1)
    widest = max(0.4, 2 * max(eers))
    last = min(len(ticks) - 1, np.searchsorted(ticks, widest))
    return float(min(ticks[first], 0.05)), float(ticks[last])
