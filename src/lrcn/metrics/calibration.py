"""Are probabilities what they say? Their correction, found on clips that were not trained on, and how far off they are.

Shapes: N windows, V videos, A classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrcn.config import Calibration
from lrcn.errors import ShapeError
from lrcn.results import UNKNOWN

NUM_BINS = 15
"""Of equal width. Source: Guo et al. 2017 (arXiv:1706.04599), who use 15."""

KEPT = 0.95
"""Share of the right answers that must not become `unknown`."""

_LARGEST_TEMPERATURE = 8.0
"""Temperatures are sought from its inverse to it."""

_SPREAD = 0.5
"""Deviation of the logarithm of the temperature before anything is known: a dozen clips that are all answered rightly
must not make a model all but certain. Of a few hundred clips it hardly counts."""

_LEAST_PROB = 1e-12


@dataclass(frozen=True)
class ReliabilityBin:
    """The videos whose answer is said to have about one probability."""

    low: float
    """Its probability is above this, in 0-1; of the first bin, this or above."""
    high: float
    """Up to and with this, in 0-1."""
    count: int
    """Videos; where there are none, the two below are 0."""
    prob: float
    """Mean probability of their answers."""
    accuracy: float
    """Share of them that are right."""


def calibrated(probs: NDArray[np.float64], calibration: Calibration | None) -> NDArray[np.float64]:
    """Return probabilities `(N, A)` as a model's file corrects them: all that leave a predictor have come through here.

    Without a calibration, or at a temperature of 1, they come back as they are.
    """
    if calibration is None:
        return probs
    if not calibration.class_temperatures:
        return tempered(probs, calibration.temperature)
    columns = zip(probs.T, calibration.class_temperatures, strict=True)
    return np.stack([tempered(_shown_or_not(own), temperature)[:, 1] for own, temperature in columns], axis=1)


def _shown_or_not(probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probabilities `(N, 2)` that one class is not shown, and that it is, from the latter `(N,)`."""
    return np.stack([1.0 - probs, probs], axis=1)


