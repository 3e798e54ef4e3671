"""Export a trained model as a folder that SpeechBrain's own classes load.

    hyperparams.yaml         what to build; threshold; sample rate
    config.json              the same without code: see ``safe_form``
    model.safetensors        all weights, for that
    embedding_model.ckpt     weights of the encoder
    classifier.ckpt          one direction per training speaker
    mean_var_norm_emb.ckpt   mean embedding of the training speech
    cohort.ckpt              mean embedding of each training speaker
    label_encoder.txt/.ckpt  ids of the training speakers
    README.md                model card: data, settings, figures

``SpeakerRecognition``, ``EncoderClassifier`` and ``SiameseRecognition`` load
it offline from any working directory.
"""

from __future__ import annotations

import difflib
import io
import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from hyperpyyaml import resolve_references
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from speechbrain.dataio.encoder import CategoricalEncoder

from speechbrain_siamese.processing.changes import ChangeModel
from speechbrain_siamese.processing.score_norm import Cohort
from speechbrain_siamese.processing.voices import VoiceModel
from speechbrain_siamese.utils.decision import Decision, NormalisedDecision
from speechbrain_siamese.utils.export_folder import replaced_export
from speechbrain_siamese.utils.model_card import model_card
from speechbrain_siamese.utils.room import told_writing
from speechbrain_siamese.utils.safe_form import mean_of, write_safe_form

#: Sections that the export takes over from the recipe's own file.
_FROM_RECIPE = ("compute_features", "embedding_model")

#: One more, for encoders that need it; ours normalises each window by itself.
_NORM = "mean_var_norm"
_OWN_NORM = (
    "mean_var_norm: !new:speechbrain_siamese.lobes.features.KeepFeatures\n"
)

#: What has to be known of a measure.
_NOTES = {
    "cosine": "",
    "euclidean": ": minus the distance, decided by SiameseRecognition; the\n"
    "# cosine of SpeechBrain's stock class is not what was trained",
}

_INFERENCE = """\
# Written by speechbrain_siamese. Load it with
#   from speechbrain.inference.speaker import SpeakerRecognition
#   SpeakerRecognition.from_hparams(source=<this folder>)
# The stock class decides at 0.25 unless told the threshold below.

{recipe}
sample_rate: {sample_rate}
measure: {measure}  # of scores{measure_note}
# Chosen on validation trials.
threshold_target: {decision.target}
threshold: {decision.threshold!r}
calibration_slope: {decision.calibration.slope!r}  # LLR per score
calibration_intercept: {decision.calibration.intercept!r}
# The same of scores that do not grow with length: processing/score_norm.py.
{normalised}
# Weighs what differs at both sides of a border, and joins what is between
# them; see processing/changes.py and processing/voices.py.
{changes}

audio_normalizer: !new:speechbrain.dataio.preprocess.AudioNormalizer
    sample_rate: !ref <sample_rate>

mean_var_norm_emb: !new:speechbrain.processing.features.InputNormalization
    norm_type: global
    std_norm: False

# Strangers, for the normalisation of scores.
cohort: !new:speechbrain_siamese.processing.score_norm.Cohort
    speakers: {speakers}
    embedding_dim: {embedding_dim}

classifier: !new:speechbrain.lobes.models.ECAPA_TDNN.Classifier
    input_size: {embedding_dim}
    out_neurons: {speakers}

label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder

modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    mean_var_norm_emb: !ref <mean_var_norm_emb>
    classifier: !ref <classifier>

pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
        mean_var_norm_emb: !ref <mean_var_norm_emb>
        cohort: !ref <cohort>
        classifier: !ref <classifier>
        label_encoder: !ref <label_encoder>
"""


def recipe_sections(hparams_file: str | Path, overrides: str | dict) -> str:
    """Feature and encoder sections of a training file, as they were run.

    Arguments
    ---------
    hparams_file : str or Path
        The YAML file of the training.
    overrides : str or dict
        What the command line changed in it.

    Returns
    -------
    str
        YAML of ``compute_features``, ``embedding_model`` and
        ``mean_var_norm``, whose references are resolved; weights come from
        the export, so ``imagenet_weights`` is False.
    """
    with open(hparams_file, encoding="utf-8") as file:
        text = resolve_references(file, overrides)
    return _sections_of(text, hparams_file)


