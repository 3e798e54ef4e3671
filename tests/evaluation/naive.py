"""Every figure once more from raw scores, by loops and other libraries."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
from sklearn import metrics
from sklearn.metrics import roc_auc_score, roc_curve


def read(path: Path):
    """Labels, both utterances and scores of a file of raw scores."""
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    labels = np.array([int(line[0]) for line in lines])
    scores = np.array([float(line[-1]) for line in lines])
    return labels, [line[1:-1] for line in lines], scores


def rates(labels, scores):
    """(FAR, FRR) at every threshold, highest first, one loop."""
    same, different = scores[labels == 1], scores[labels == 0]
    found = [(0.0, 1.0)]
    for threshold in sorted(set(scores.tolist()), reverse=True):
        far = sum(different >= threshold) / len(different)
        found.append((far, sum(same < threshold) / len(same)))
    return found


def eer(points):
    """Where the line between two operating points has FAR = FRR."""
    for (far, frr), (next_far, next_frr) in itertools.pairwise(points):
        if next_far >= next_frr:
            share = (frr - far) / ((next_far - far) - (next_frr - frr))
            return far + share * (next_far - far)
    raise AssertionError("the rates never cross")


def min_dcf(points, prior):
    costs = [prior * frr + (1 - prior) * far for far, frr in points]
    return min(costs) / min(prior, 1 - prior)


def cllr(labels, llrs):
    """The formula of the paper, in bits."""
    same = [math.log2(1 + math.exp(-llr)) for llr in llrs[labels == 1]]
    other = [math.log2(1 + math.exp(llr)) for llr in llrs[labels == 0]]
    return (sum(same) / len(same) + sum(other) / len(other)) / 2


def min_cllr(labels, scores):
    """Pool adjacent violators by hand, both classes weighing the same."""
    weight = {label: 0.5 / (labels == label).sum() for label in (0, 1)}
    blocks = []
    for score in sorted(set(scores.tolist())):
        own = labels[scores == score]
        blocks.append([weight[1] * sum(own == 1), weight[0] * sum(own == 0)])
        while len(blocks) > 1 and share(blocks[-2]) >= share(blocks[-1]):
            last = blocks.pop()
            blocks[-1] = [a + b for a, b in zip(blocks[-1], last, strict=True)]
    total = 0.0
    for same, different in blocks:
        for mass, p in ((same, same), (different, different)):
            if mass:
                total -= mass * math.log2(p / (same + different))
    return total


def share(block):
    return block[0] / (block[0] + block[1])


def calibration_error(labels, probabilities):
    """Ten bins, one trial at a time, both classes weighing the same."""
    weight = {label: 0.5 / (labels == label).sum() for label in (0, 1)}
    bins = [[0.0, 0.0, 0.0] for _ in range(10)]
    for label, p in zip(labels.tolist(), probabilities, strict=True):
        own = bins[min(int(p * 10), 9)]
        own[0] += weight[label]
        own[1] += weight[label] * p
        own[2] += weight[label] * label
    return sum(abs(promised - found) for _, promised, found in bins)


def interval(labels, scores, sides, draws=1000):
    """EER over resampled speakers, with scikit-learn's weighted curve."""
    names = sorted({name for pair in sides for name in pair})
    number = {name: k for k, name in enumerate(names)}
    enrol, test = np.array([[number[n] for n in pair] for pair in sides]).T
    generator = np.random.default_rng(0)
    found = []
    while len(found) < draws:
        chosen = generator.integers(len(names), size=len(names))
        drawn = np.bincount(chosen, minlength=len(names))
        weights = drawn[enrol] * np.where(labels == 1, 1, drawn[test])
        kept = weights > 0
        if len(set(labels[kept])) < 2:
            continue
        far, hit, _ = roc_curve(
            labels[kept],
            scores[kept],
            sample_weight=weights[kept],
            drop_intermediate=False,
        )
        found.append(eer(list(zip(far, 1 - hit, strict=True))))
    return np.quantile(found, [0.025, 0.975]).tolist()


