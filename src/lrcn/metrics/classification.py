"""How good are class probabilities? Every figure that the evaluation report gives, in NumPy.

Shapes: N examples, A classes. A probability array is `(N, A)`, a label array is `(N,)` of ids in `0..A-1`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrcn.errors import ShapeError

Z_95 = 1.959963984540054
"""The standard normal value that leaves 2.5 % on either side."""


@dataclass(frozen=True)
class ClassScores:
    """One number a class, each `(A,)`.

    A figure with nothing to divide by is 0: precision of a class never predicted, recall of one without examples.
    """

    precision: NDArray[np.float64]
    """Right predictions of the class over all predictions of it."""
    recall: NDArray[np.float64]
    """Right predictions of the class over all its examples."""
    f1: NDArray[np.float64]
    """Harmonic mean of precision and recall."""
    support: NDArray[np.int64]
    """Examples of the class."""


def target_ranks(probs: NDArray[np.floating], targets: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return for each example how many classes stand before the right one, `(N,)`; 0 is a right answer.

    Between equal probabilities the lower label id stands first, as it does for `argmax`.

    Raises:
        ShapeError: If the arrays do not fit each other, or a label is out of range.
    """
    if probs.ndim != 2 or targets.shape != (len(probs),):
        raise ShapeError(f"expected probs (N, A) and targets (N,), got {probs.shape} and {targets.shape}")
    _check_labels(targets, probs.shape[1])
    of_target = np.take_along_axis(probs, targets[:, None].astype(np.int64), axis=1)
    lower_id = np.arange(probs.shape[1])[None, :] < targets[:, None]
    before = (probs > of_target) | ((probs == of_target) & lower_id)
    ranks: NDArray[np.int64] = before.sum(axis=1, dtype=np.int64)
    return ranks


def confusion_matrix(
    targets: NDArray[np.integer], predictions: NDArray[np.integer], num_classes: int
) -> NDArray[np.int64]:
    """Return counts `(A, A)`: row = right class, column = predicted class.

    Raises:
        ShapeError: If the two arrays differ in length, or a label is out of range.
    """
    if targets.shape != predictions.shape or targets.ndim != 1:
        raise ShapeError(f"expected two arrays (N,), got {targets.shape} and {predictions.shape}")
    _check_labels(targets, num_classes)
    _check_labels(predictions, num_classes)
    counts = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(counts, (targets, predictions), 1)
    return counts


def class_scores(confusion: NDArray[np.integer]) -> ClassScores:
    """Return precision, recall, F1 and support of every class from a confusion matrix `(A, A)`."""
    right = np.diag(confusion).astype(np.float64)
    support = confusion.sum(axis=1)
    predicted = confusion.sum(axis=0)
    return ClassScores(
        precision=_ratio(right, predicted),
        recall=_ratio(right, support),
        f1=_ratio(2 * right, predicted + support),
        support=support.astype(np.int64),
    )


def mean_class_accuracy(confusion: NDArray[np.integer]) -> float:
    """Return the mean recall over the classes that have examples, in 0-1: rare classes count as much as common ones."""
    scores = class_scores(confusion)
    present = scores.support > 0
    return float(scores.recall[present].mean()) if present.any() else 0.0


def class_f1(predicted: NDArray[np.bool_], shown: NDArray[np.bool_]) -> float:
    """Return the mean F1 of classes that are judged each by itself, over those that are shown anywhere; 0 for none.

    Args:
        predicted: Whether each class is said to be shown, `(N, A)`.
        shown: Whether it is.

    Raises:
        ShapeError: If the arrays do not fit each other.
    """
    _check_shown(predicted, shown)
    right, present = (predicted & shown).sum(axis=0), shown.any(axis=0)
    scores = _ratio(2.0 * right, predicted.sum(axis=0) + shown.sum(axis=0))
    return float(scores[present].mean()) if present.any() else 0.0


def average_precision(probs: NDArray[np.floating], shown: NDArray[np.bool_]) -> float:
    """Return the mean average precision of classes that are judged each by itself, over those that are shown.

    Where none is, it is 0. Of a class it is the sum over the thresholds of the precision times what the recall gains
    there; examples of one probability are told apart by no threshold.

    Args:
        probs: `(N, A)`.
        shown: Whether each class is shown, `(N, A)`.

    Raises:
        ShapeError: If the arrays do not fit each other.
    """
    _check_shown(probs, shown)
    scores = []
    for of_class, is_shown in zip(probs.T, shown.T, strict=True):
        if not is_shown.any():
            continue
        order = np.argsort(-of_class, kind="stable")
        ends = np.flatnonzero(np.append(np.diff(of_class[order]) != 0, True))
        right = is_shown[order].cumsum()[ends]
        gained = np.diff(right, prepend=0) / right[-1]
        scores.append(float((gained * right / (ends + 1)).sum()))
    return float(np.mean(scores)) if scores else 0.0


def wilson_interval(successes: int, total: int, z: float = Z_95) -> tuple[float, float]:
    """Return the Wilson score interval of a share, by default at 95 %; `(0, 1)` for no trials.

    Unlike the normal approximation it stays within 0-1 and is right for few trials and for shares near 0 or 1.
    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22.
    """
    if total == 0:
        return 0.0, 1.0
    share = successes / total
    centre = share + z * z / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    # rounding may leave 1 - 1e-16 where the exact bound is the share itself
    return max(0.0, min(share, (centre - spread) / scale)), min(1.0, max(share, (centre + spread) / scale))


def _ratio(numerator: NDArray[np.floating], denominator: NDArray[np.integer]) -> NDArray[np.float64]:
    ratio: NDArray[np.float64] = np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator > 0)
    return ratio


def _check_shown(values: NDArray[Any], shown: NDArray[np.bool_]) -> None:
    if values.ndim != 2 or values.shape != shown.shape:
        raise ShapeError(f"expected two arrays (N, A), got {values.shape} and {shown.shape}")


def _check_labels(labels: NDArray[np.integer], num_classes: int) -> None:
    if len(labels) and not (labels.min() >= 0 and labels.max() < num_classes):
        raise ShapeError(f"label ids must be in 0..{num_classes - 1}, got {labels.min()}..{labels.max()}")