def _sections_of(yaml_text, hparams_file: str | Path) -> str:
    """The sections, of YAML whose references are resolved; nothing of it runs.

    HyperPyYAML runs what ``!applyref:`` names already when it resolves.
    """
    yaml = YAML()
    try:
        recipe = yaml.load(yaml_text)
    except (YAMLError, RecursionError) as error:
        raise ValueError(f"{hparams_file} is damaged: {error}") from error
    if not isinstance(recipe, dict):
        raise ValueError(f"{hparams_file} holds no settings")
    missing = [name for name in _FROM_RECIPE if name not in recipe]
    if missing:
        raise ValueError(
            f"{hparams_file} lacks {', '.join(missing)}: an export needs these "
            "sections at the top level"
        )
    sections = {
        name: recipe[name] for name in (*_FROM_RECIPE, _NORM) if name in recipe
    }
    if "imagenet_weights" in sections["embedding_model"]:
        sections["embedding_model"]["imagenet_weights"] = False
    text = io.StringIO()
    yaml.dump(sections, text)
    # Section headings that followed them in the recipe would mislead here.
    lines = text.getvalue().splitlines(keepends=True)
    kept = "".join(line for line in lines if not line.startswith("#"))
    return kept if _NORM in sections else kept + _OWN_NORM


def export_model(
    folder: str | Path,
    *,
    sections: str,
    modules: Mapping[str, torch.nn.Module],
    cohort: Cohort,
    label_encoder: CategoricalEncoder,
    sample_rate: int,
    decision: Decision,
    normalised: NormalisedDecision | None,
    changes: ChangeModel | None,
    voices: VoiceModel | None,
    measure: str,
    report: dict,
) -> None:
    """Write the export folder, whole or not at all; replaces an older one.

    What else lies in the folder, such as a gallery, stays there.

    Arguments
    ---------
    folder : str or Path
        The export folder.
    sections : str
        As ``recipe_sections`` gives them.
    modules : Mapping[str, torch.nn.Module]
        ``embedding_model`` and ``classifier``, trained.
    cohort : Cohort
        Mean embedding of each training speaker.
    label_encoder : CategoricalEncoder
    sample_rate : int
        Hz.
    decision : Decision
        What scores mean.
    normalised : NormalisedDecision or None
        What normalised scores mean; None where scores are no cosines.
    changes : ChangeModel or None
        Finds speaker changes; None where the encoder cannot.
    voices : VoiceModel or None
        Tells what is one voice; None where that was not learnt.
    measure : str
        ``cosine`` or ``euclidean``.
    report : dict
        Figures and settings for the model card.

    Raises
    ------
    OSError
        If there is no room; an older export stays.
    """
    with told_writing("export", folder), replaced_export(Path(folder)) as new:
        for name in ("embedding_model", "classifier"):
            torch.save(_on_cpu(modules[name]), new / f"{name}.ckpt")
        torch.save(_on_cpu(cohort), new / "cohort.ckpt")
        mean_of(cohort)._save(new / "mean_var_norm_emb.ckpt")
        # The one for people; the other has the name that SpeechBrain's
        # Pretrainer looks for beside hyperparams.yaml, wherever it lies.
        label_encoder.save(new / "label_encoder.txt")
        label_encoder.save(new / "label_encoder.ckpt")
        (new / "hyperparams.yaml").write_text(
            _INFERENCE.format(
                recipe=sections,
                sample_rate=sample_rate,
                decision=decision,
                measure=measure,
                measure_note=_NOTES[measure],
                normalised=_as_yaml(_normalised_values(normalised)),
                changes=_as_yaml(_turn_values(changes, voices)),
                embedding_dim=cohort.voices.shape[1],
                speakers=len(label_encoder),
            ),
            encoding="utf-8",
        )
        write_safe_form(
            new,
            sections,
            {
                "sample_rate": sample_rate,
                "measure": measure,
                "threshold_target": decision.target,
                "threshold": decision.threshold,
                "calibration_slope": decision.calibration.slope,
                "calibration_intercept": decision.calibration.intercept,
                **_normalised_values(normalised),
                **_turn_values(changes, voices),
            },
            {
                "embedding_model": modules["embedding_model"],
                "classifier": modules["classifier"],
                "cohort": cohort,
            },
            [
                label_encoder.ind2lab[number]
                for number in range(len(label_encoder))
            ],
        )
        (new / "README.md").write_text(
            model_card(report, decision, normalised, measure),
            encoding="utf-8",
        )


