"""The evaluation as one page that can be sent to a colleague.

Tables, pictures and sound are inside the page: it asks the network for
nothing, and any browser, phone or printer shows it.
"""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Mapping
from numbers import Integral
from pathlib import Path

from speechbrain.utils.logger import get_logger

from speechbrain_siamese.pages import render_page
from speechbrain_siamese.utils.whole_file import whole_text

logger = get_logger(__name__)

#: Shares from 0 to 1 that people know as percent.
PERCENT = {"accepted", "accuracy", "eer", "precision", "recall"}

#: Short head of each figure's column, and what the figure is.
FIGURES = {
    "eer": (
        "EER",
        "Equal error rate: the share of wrong decisions where as many same "
        "speakers are rejected as different ones accepted; 0 % is perfect, "
        "50 % is guessing.",
    ),
    "eer_interval": (
        "EER, 95 % interval",
        "Where the equal error rate lies in 95 of 100 draws of other "
        "speakers: two systems with intervals far into each other may be "
        "equally good.",
    ),
    "min_dcf_0.01": (
        "minDCF 0.01",
        "Least detection cost at any threshold if one trial in a hundred is "
        "of the same speaker; 0 is perfect, 1 is no better than always "
        "giving the same answer.",
    ),
    "min_dcf_0.05": (
        "minDCF 0.05",
        "Least detection cost at any threshold if one trial in twenty is of "
        "the same speaker; 0 is perfect, 1 is no better than always giving "
        "the same answer.",
    ),
    "cllr": (
        "Cllr",
        "Cost in bits of the log-likelihood ratios as they are given: 0 is "
        "perfect, 1 is knowing nothing, more is misleading.",
    ),
    "min_cllr": (
        "min Cllr",
        "What Cllr would be if the scores were calibrated perfectly; the "
        "difference is what poor calibration costs.",
    ),
    "calibration_error": (
        "calibration error",
        "Mean difference between the probability that was promised and the "
        "share that came true, at prior 0.5; 0 is perfect.",
    ),
    "auc": (
        "AUC",
        "Area under the ROC curve: the chance that a same-speaker trial "
        "scores above a different-speaker one; 1 is perfect, 0.5 is guessing.",
    ),
    "threshold": ("threshold", "A trial is accepted if its score is above it."),
    "threshold_from": (
        "threshold from",
        "The trials on which the threshold was chosen.",
    ),
    "accuracy": (
        "accuracy",
        "Share of decisions that are right, at the threshold.",
    ),
    "precision": (
        "precision",
        "Share of the answers “yes” that are right, at the threshold.",
    ),
    "recall": (
        "recall",
        "Share of those to be found that were answered “yes”, at the "
        "threshold.",
    ),
    "f1": (
        "F1",
        "Harmonic mean of precision and recall, at the threshold; 1 is "
        "perfect.",
    ),
    "distance_similar": (
        "distance, same",
        "Mean Euclidean distance of the unit-length embeddings of one "
        "speaker, 0 to 2; low is good.",
    ),
    "distance_dissimilar": (
        "distance, different",
        "Mean Euclidean distance of the unit-length embeddings of different "
        "speakers, 0 to 2; high is good.",
    ),
    "trials_similar": (
        "trials, same",
        "Number of trials whose two sides are of one speaker.",
    ),
    "trials_dissimilar": (
        "trials, different",
        "Number of trials whose two sides are of different speakers.",
    ),
    "speakers": ("speakers", "Number of speakers in the trials."),
    "rand": (
        "Rand",
        "Share of the pairs of clips that are rightly together or rightly "
        "apart; 1 is perfect.",
    ),
    "adjusted_rand": (
        "adjusted Rand",
        "Rand index corrected for chance: 1 is perfect, 0 is what random "
        "labels get.",
    ),
    "mutual_information": (
        "mutual information",
        "What the clusters tell about the speakers, in nats; high is good.",
    ),
    "adjusted_mutual_information": (
        "adjusted MI",
        "Mutual information corrected for chance: 1 is perfect, 0 is what "
        "random labels get.",
    ),
    "clusters": ("clusters", "As many as there are speakers."),
    "utterances": ("utterances", "Number of clips that were clustered."),
    "clips": ("clips", "Number of joined clips."),
    "accepted": (
        "accepted",
        "Share of the trials of these two speakers that was accepted, at the "
        "threshold; 0 % is perfect.",
    ),
    "trials": ("trials", "Number of trials of these two speakers."),
}

#: Head of each kind of error, and what it is.
ERRORS = {
    "false accept": (
        "False accepts",
        "Two speakers, taken for one: the score is above the threshold.",
    ),
    "false reject": (
        "False rejects",
        "One speaker, taken for two: the score is not above the threshold.",
    ),
}


def column_head(key: str) -> str:
    """Short head of a figure's column.

    Arguments
    ---------
    key : str
        As in ``metrics.json``.

    Returns
    -------
    str
        For a figure that is not in ``FIGURES`` the key in words.

    Example
    -------
    >>> column_head("min_dcf_0.01"), column_head("clips_used")
    ('minDCF 0.01', 'clips used')
    """
    return FIGURES[key][0] if key in FIGURES else key.replace("_", " ")