def speaker_sides(sides):
    """Speakers of both sides: the folder of an utterance, or who enrols."""
    return [[name.split("/")[-2:][0] for name in pair] for pair in sides]


def trial_figures(path: Path, threshold, decision) -> dict:
    """All figures of a row of trials."""
    labels, sides, scores = read(path)
    points = rates(labels, scores)
    accepted = scores > threshold
    distances = np.sqrt(np.maximum(0, 2 - 2 * scores))
    speakers = speaker_sides(sides)
    count = len({name for pair in speakers for name in pair})
    found = {
        "eer": eer(points),
        "min_dcf_0.01": min_dcf(points, 0.01),
        "min_dcf_0.05": min_dcf(points, 0.05),
        "min_cllr": min_cllr(labels, scores),
        "auc": roc_auc_score(labels, scores),
        **decided(labels, accepted),
        "threshold": threshold,
        "distance_similar": distances[labels == 1].mean(),
        "distance_dissimilar": distances[labels == 0].mean(),
        "trials_similar": sum(labels == 1),
        "trials_dissimilar": sum(labels == 0),
        "speakers": count,
    }
    if count >= 5:
        found["eer_interval"] = interval(labels, scores, speakers)
    if decision:
        line = decision["calibration"]
        llrs = line["slope"] * scores + line["intercept"]
        found["cllr"] = cllr(labels, llrs)
        found["calibration_error"] = calibration_error(
            labels, 1 / (1 + np.exp(-llrs))
        )
    return found


def decided(labels, accepted) -> dict:
    """Figures at one threshold, by scikit-learn."""
    return {
        "accuracy": metrics.accuracy_score(labels, accepted),
        "precision": metrics.precision_score(
            labels, accepted, zero_division=0.0
        ),
        "recall": metrics.recall_score(labels, accepted),
        "f1": metrics.f1_score(labels, accepted, zero_division=0.0),
    }


def one_or_two_figures(path: Path, threshold) -> dict:
    """Figures of a row of the one-or-two task."""
    labels, _, scores = read(path)
    return {
        **decided(labels, scores > threshold),
        "auc": roc_auc_score(labels, scores),
        "threshold": threshold,
        "clips": len(labels),
    }


def clustering_figures(path: Path) -> dict:
    """Indices of a clustering from their definitions, pair by pair."""
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    truth, found = [row[1] for row in rows], [row[2] for row in rows]
    both = one = other = pairs = 0
    for a in range(len(rows)):
        for b in range(a):
            same, together = truth[a] == truth[b], found[a] == found[b]
            both += same and together
            one += same
            other += together
            pairs += 1
    expected = one * other / pairs
    joint = {}
    for pair in zip(truth, found, strict=True):
        joint[pair] = joint.get(pair, 0) + 1
    information = sum(
        n
        / len(rows)
        * math.log(n * len(rows) / (truth.count(s) * found.count(c)))
        for (s, c), n in joint.items()
    )
    return {
        "rand": (pairs + 2 * both - one - other) / pairs,
        "adjusted_rand": (both - expected) / ((one + other) / 2 - expected),
        "mutual_information": information,
        "adjusted_mutual_information": metrics.adjusted_mutual_info_score(
            truth, found
        ),
        "clusters": len(set(truth)),
        "utterances": len(rows),
    }


def confusion_figures(path: Path, threshold) -> dict:
    """Share of accepted trials of one pair of speakers."""
    _, _, scores = read(path)
    return {
        "accepted": (scores > threshold).mean(),
        "trials": len(scores),
        "threshold": threshold,
    }


def figures_of(table: dict, row: dict, folder: Path) -> dict:
    """All figures of one row of a report, whatever its kind."""
    path = folder / row["scores"]
    if table["kind"] == "trials":
        return trial_figures(path, row["figures"]["threshold"], row["decision"])
    if table["kind"] == "one_or_two":
        return one_or_two_figures(path, row["figures"]["threshold"])
    if table["kind"] == "clusterings":
        return clustering_figures(path)
    return confusion_figures(path, row["figures"]["threshold"])
