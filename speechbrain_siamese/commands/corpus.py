"""``siamese audit``: is everybody who their folder says?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from speechbrain_siamese.commands.common import (
    json_option,
    open_model,
    tell,
    told_errors,
)


@click.command()
@click.option(
    "--source",
    envvar="SIAMESE_SOURCE",
    metavar="EXPORT",
    help="An export of ours, loaded without running any code of it. "
    "[environment: SIAMESE_SOURCE]",
)
@click.option(
    "--encoder",
    metavar="NAME",
    help="In its place any speaker encoder that SpeechBrain loads, from a "
    "folder or the hub: speechbrain/spkrec-ecapa-voxceleb. Runs its code.",
)
@json_option
@click.option(
    "--top",
    default=20,
    show_default=True,
    type=click.IntRange(1),
    help="Rows to tell.",
)
@click.argument("prepared", type=click.Path(exists=True, file_okay=False))
@told_errors
def audit(source, encoder, as_json, top, prepared):
    """List what does not sound like the rest of its speaker.

    PREPARED is the folder that training has prepared. Recordings, stretches,
    and pairs of speakers who sound like one person, the most suspicious first:
    what is above 0 is doubtful. 50 or more go to PREPARED/suspects.csv, too.
    Listen, and copy what is wrong, with the table's first line, into
    exclude.csv beside the speakers' folders; of a copy, the one that is in the
    wrong folder. Of two names for one person, put
    the recordings into one folder. Recordings of which little or nothing can
    be told stand at the end.

    Example: siamese audit --encoder=speechbrain/spkrec-ecapa-voxceleb
    results/mine/prepared
    """
    from speechbrain.inference.speaker import SpeakerRecognition

    from speechbrain_siamese.inference import audit as auditing
    from speechbrain_siamese.inference.teacher import load_encoder, teacher_of

    if encoder:
        model = load_encoder(
            SpeakerRecognition, encoder, Path(prepared) / "audit"
        )
    elif source:
        model = open_model(source)
    else:
        raise ValueError(
            "no model is named: give --source=<export> or --encoder=<name>"
        )
    found = auditing.audit(teacher_of(model), prepared, max(top, 50))
    table = Path(prepared) / "suspects.csv"
    auditing.write_suspects(found.suspects, table)
    suspects = found.suspects
    lines = [f"all {len(suspects)} rows: {table}"]
    for one in suspects[:top]:
        lines.append(f"{one.suspicion:7.3f}  {_told(one)}")
    for why, own in _by_reason(found.unjudged).items():
        shown = ", ".join(one.recording for one in own[:5])
        more = ", ..." if len(own) > 5 else ""
        lines.append(f"{len(own)} recordings {why} ({shown}{more})")
    answer = {
        "suspects": [asdict(one) for one in suspects[:top]],
        "unjudged": [asdict(one) for one in found.unjudged],
    }
    tell(answer, as_json, "\n".join(lines))


def _told(one) -> str:
    """A suspect as a sentence."""
    if not one.recording:
        return f"{one.speaker} and {one.like} may be one person"
    what = f"{one.recording}, said to be {one.speaker}"
    if one.kind == "copy":
        return f"{what}, is a copy of {one.like}"
    if one.start is not None:
        what += f", from {one.start:.1f} to {one.stop:.1f} s"
    return f"{what}, sounds like {one.like}"


def _by_reason(unjudged):
    """What was not judged, or in part, by why."""
    found = {}
    for one in unjudged:
        found.setdefault(one.why, []).append(one)
    return found
