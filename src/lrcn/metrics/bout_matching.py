"""Which predicted bouts are right? Two rules of the field, for the bouts of one label in one recording."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lrcn.metrics.recording_pairs import Part

HIT, MISS, LEFT_OUT = 1, 0, -1
"""What becomes of a predicted bout; one that is left out counts neither way (it is doubtful, and matched nothing)."""


def overlaps(found: Sequence[Part], truths: Sequence[Part]) -> list[tuple[int, NDArray[np.float64]]]:
    """Return intersection over union in time of each predicted bout with the true ones near it.

    Args:
        found: P predicted bouts.
        truths: True bouts, by start.

    Returns:
        For each predicted bout, the place of the first true bout near it and the IoUs of that and those that follow it,
        in 0-1. With all others it shares no moment: there may be thousands of bouts in a recording.
    """
    starts, ends = (np.array([part[side] for part in truths], dtype=np.float64) for side in (1, 2))
    first = np.searchsorted(np.maximum.accumulate(ends), [part.start_s for part in found], side="right")
    last = np.searchsorted(starts, [part.end_s for part in found], side="left")
    near = []
    for part, low, high in zip(found, first.tolist(), last.tolist(), strict=True):
        start, end = starts[low:high], ends[low:high]
        common = np.maximum(0.0, np.minimum(end, part.end_s) - np.maximum(start, part.start_s))
        near.append((low, common / (end - start + (part.end_s - part.start_s) - common)))
    return near


def match_by_prob(found: Sequence[Part], truths: Sequence[Part], ious: Sequence[float]) -> NDArray[np.int8]:
    """Return `HIT`, `MISS` or `LEFT_OUT` of each predicted bout at each IoU, `(P, len(ious))`.

    As ActivityNet does: the surest predicted bout takes the true one it overlaps most, if that is enough, then the next
    takes among those that are left. Of equally sure ones the first in order comes first.
    """
    near = overlaps(found, truths)
    outcome = np.full((len(found), len(ious)), MISS, dtype=np.int8)
    order = sorted(range(len(found)), key=lambda place: -found[place].prob)
    for column, least in enumerate(ious):
        free = np.ones(len(truths), dtype=np.bool_)
        for place in order:
            first, iou = near[place]
            enough = np.flatnonzero(free[first : first + len(iou)] & (iou >= least))
            if len(enough):
                free[first + enough[iou[enough].argmax()]] = False
                outcome[place, column] = HIT
            elif found[place].doubtful:
                outcome[place, column] = LEFT_OUT
    return outcome


def match_in_order(found: Sequence[Part], truths: Sequence[Part], least: float) -> tuple[int, int, int]:
    """Return right, wrong and missed bouts at an IoU.

    As Lea et al. 2017 do (arXiv:1611.05267): a predicted bout, in the order of time, is right if the true one that it
    overlaps most reaches the IoU and is not taken yet.
    """
    taken: set[int] = set()
    wrong = 0
    for part, (first, iou) in zip(found, overlaps(found, truths), strict=True):
        best = first + int(iou.argmax()) if len(iou) else -1
        if best >= 0 and best not in taken and iou[best - first] >= least:
            taken.add(best)
        elif not part.doubtful:
            wrong += 1
    return len(taken), wrong, len(truths) - len(taken)


def average_precision(probs: NDArray[np.float64], hits: NDArray[np.bool_], num_true: int) -> float:
    """Return the area under precision over recall, where precision at a recall is the best at that recall or above.

    Args:
        probs: Of the predicted bouts of all recordings, `(P,)`.
        hits: Whether each is right, `(P,)`.
        num_true: True bouts, at least 1.
    """
    right = hits[np.argsort(-probs, kind="stable")]
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best[right].sum() / num_true)


def edit_distance(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how few insertions, deletions and replacements turn one sequence into the other (Levenshtein)."""
    codes = {label: code for code, label in enumerate({*one, *other})}
    target = np.array([codes[label] for label in other], dtype=np.int64)
    steps = np.arange(len(other) + 1)
    row = steps.copy()
    for count, label in enumerate(one, start=1):
        best = np.concatenate(([count], np.minimum(row[1:] + 1, row[:-1] + (target != codes[label]))))
        row = np.minimum.accumulate(best - steps) + steps  # insertions, from left to right
    return int(row[-1])
