"""The model card: what the exported model is, and how well it does."""

from __future__ import annotations

from huggingface_hub import EvalResult, ModelCardData

from speechbrain_siamese.utils.decision import Decision
from speechbrain_siamese.utils.report import MEANING

#: What the hub lists, by the names in ``metrics.json``.
_METRICS = {"eer": "EER", "min_dcf_0.01": "minDCF (0.01)"}

#: Where a model is before it is on the hub; stands in the examples.
HERE = "<this folder>"

_CARD = """\
---
{metadata}
---

# Siamese speaker model

Tells whether two recordings are of one voice: an encoder (see
`hyperparams.yaml`) in a Siamese frame, trained by `speechbrain_siamese`.

## Use

```python
{use}
```

{about}
`compare_files` adds the log-likelihood ratio, {slope:.2f} x {weighed}
{intercept:+.2f}, and the probability of one voice that follows from it and a
prior.

## Figures

The threshold ({target}) and the calibration were chosen on the validation
trials.

| trials | EER | 95 % interval | minDCF (0.01) | precision | recall | count |
| --- | --- | --- | --- | --- | --- | --- |
{rows}

The figure for an unknown voice is the one to expect of new people.
{turns}

## Data

{data}

## Settings

{settings}

## Intended use

To sort and label recordings of people who agree to it: is this the same voice,
which of these people is it, where does the speaker change.

## What it must not be used for

To identify, follow or imitate people against their will, to decide about
anybody, or to prove who spoke: a score is no proof of identity.

## Limits

The model knows the language, the rooms and the microphones of its training
data; others cost accuracy.

## Consent

Voices are personal data: ask the people whom you record. `label_encoder.txt`
and `config.json` hold the names of the training speakers, or numbers in their
place; `cohort.ckpt` and `classifier.ckpt` hold what their voices are like.
"""


_USE = {
    "cosine": (
        """from speechbrain.inference.speaker import SpeakerRecognition

model = SpeakerRecognition.from_hparams(source="{here}")
a = model.load_audio("a.wav").unsqueeze(0)
b = model.load_audio("b.wav").unsqueeze(0)
score, same = model.verify_batch(a, b, threshold={threshold:.4f})""",
        """\
`speechbrain_siamese` must be installed. SpeechBrain's own class decides at
0.25 unless it is told: the threshold of this model is **{threshold:.4f}**, for
clips like those of validation, of some seconds. The cosine of longer ones is
higher, of one voice and of two.
`speechbrain_siamese.inference.speaker.SiameseRecognition` decides by the mean
cosine over pairs of windows, less that with strangers ("normalised"), which
does not grow with length: above **{norm_threshold:.4f}** it is one voice. It
also reads m4a, webm and mp4. Its""",
    ),
    "euclidean": (
        """from speechbrain_siamese.inference.speaker import SiameseRecognition

model = SiameseRecognition.from_hparams(source="{here}")
score, same = model.verify_files("a.m4a", "b.wav")""",
        """\
The score is the Euclidean distance of the embeddings with its sign turned
round; above **{threshold:.4f}** two voices are one. SpeechBrain's own class
compares by the cosine, for which this model was not trained.""",
    ),
}


def model_card(
    report: dict,
    decision: Decision,
    normalised: Decision | None,
    measure: str = "cosine",
) -> str:
    """Write a model card in Markdown.

    Arguments
    ---------
    report : dict
        With ``valid``, ``test`` (by question), ``data`` and ``settings``.
    decision : Decision
        What the export's scores mean.
    normalised : Decision or None
        What its normalised scores mean; None where scores are no cosines.
    measure : str
        ``cosine`` or ``euclidean``.

    Returns
    -------
    str
    """
    names = {"valid": "validation", **MEANING}
    figures = {"valid": report["valid"], **report["test"]}
    weighed = normalised or decision
    use, about = (
        text.format(
            threshold=decision.threshold,
            norm_threshold=weighed.threshold,
            here=HERE,
        )
        for text in _USE[measure]
    )
    return _CARD.format(
        metadata=_metadata(
            {names[key]: found for key, found in figures.items() if found}
        ),
        use=use,
        about=about,
        target=decision.target,
        slope=weighed.calibration.slope,
        intercept=weighed.calibration.intercept,
        weighed="normalised score" if normalised else "score",
        rows="\n".join(
            _row(names[key], found) for key, found in figures.items()
        ),
        turns=_turns(report.get("turns")),
        data=_list(report["data"]),
        settings=_list(report["settings"]),
    )


def _metadata(figures: dict[str, dict]) -> str:
    """What the hub shows and finds a model by; its owner knows the rest."""
    return ModelCardData(
        library_name="speechbrain",
        pipeline_tag="audio-classification",
        tags=["speaker-verification", "siamese", "speechbrain"],
        model_name="Siamese speaker model",
        eval_results=[
            EvalResult(
                task_type="audio-classification",
                task_name="Speaker verification",
                dataset_type="own",
                dataset_name=f"own recordings, {name}",
                # The hub takes what differs by its name alone for one.
                dataset_split=name,
                metric_type=key,
                metric_name=title,
                metric_value=round(float(found[key]), 4),
            )
            for name, found in figures.items()
            for key, title in _METRICS.items()
        ],
    ).to_yaml()


def _row(name: str, found: dict | None) -> str:
    if found is None:
        return f"| {name} | no such data | | | | | |"
    interval = found.get("eer_interval")
    between = (
        f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f} %"
        if interval
        else ""
    )
    return (
        f"| {name} | {100 * found['eer']:.1f} % | {between} "
        f"| {found['min_dcf_0.01']:.2f} | {found['precision']:.2f} "
        f"| {found['recall']:.2f} | {found['trials_similar']} same, "
        f"{found['trials_dissimilar']} different |"
    )


def _turns(found: dict | None) -> str:
    if found is None:
        return "It has not learnt who speaks when."
    return (
        f"In {found['seconds']:.0f} s of joined turns of {found['people']} "
        f"validation people the F1 of speaker changes is "
        f"{found['changes_f1']:.2f}; {100 * found['rightly_labelled']:.0f} % "
        "of the speech is labelled as the right voice, with a threshold that "
        "was chosen on these turns."
    )


def _list(values: dict) -> str:
    return "\n".join(f"- {key}: {value}" for key, value in values.items())
