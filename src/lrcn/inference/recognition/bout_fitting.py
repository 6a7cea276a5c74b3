"""Choose how bouts are found, on recordings that were not trained on.

One setting after the other is tried over a coarse ladder until none gets better, then over a fine one; last, the
thresholds of single classes. It is the same settings whoever fits them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrcn.bouts import BACKGROUND, Recording
from lrcn.config import BoutSettings
from lrcn.inference.recognition.bouts import bouts_of, without_lag
from lrcn.metrics.recording_pairs import Pair
from lrcn.metrics.temporal import TemporalScores, temporal_scores
from lrcn.results import UNKNOWN

ROUNDS = 3
"""Over the coarse ladder, at most."""

_COARSE = {
    "lag": (0.0, 0.05, 0.1, 0.15, 0.2, 0.25),
    "shortest": (0.0, 0.25, 0.5, 0.75, 1.0),
    "threshold": (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    "smooth": (0.0, 0.1, 0.2, 0.4, 0.8),
    "low": (0.0, 0.25, 0.5, 0.75, 1.0),
    "gap": (0.0, 0.125, 0.25, 0.5, 1.0),
}
_FINE = {name: (0.8, 1.25) for name in _COARSE}
"""Factors."""
_OWN = (0.6, 0.8, 1.25, 1.5)
"""Factors of a class's own threshold."""
_SHORTER = 0.1
"""Share of a class's bouts that are its shorter ones."""
_FEW = 5
"""With fewer bouts a class keeps the common threshold."""
_LEAST_GAIN = 5e-3
"""Of a class's own threshold: a smaller one is chance."""


@dataclass(frozen=True)
class KnownRecording:
    """A recording whose bouts are known, and what a model says of its frames."""

    truth: Recording
    probs: NDArray[np.float32]
    """`(T, A)`, with the model's lag."""
    borders_s: NDArray[np.float64]
    """`(T + 1,)`"""


@dataclass(frozen=True)
class _Choice:
    """Settings as few numbers."""

    lag: float
    """Share of a clip's length."""
    smooth: float
    """The same."""
    threshold: float
    low: float
    """Share of the threshold."""
    shortest: float
    """Share of how long the shorter bouts of a class last."""
    gap: float
    """Share of a clip's length."""
    own: tuple[float, ...]
    """What the threshold is multiplied with, of each class."""


def fit_bout_settings(
    recordings: Sequence[KnownRecording], labels: tuple[str, ...], *, clip_s: float, exclusive: bool
) -> BoutSettings | None:
    """Return the settings whose bouts are best: by segmental F1 at IoU 0.5 and the mean F1 of frames, added.

    Args:
        recordings: That the model was not trained on.
        labels: Of the model's classes.
        clip_s: How long its clips are.
        exclusive: Whether one class at a time is shown.

    Returns:
        None where no recording has a bout of any of the classes.
    """
    scored = tuple(label for label in labels if label not in (BACKGROUND, UNKNOWN))
    lengths_s: dict[str, list[float]] = {label: [] for label in scored}
    for recording in recordings:
        for bout in recording.truth.bouts:
            if bout.label in lengths_s and not bout.is_point:
                lengths_s[bout.label].append(bout.duration_s)
    every = [length_s for own in lengths_s.values() for length_s in own]
    if not every:
        return None
    short_s = [float(np.quantile(lengths_s.get(label) or every, _SHORTER)) for label in labels]

    def settings(choice: _Choice) -> BoutSettings:
        thresholds = tuple(round(min(0.99, choice.threshold * own), 3) for own in choice.own)
        return BoutSettings(
            smooth_s=round(choice.smooth * clip_s, 3),
            thresholds=thresholds,
            low_thresholds=tuple(round(min(1.0, choice.low) * threshold, 3) for threshold in thresholds),
            shortest_s=tuple(round(choice.shortest * length_s, 3) for length_s in short_s),
            longest_gap_s=(round(choice.gap * clip_s, 3),) * len(labels),
            lag_s=round(choice.lag * clip_s, 3),
        )

    def score(choice: _Choice) -> float:
        rules = settings(choice)
        pairs = []
        for one in recordings:
            probs = without_lag(one.probs, one.borders_s, rules.lag_s)
            found = bouts_of(probs, one.borders_s, labels, rules, exclusive=exclusive)
            pairs.append(Pair(one.truth, replace(one.truth, bouts=found)))
        return _goodness(temporal_scores(pairs, scored))

    best = _Choice(lag=0.0, smooth=0.2, threshold=0.4, low=0.5, shortest=0.5, gap=0.125, own=(1.0,) * len(labels))
    reached = score(best)
    for _ in range(ROUNDS):
        before = reached
        best, reached = _climb(best, reached, score, _COARSE, by=False)
        if reached == before:
            break
    best, reached = _climb(best, reached, score, _FINE, by=True)
    for place, label in enumerate(labels):
        if len(lengths_s.get(label, ())) < _FEW:
            continue
        for share in _OWN:
            own = (*best.own[:place], share, *best.own[place + 1 :])
            tried = replace(best, own=own)
            got = score(tried)
            if got > reached + _LEAST_GAIN:
                best, reached = tried, got
    return settings(best)


def _goodness(scores: TemporalScores) -> float:
    of_frames = [one.f1 for one in scores.classes.values() if not math.isnan(one.f1)]
    of_bouts = scores.f1_at[0.5]
    return (0.0 if math.isnan(of_bouts) else of_bouts) + (float(np.mean(of_frames)) if of_frames else 0.0)


def _climb(
    best: _Choice,
    reached: float,
    score: Callable[[_Choice], float],
    ladders: Mapping[str, Sequence[float]],
    *,
    by: bool,
) -> tuple[_Choice, float]:
    """Take, of one setting after the other, the best step of its ladder: values, or factors where it is `by` those."""
    for name, steps in ladders.items():
        start = getattr(best, name)
        for step in steps:
            changed: dict[str, Any] = {name: start * step if by else step}
            tried = replace(best, **changed)
            got = score(tried) if tried != best else reached
            if got > reached:
                best, reached = tried, got
    return best, reached