def shown(key: str, value: float | int | str | list | tuple | None) -> str:
    """Write a figure as people read it.

    Arguments
    ---------
    key : str
        Name of the figure: decides between percent and plain.
    value : float, int, str, list or None
        A list holds the two ends of an interval.

    Returns
    -------
    str
        Shares in ``PERCENT`` with one decimal, other floats with three,
        counts with separators, a dash for None, text as it is.

    Example
    -------
    >>> shown("eer_interval", [0.1086, 0.208]), shown("cllr", 0.45678)
    ('10.9 to 20.8 %', '0.457')
    >>> shown("trials_similar", 12345), shown("auc", None)
    ('12,345', '–')
    """
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    percent = key.removesuffix("_interval") in PERCENT
    values = value if isinstance(value, (list, tuple)) else [value]
    text = " to ".join(_number(each, percent) for each in values)
    return f"{text} %" if percent else text


def _number(value, percent):
    if percent:
        value, decimals = 100 * value, 1
    elif isinstance(value, Integral):
        return f"{value:,}"
    elif 0 < abs(value) < 0.0005:
        return f"{value:.1e}"
    else:
        decimals = 3
    # Adding 0 turns -0.0 into 0.0.
    return f"{round(value, decimals) + 0.0:,.{decimals}f}"


def text_table(table: Mapping) -> str:
    """Write a table of the report as aligned text.

    Arguments
    ---------
    table : Mapping
        One of ``report["tables"]``; ``columns`` may be fewer than there are
        figures.

    Returns
    -------
    str
        Title, heads and rows, without a line break at the end.

    Example
    -------
    >>> rows = [{"name": "model", "figures": {"eer": 0.125, "speakers": 34}}]
    >>> columns = ["eer", "speakers"]
    >>> print(text_table({"title": "New", "columns": columns, "rows": rows}))
    New
    name      EER  speakers
    model  12.5 %        34
    """
    columns = table["columns"]
    lines = [["name", *map(column_head, columns)]]
    for row in table["rows"]:
        figures = [shown(key, row["figures"].get(key)) for key in columns]
        lines.append([row["name"], *figures])
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    left = [True, *(_is_text(table, key) for key in columns)]
    aligned = [
        "  ".join(
            _padded(cell, width, to_left)
            for cell, width, to_left in zip(line, widths, left, strict=True)
        ).rstrip()
        for line in lines
    ]
    return "\n".join([table["title"], *aligned])


def _is_text(table, key):
    """Tell whether a column holds words, which begin at the left."""
    return any(
        isinstance(row["figures"].get(key), str) for row in table["rows"]
    )


def _padded(cell, width, to_left):
    space = " " * (width - _width(cell))
    return cell + space if to_left else space + cell


def _width(text):
    """Count the places that a text takes in a terminal."""
    return sum(
        0
        if unicodedata.category(letter) in ("Mn", "Me", "Cf")
        else 1 + (unicodedata.east_asian_width(letter) in "WF")
        for letter in text
    )


def render_report(
    report: Mapping, folder: str | Path, players: Mapping[str, str]
) -> str:
    """Make the page.

    Arguments
    ---------
    report : Mapping
        What ``metrics.json`` holds: ``title``, ``headline``, ``tables``,
        ``pictures``, ``errors``, ``unusable``, ``settings``, ``versions``,
        ``command``, ``seconds`` and ``peak_mb``.
    folder : str or Path
        Where the pictures' files are.
    players : Mapping[str, str]
        What ``audio_player_data`` returns, by the name of the utterance. An
        error whose utterance is not here is shown without sound.

    Returns
    -------
    str
        HTML that needs no other file. Names may hold anything: they are
        escaped.

    Raises
    ------
    ValueError
        If the file of a picture is missing, or a player is no sound data.
    """
    for name, address in players.items():
        if not address.startswith("data:audio/"):
            raise ValueError(
                f"the player of {name} has the address {address[:40]!r}, "
                "expected data:audio/...: give what audio_player_data returns"
            )
    errors = {kind: [] for kind in ERRORS}
    for error in report["errors"]:
        errors[error["kind"]].append(error)
    used = {key for table in report["tables"] for key in table["columns"]}
    return render_page(
        "evaluation.html.jinja",
        report=report,
        pictures=[
            {**picture, "data": _png_data(Path(folder) / picture["file"])}
            for picture in report["pictures"]
        ],
        errors=[(*ERRORS[kind], found) for kind, found in errors.items()],
        players=players,
        glossary={key: FIGURES[key] for key in FIGURES if key in used},
        column_head=column_head,
        shown=shown,
        is_text=_is_text,
        duration=_duration,
    )


def write_report(
    report: Mapping, folder: str | Path, players: Mapping[str, str]
) -> Path:
    """Write ``evaluation.html`` beside ``metrics.json``, whole or not at all.

    Arguments
    ---------
    report, folder, players
        As for ``render_report``.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ValueError
        As ``render_report``.
    """
    page = render_report(report, folder, players)
    path = Path(folder) / "evaluation.html"
    with whole_text(path) as file:
        file.write(page)
    logger.info("to look at and to send: %s", path)
    return path


def _png_data(path):
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"cannot read the picture {path} ({error.strerror}), expected a "
            "PNG file: run the evaluation again, which draws it"
        ) from error
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")


def _duration(seconds):
    """Write a time: 45.2 s, 72 min 5 s."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:,} min {rest} s"
