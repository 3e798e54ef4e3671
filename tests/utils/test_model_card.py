"""The card of an export, as the hub reads it."""

from __future__ import annotations

from huggingface_hub import ModelCard

from speechbrain_siamese.utils.calibration import Calibration
from speechbrain_siamese.utils.decision import Decision
from speechbrain_siamese.utils.model_card import model_card


def figures(rate: float) -> dict:
    """What was measured on some trials."""
    return {
        "eer": rate,
        "min_dcf_0.01": 2 * rate,
        "precision": 0.5,
        "recall": 0.5,
        "trials_similar": 3,
        "trials_dissimilar": 4,
    }


def test_the_hub_tells_the_figures_of_each_question_apart():
    report = {
        "valid": figures(0.01),
        "test": {
            "time": None,
            "session": figures(0.02),
            "speaker": figures(0.2),
        },
        "data": {},
        "settings": {},
    }
    decision = Decision("eer", 0.4, Calibration(10.0, -4.0))
    told = model_card(report, decision, None, measure="euclidean")
    card = ModelCard(told)
    assert {
        (one.dataset_name, one.metric_type): one.metric_value
        for one in card.data.eval_results
    } == {
        ("own recordings, validation", "eer"): 0.01,
        ("own recordings, validation", "min_dcf_0.01"): 0.02,
        ("own recordings, known voice, new recording", "eer"): 0.02,
        ("own recordings, known voice, new recording", "min_dcf_0.01"): 0.04,
        ("own recordings, unknown voice", "eer"): 0.2,
        ("own recordings, unknown voice", "min_dcf_0.01"): 0.4,
    }
