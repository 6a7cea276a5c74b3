"""Do two annotators see the same, or a model and an annotator? Cohen's kappa over moments, and F1 of bouts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lrcn.metrics.bout_matching import match_in_order
from lrcn.metrics.recording_pairs import (
    TICK_S,
    Pair,
    all_labels,
    end_of,
    known_time,
    label_presence,
    number_of_ticks,
    parts,
    presence,
    shared,
)


@dataclass(frozen=True)
class LabelAgreement:
    """How well two agree on one label; nan where there is nothing to tell."""

    kappa: float
    """Cohen's kappa of whether each tick shows it."""
    f1: float
    """Of its bouts, as in `Agreement`."""
    share_one: float
    """Share of the ticks that show it as the first says, in 0-1."""
    share_other: float
    """Share of the ticks that show it as the second says, in 0-1."""


@dataclass(frozen=True)
class Agreement:
    """How well two agree, over all recordings; nan where there is nothing to tell."""

    kappa: float
    """Cohen's kappa of what each tick shows, at most 1, 0 by chance: all labels shown at once are one category, and
    `background` is one."""
    observed: float
    """Share of the ticks on which both say the same, in 0-1."""
    f1: float
    """Segmental F1 of the bouts of all labels at the IoU asked for, in 0-1."""
    known_s: float
    """Seconds that both looked at, in whole ticks."""
    classes: dict[str, LabelAgreement]


def cohen_kappa(counts: Counter[tuple[object, object]]) -> float:
    """Return Cohen's kappa from how often one says this and the other that; nan where both say one thing only.

    Source: Cohen 1960, "A coefficient of agreement for nominal scales".
    """
    total = sum(counts.values())
    if not total:
        return math.nan
    ones: Counter[object] = Counter()
    others: Counter[object] = Counter()
    for (one, other), count in counts.items():
        ones[one] += count
        others[other] += count
    observed = sum(count for (one, other), count in counts.items() if one == other)
    by_chance = sum(count * others[category] for category, count in ones.items())  # over total squared
    if by_chance == total * total:
        return math.nan
    return (observed * total - by_chance) / (total * total - by_chance)


def agreement(
    pairs: Iterable[Pair], labels: Sequence[str] | None = None, *, iou: float = 0.5, tick_s: float = TICK_S
) -> Agreement:
    """Compare two views of recordings in the time that both know.

    Args:
        pairs: From `pair_recordings`.
        labels: Those that are compared; None for all that occur on either side.
        iou: Least intersection over union at which two bouts are the same.
        tick_s: Length of a tick.

    Raises:
        DataError: If a label is given twice.
    """
    pairs = list(pairs)
    labels = all_labels(pairs, labels)
    counts: Counter[tuple[object, object]] = Counter()
    by_label: dict[str, Counter[tuple[object, object]]] = {label: Counter() for label in labels}
    matches = {label: [0, 0, 0] for label in labels}
    for truth, other in pairs:
        end_s = end_of(truth, other)
        known = shared(known_time(truth, end_s), known_time(other, end_s))
        sides = [[part for part in parts(view.bouts, known) if part.label in labels] for view in (truth, other)]
        for label in labels:
            ones, others = ([part._replace(doubtful=False) for part in side if part.label == label] for side in sides)
            for place, count in enumerate(match_in_order(others, ones, iou)):
                matches[label][place] += count
        num_ticks = number_of_ticks(end_s, tick_s)
        counted = presence(known, num_ticks, tick_s)
        shown = [label_presence(side, labels, num_ticks, tick_s)[counted] for side in sides]
        counts.update(zip(*(map(bytes, side) for side in shown), strict=True))
        for column, label in enumerate(labels):
            by_label[label].update(zip(*(side[:, column].tolist() for side in shown), strict=True))
    total = sum(counts.values())
    return Agreement(
        kappa=cohen_kappa(counts),
        observed=_ratio(sum(count for (one, other), count in counts.items() if one == other), total),
        f1=_f1(*(sum(matches[label][place] for label in labels) for place in range(3))),
        known_s=total * tick_s,
        classes={
            label: LabelAgreement(
                kappa=cohen_kappa(by_label[label]),
                f1=_f1(*matches[label]),
                share_one=_ratio(sum(count for (one, _), count in by_label[label].items() if one), total),
                share_other=_ratio(sum(count for (_, other), count in by_label[label].items() if other), total),
            )
            for label in labels
        },
    )


def _f1(right: int, wrong: int, missed: int) -> float:
    return _ratio(2 * right, 2 * right + wrong + missed)


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else math.nan
