"""The simple ways that a trained head has to beat: logistic regression on one vector a clip.

Shapes: T frames of a clip, D feature size, N clips, S values of a clip's vector, A classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from benchmarks.grouped_folds import grouped_folds
from lrcn.models.heads.base import inverse_deviation
from lrcn.models.heads.statistics import clip_statistics, logistic_regression

Features = NDArray[np.float32]
"""Of all frames of a clip, `(T, D)`."""

FREEDOMS = (1e-4, 1e-3, 3e-3, 1e-2, 1e-1, 1.0)
"""Inverse strengths of the penalty to choose from; what others call C."""

_INNER_FOLDS = 5


def _six(features: Features) -> Features:
    picked = np.linspace(0, len(features) - 1, 6).round().astype(int)
    return features[picked].reshape(-1)


def _change(features: Features) -> Features:
    vector: Features = clip_statistics(torch.from_numpy(features)[None])[0].numpy()
    return vector


VECTORS: dict[str, Callable[[Features], Features]] = {
    "middle frame": lambda features: features[len(features) // 2],
    "mean": lambda features: features.mean(axis=0),
    "six frames joined": _six,
    "mean, deviation, mean absolute change": _change,
}
"""Name of a probe -> from the features of a clip to its vector `(S,)`."""


@dataclass(frozen=True)
class Probe:
    """Logistic regression on standardised vectors."""

    shift: Tensor
    scale: Tensor
    weight: Tensor
    """`(A, S)`"""
    bias: Tensor
    freedom: float
    """The one of `FREEDOMS` that inner folds chose."""

    def predict(self, rows: Tensor) -> NDArray[np.int64]:
        """Return the classes of vectors `(N, S)`."""
        logits = F.linear((rows - self.shift) * self.scale, self.weight, self.bias)
        classes: NDArray[np.int64] = logits.argmax(dim=1).numpy()
        return classes


def fit_probe(rows: Tensor, labels: Tensor, groups: Sequence[str], *, num_classes: int) -> Probe:
    """Standardise, choose the penalty by folds of whole groups, and fit to all of it.

    Args:
        rows: Vectors of the training clips, `(N, S)`.
        labels: Their class ids, `(N,)`.
        groups: Of each.
        num_classes: A.
    """
    shift = rows.mean(dim=0)
    scale = inverse_deviation((rows - shift).square().mean(dim=0))
    standard = (rows - shift) * scale
    # every fit is a combination of the rows: N directions hold all of them, and are far fewer than S
    directions, coordinates = torch.linalg.qr(standard.T)
    small = coordinates.T.contiguous()

    def fit(chosen: Tensor, freedom: float) -> tuple[Tensor, Tensor]:
        ones = torch.ones(len(chosen), dtype=small.dtype)
        return logistic_regression(small[chosen], labels[chosen], ones, num_classes=num_classes, freedom=freedom)

    freedom = _best_freedom(small, labels, groups, fit)
    weight, bias = fit(torch.arange(len(rows)), freedom)
    return Probe(shift, scale, weight @ directions.T, bias, freedom)


def _best_freedom(
    rows: Tensor, labels: Tensor, groups: Sequence[str], fit: Callable[[Tensor, float], tuple[Tensor, Tensor]]
) -> float:
    """Return the one with most clips right; of those alike, with the least cross-entropy."""
    folds = [
        (torch.from_numpy(fold.trained), torch.from_numpy(fold.judged))
        for fold in grouped_folds(groups, min(_INNER_FOLDS, len(set(groups))))
    ]
    scores = {}
    for freedom in FREEDOMS:
        right, loss = 0, 0.0
        for trained, judged in folds:
            weight, bias = fit(trained, freedom)
            logits = F.linear(rows[judged], weight, bias)
            right += int((logits.argmax(dim=1) == labels[judged]).sum())
            loss += float(F.cross_entropy(logits, labels[judged], reduction="sum"))
        scores[freedom] = (right, -loss)
    return max(FREEDOMS, key=lambda freedom: scores[freedom])