def tempered(probs: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return probabilities `(N, A)` to the power of 1 / temperature, each row brought to the sum of 1 again.

    That is what dividing the logits by the temperature does; the order of the classes stays.
    """
    if temperature == 1.0:
        return probs
    # by the largest first, so that no row becomes zeros
    shares: NDArray[np.float64] = (probs / probs.max(axis=-1, keepdims=True)) ** (1.0 / temperature)
    shares /= shares.sum(axis=-1, keepdims=True)
    return shares


def fit_calibration(
    probs: NDArray[np.float64], videos: NDArray[np.integer], targets: NDArray[np.integer], labels: Sequence[str]
) -> Calibration:
    """Return the correction under which videos that were not trained on are least surprising.

    The temperature is that of the least sum of -log p of the right classes, p being the mean of the tempered
    probabilities of a video's windows, as recognition takes it. Below the level are 5 % of the right answers at most.

    Args:
        probs: Of each window, `(N, A)`.
        videos: Which of the V videos each window is of, `(N,)` in 0..V-1; each has one at least.
        targets: Label id of each video, `(V,)`.
        labels: A class names.

    Raises:
        ShapeError: If the arrays do not fit each other.
    """
    if probs.ndim != 2 or videos.shape != (len(probs),) or targets.ndim != 1 or probs.shape[1] != len(labels):
        raise ShapeError(
            f"expected probs (N, {len(labels)}), videos (N,) and targets (V,), "
            f"got {probs.shape}, {videos.shape} and {targets.shape}"
        )
    temperature = _least_surprising(probs, videos, targets)
    of_videos = _video_means(tempered(probs, temperature), videos, len(targets))
    answers = of_videos.argmax(axis=1)
    named = np.array([label != UNKNOWN for label in labels])
    right = of_videos.max(axis=1)[(answers == targets) & named[answers]]
    level = float(np.quantile(right, 1 - KEPT, method="lower")) if len(right) else 0.0
    return Calibration(temperature=temperature, unknown_below=level)


def fit_class_calibration(
    probs: NDArray[np.float64], videos: NDArray[np.integer], shown: NDArray[np.bool_]
) -> Calibration:
    """Return the correction of probabilities that are each class's own, found as in `fit_calibration`, class by class.

    A class that all videos show, or none, keeps its probabilities: nothing tells how far they are off.

    Args:
        probs: Of each window, `(N, A)`.
        videos: Which of the V videos each window is of, `(N,)` in 0..V-1; each has one at least.
        shown: Which classes each video shows, `(V, A)`.

    Raises:
        ShapeError: If the arrays do not fit each other.
    """
    if probs.ndim != 2 or videos.shape != (len(probs),) or shown.ndim != 2 or shown.shape[1] != probs.shape[1]:
        raise ShapeError(
            f"expected probs (N, A), videos (N,) and shown (V, A), got {probs.shape}, {videos.shape} and {shown.shape}"
        )
    temperatures = tuple(
        _least_surprising(_shown_or_not(own), videos, truth.astype(np.int64))
        if truth.any() and not truth.all()
        else 1.0
        for own, truth in zip(probs.T, shown.T, strict=True)
    )
    return Calibration(class_temperatures=temperatures)


def _least_surprising(probs: NDArray[np.float64], videos: NDArray[np.integer], targets: NDArray[np.integer]) -> float:
    """Return the temperature of the least sum of -log p of the right classes; see `fit_calibration`."""

    def surprise(log_temperature: float) -> float:
        of_videos = _video_means(tempered(probs, float(np.exp(log_temperature))), videos, len(targets))
        own = of_videos[np.arange(len(targets)), targets]
        return float(-np.log(np.maximum(own, _LEAST_PROB)).sum() + log_temperature**2 / (2 * _SPREAD**2))

    end = float(np.log(_LARGEST_TEMPERATURE))
    centre, reach = 0.0, end
    for _ in range(3):  # around the best of a grid a finer one
        grid = np.clip(np.linspace(centre - reach, centre + reach, 33), -end, end)
        centre = float(grid[np.argmin([surprise(value) for value in grid])])
        reach /= 16
    return float(np.exp(centre))


def reliability(probs: NDArray[np.floating], targets: NDArray[np.integer]) -> tuple[ReliabilityBin, ...]:
    """Return `NUM_BINS` bins of the answers, by their probability; for a diagram.

    Args:
        probs: Of each video, `(V, A)`.
        targets: Label ids, `(V,)`.

    Raises:
        ShapeError: If the arrays do not fit each other.
    """
    if probs.ndim != 2 or targets.shape != (len(probs),):
        raise ShapeError(f"expected probs (V, A) and targets (V,), got {probs.shape} and {targets.shape}")
    return reliability_of(probs.max(axis=1), probs.argmax(axis=1) == targets)


def reliability_of(said: NDArray[np.floating], right: NDArray[np.bool_]) -> tuple[ReliabilityBin, ...]:
    """Return `NUM_BINS` bins of answers by their probability, whatever they are about.

    Args:
        said: Probability of each answer, `(N,)`.
        right: Whether it is right, `(N,)`.
    """
    edges = np.linspace(0.0, 1.0, NUM_BINS + 1)
    places = np.clip(np.searchsorted(edges, said, side="left") - 1, 0, NUM_BINS - 1)
    bins = []
    for place in range(NUM_BINS):
        own = places == place
        count = int(own.sum())
        prob, accuracy = (float(said[own].mean()), float(right[own].mean())) if count else (0.0, 0.0)
        bins.append(ReliabilityBin(float(edges[place]), float(edges[place + 1]), count, prob, accuracy))
    return tuple(bins)


def pooled(parts: Sequence[Sequence[ReliabilityBin]]) -> tuple[ReliabilityBin, ...]:
    """Return the bins of all answers from those of parts of them, such as recordings; of no part there are none."""
    bins = []
    for of_bin in zip(*parts, strict=True):
        count = sum(one.count for one in of_bin)
        prob, accuracy = (
            sum(one.count * share for one, share in zip(of_bin, shares, strict=True)) / max(1, count)
            for shares in ([one.prob for one in of_bin], [one.accuracy for one in of_bin])
        )
        bins.append(ReliabilityBin(of_bin[0].low, of_bin[0].high, count, prob, accuracy))
    return tuple(bins)


def calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Return the expected calibration error, in 0-1: how far probability and accuracy are apart, over the videos.

    Source: Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning".
    """
    total = sum(one.count for one in bins)
    return sum(one.count * abs(one.prob - one.accuracy) for one in bins) / total if total else 0.0


def _video_means(values: NDArray[np.float64], videos: NDArray[np.integer], number: int) -> NDArray[np.float64]:
    sums = np.zeros((number, values.shape[1]))
    np.add.at(sums, videos, values)
    means: NDArray[np.float64] = sums / np.bincount(videos, minlength=number)[:, None]
    return means
