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


@dataclass(frozen=True)
class AgreementTally:
    """What agreement in one recording, or in many, is made of."""

    labels: tuple[str, ...]
    counts: Counter[tuple[object, object]]
    """Ticks by what one and what the other says that they show, all labels at once."""
    by_label: tuple[Counter[tuple[object, object]], ...]
    """Of each label: ticks by whether one and whether the other says that they show it."""
    matches: tuple[tuple[int, int, int], ...]
    """Of each label: bouts that both have, that the other has alone, that the first has alone."""


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
    return summarise_agreement([agreement_tally(pair, labels, iou=iou, tick_s=tick_s) for pair in pairs], tick_s=tick_s)


def agreement_tally(pair: Pair, labels: Sequence[str], *, iou: float = 0.5, tick_s: float = TICK_S) -> AgreementTally:
    """Compare two views of one recording; arguments as for `agreement`."""
    truth, other = pair
    end_s = end_of(truth, other)
    known = shared(known_time(truth, end_s), known_time(other, end_s))
    sides = [[part for part in parts(view.bouts, known) if part.label in labels] for view in (truth, other)]
    matches = []
    for label in labels:
        ones, others = ([part._replace(doubtful=False) for part in side if part.label == label] for side in sides)
        matches.append(match_in_order(others, ones, iou))
    num_ticks = number_of_ticks(end_s, tick_s)
    counted = presence(known, num_ticks, tick_s)
    shown = [label_presence(side, labels, num_ticks, tick_s)[counted] for side in sides]
    return AgreementTally(
        labels=tuple(labels),
        counts=Counter(zip(*(map(bytes, side) for side in shown), strict=True)),
        by_label=tuple(
            Counter(zip(*(side[:, column].tolist() for side in shown), strict=True)) for column in range(len(labels))
        ),
        matches=tuple(matches),
    )


def summarise_agreement(tallies: Sequence[AgreementTally], *, tick_s: float = TICK_S) -> Agreement:
    """Return how well two agree over recordings from their tallies, all of the same labels."""
    labels = tallies[0].labels if tallies else ()
    counts: Counter[tuple[object, object]] = Counter()
    by_label: list[Counter[tuple[object, object]]] = [Counter() for _ in labels]
    for one in tallies:
        counts.update(one.counts)
        for own, more in zip(by_label, one.by_label, strict=True):
            own.update(more)
    matches = [[sum(one.matches[place][kind] for one in tallies) for kind in range(3)] for place in range(len(labels))]
    total = sum(counts.values())
    return Agreement(
        kappa=cohen_kappa(counts),
        observed=_ratio(sum(count for (one, other), count in counts.items() if one == other), total),
        f1=_f1(*(sum(of_label[kind] for of_label in matches) for kind in range(3))),
        known_s=total * tick_s,
        classes={
            label: LabelAgreement(
                kappa=cohen_kappa(own),
                f1=_f1(*of_label),
                share_one=_ratio(sum(count for (one, _), count in own.items() if one), total),
                share_other=_ratio(sum(count for (_, other), count in own.items() if other), total),
            )
            for label, own, of_label in zip(labels, by_label, matches, strict=True)
        },
    )


def _f1(right: int, wrong: int, missed: int) -> float:
    return _ratio(2 * right, 2 * right + wrong + missed)


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else math.nan