def export_weights(folder: str | Path, sections: str | None = None) -> dict:
    """Weights of an export's encoder, to go on from.

    Arguments
    ---------
    folder : str or Path
        The export.
    sections : str or None
        As ``recipe_sections`` gives them for the training that shall go on:
        features and encoder have to be the same.

    Returns
    -------
    dict
        State of the encoder.

    Raises
    ------
    ValueError
        If it is no export, or its encoder is another one.
    """
    hyperparams = Path(folder) / "hyperparams.yaml"
    weights = Path(folder) / "embedding_model.ckpt"
    if not (hyperparams.is_file() and weights.is_file()):
        raise ValueError(
            f"init_from is {folder}, which holds no hyperparams.yaml and "
            "embedding_model.ckpt: name the folder 'export' of a training"
        )
    # An export's are resolved; it may come from somebody else.
    there = section_values(
        _sections_of(hyperparams.read_text(encoding="utf-8"), hyperparams)
    )
    here = there if sections is None else section_values(sections)
    if there != here:
        changes = difflib.ndiff(there, here)
        changed = [line for line in changes if line[:1] in "-+"]
        raise ValueError(
            f"init_from is {folder}, whose features or encoder differ from "
            "those of this YAML file (- there, + here): "
            f"{'; '.join(changed)}. Set the same values"
        )
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError) as error:
        raise ValueError(
            f"{weights} holds no weights alone, or is damaged: {error}"
        ) from error
    if not isinstance(state, dict) or not all(
        isinstance(one, torch.Tensor) and bool(one.isfinite().all())
        for one in state.values()
    ):
        raise ValueError(
            f"{weights} is damaged: expected the encoder's weights, all of "
            "them finite numbers"
        )
    return state


def section_values(sections: str) -> list[str]:
    """Lines of YAML that hold values, without comments: what can be compared.

    Arguments
    ---------
    sections : str
        As ``recipe_sections`` gives them.

    Returns
    -------
    list of str

    Example
    -------
    >>> section_values("a: 1  # s\\n\\nb:\\n  c: 2\\n  d: null\\n")
    ['a: 1', '  c: 2']
    """
    lines = (re.sub(r"\s+#.*", "", line) for line in sections.splitlines())
    # Null is what an argument is anyway that an older file does not have.
    return [line for line in lines if not re.search(r"(^|:| null)\s*$", line)]


def _normalised_values(
    decision: NormalisedDecision | None,
) -> dict[str, float | None]:
    """The same three values for scores that are normalised, and what for.

    Exports of before had AS-norm's under longer names.
    """
    return {
        "norm_threshold": decision and decision.threshold,
        "norm_slope": decision and decision.calibration.slope,
        "norm_intercept": decision and decision.calibration.intercept,
        "norm_likeness": decision and decision.likeness,
        "norm_middle": decision and decision.middle,
        "norm_usual": decision and decision.usual,
    }


def _turn_values(
    changes: ChangeModel | None, voices: VoiceModel | None
) -> dict:
    """The numbers of what finds changes, and of what is one voice."""
    return {
        "change_weights": changes and changes.weights,
        "change_threshold": changes and changes.threshold,
        "change_thresholds": changes and changes.thresholds,
        "voice_threshold": voices and voices.threshold,
        "online_threshold": voices and voices.online,
    }


def _as_yaml(values: dict) -> str:
    return "\n".join(
        f"{name}: {'null' if value is None else repr(value)}"
        for name, value in values.items()
    )


def _on_cpu(module: torch.nn.Module) -> dict:
    return {key: value.cpu() for key, value in module.state_dict().items()}
