"""Cross-validation by groups: clips of one person, recording or source are judged together, never trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_LEFT_OUT_ALONE = 14
"""Groups up to which each is left out by itself."""

_RESAMPLINGS = 2000


@dataclass(frozen=True)
class Fold:
    """Positions of clips; every clip is judged in one fold."""

    trained: NDArray[np.int64]
    judged: NDArray[np.int64]


def number_of_folds(groups: Sequence[str], most: int) -> int:
    """Return the number of groups where they are few (each is then left out by itself), else `most`."""
    different = len(set(groups))
    return different if different <= MOST_LEFT_OUT_ALONE else most


def grouped_folds(groups: Sequence[str], num_folds: int) -> list[Fold]:
    """Return folds of whole groups, about equal in clips.

    Raises:
        SystemExit: If there are fewer groups than folds, or fewer than two folds.
    """
    sizes = Counter(groups)
    if not 2 <= num_folds <= len(sizes):
        raise SystemExit(f"{num_folds} folds of {len(sizes)} groups: at least two folds, and a group for each")
    parts: list[list[str]] = [[] for _ in range(num_folds)]
    counts = [0] * num_folds
    for group in sorted(sizes, key=lambda group: (-sizes[group], group)):  # the largest first, each to the emptiest
        emptiest = counts.index(min(counts))
        parts[emptiest].append(group)
        counts[emptiest] += sizes[group]
    of_clip = np.array(groups)
    inside = [np.isin(of_clip, part) for part in parts]
    return [Fold(np.flatnonzero(~judged), np.flatnonzero(judged)) for judged in inside]


def interval_by_group(right: NDArray[np.float64], groups: Sequence[str]) -> tuple[float, float]:
    """Return the 95 % interval of the share of right clips, drawn anew from whole groups (percentile bootstrap).

    Args:
        right: How often each clip was named rightly, from 0 to 1.
        groups: Of each clip.
    """
    names, of_clip = np.unique(np.array(groups), return_inverse=True)
    right_in = np.bincount(of_clip, weights=right)
    clips_in = np.bincount(of_clip)
    drawn = np.random.default_rng(0).integers(len(names), size=(_RESAMPLINGS, len(names)))
    shares = right_in[drawn].sum(axis=1) / clips_in[drawn].sum(axis=1)
    low, high = np.percentile(shares, [2.5, 97.5])
    return float(low), float(high)
