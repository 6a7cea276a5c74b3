"""How good are predicted bouts? Figures of whole bouts and of moments, over recordings or of one of them.

Every figure comes from a tally of each recording, so that figures over all recordings, of each and of a resampling cost
little. Bouts are compared by label, whoever shows them; those of several labels may overlap. Events without length
overlap with nothing and are left out. `recording_pairs.py` says what becomes of time that was not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrcn.metrics.bout_matching import (
    HIT,
    LEFT_OUT,
    average_precision,
    edit_distance,
    match_by_prob,
    match_in_order,
)
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
    without_doubtful,
)

MAP_IOUS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
F1_IOUS = (0.1, 0.25, 0.5)


@dataclass(frozen=True)
class RecordingTally:
    """What figures of one recording, or of many, are made of. A labels."""

    name: str
    labels: tuple[str, ...]
    probs: tuple[NDArray[np.float64], ...]
    """Of the predicted bouts of each label."""
    outcomes: tuple[NDArray[np.int8], ...]
    """Of the same, at each of `MAP_IOUS`: as `match_by_prob` says."""
    true_bouts: NDArray[np.int64]
    """Of each label, `(A,)`."""
    found_bouts: NDArray[np.int64]
    """Predicted bouts of each label, `(A,)`."""
    matches: NDArray[np.int64]
    """Right, wrong and missed bouts of each label at each of `F1_IOUS`, `(A, 3, 3)`."""
    edit: float
    """1 less the edit distance of the labels in order over the longer of the two sequences."""
    ticks: NDArray[np.int64]
    """Ticks that show the label in both, in the prediction, in the truth, `(A, 3)`."""
    right_ticks: int
    """Ticks whose labels, or their absence, are those of the truth."""
    num_ticks: int
    """Ticks in known time."""


@dataclass(frozen=True)
class BoutScores:
    """Figures of one label, each in 0-1; nan where there is nothing to count."""

    ap: dict[float, float]
    """Average precision at each of `MAP_IOUS`; nan without a true bout."""
    f1_at: dict[float, float]
    """Segmental F1 at each of `F1_IOUS`."""
    precision: float
    """Share of the ticks predicted that show it."""
    recall: float
    """Share of the ticks that show it that are predicted."""
    f1: float
    """Harmonic mean of both."""
    true_bouts: int
    found_bouts: int
    """Bouts predicted."""

    @property
    def bouts_per_true_bout(self) -> float:
        """Bouts predicted over true bouts; above 1, bouts fall to pieces or are made up."""
        return _ratio(self.found_bouts, self.true_bouts)


@dataclass(frozen=True)
class TemporalScores:
    """Figures over recordings, each in 0-1; nan where there is nothing to count."""

    map_at: dict[float, float]
    """Mean over the labels with true bouts of the average precision, at each of `MAP_IOUS`."""
    f1_at: dict[float, float]
    """Segmental F1 over the bouts of all labels, at each of `F1_IOUS`."""
    edit: float
    """Edit score, the mean over recordings."""
    accuracy: float
    """Share of known ticks that show the labels predicted and no others; `background` counts as any label does."""
    bouts_per_true_bout: float
    """Bouts predicted over true bouts."""
    num_recordings: int
    known_s: float
    """Seconds of known time, in whole ticks."""
    classes: dict[str, BoutScores]

    @property
    def mean_map(self) -> float:
        """Mean of `map_at` over the IoUs."""
        return float(np.mean(list(self.map_at.values())))

    def to_dict(self) -> dict[str, Any]:
        """Return everything in types of JSON; None for nan."""
        classes = {
            label: {**asdict(one), "bouts_per_true_bout": one.bouts_per_true_bout}
            for label, one in self.classes.items()
        }
        said: dict[str, Any] = _without_nan({**asdict(self), "mean_map": self.mean_map, "classes": classes})
        return said


def tally(pair: Pair, labels: Sequence[str], *, tick_s: float = TICK_S) -> RecordingTally:
    """Compare what is predicted of one recording with the truth.

    Args:
        pair: `other` is the prediction; its `looked_at` says nothing here: what a model left out it missed.
        labels: Those that are scored; bouts of others are left out, on both sides.
        tick_s: Length of a tick of the frame-wise figures.
    """
    end_s = end_of(pair.truth, pair.other)
    known = known_time(pair.truth, end_s)
    truths = [part for part in parts(pair.truth.bouts, known) if part.label in labels]
    found = [part for part in parts(pair.other.bouts, known) if part.label in labels]
    kept = without_doubtful(found, truths)
    by_label = [([p for p in found if p.label == x], [t for t in truths if t.label == x]) for x in labels]
    longest = max(len(kept), len(truths))
    num_ticks = number_of_ticks(end_s, tick_s)
    counted = presence(known, num_ticks, tick_s)
    true_ticks, found_ticks = (label_presence(side, labels, num_ticks, tick_s)[counted] for side in (truths, found))
    matches = [[match_in_order(ours, theirs, least) for least in F1_IOUS] for ours, theirs in by_label]
    return RecordingTally(
        name=pair.truth.name,
        labels=tuple(labels),
        probs=tuple(np.array([part.prob for part in ours], dtype=np.float64) for ours, _ in by_label),
        outcomes=tuple(match_by_prob(ours, theirs, MAP_IOUS) for ours, theirs in by_label),
        true_bouts=np.array([len(theirs) for _, theirs in by_label], dtype=np.int64),
        found_bouts=np.array([sum(part.label == label for part in kept) for label in labels], dtype=np.int64),
        matches=np.array(matches, dtype=np.int64).reshape(len(labels), len(F1_IOUS), 3),
        edit=1 - edit_distance([p.label for p in kept], [t.label for t in truths]) / longest if longest else 1.0,
        ticks=np.stack(
            [(true_ticks & found_ticks).sum(axis=0), found_ticks.sum(axis=0), true_ticks.sum(axis=0)], axis=1
        ),
        right_ticks=int((true_ticks == found_ticks).all(axis=1).sum()),
        num_ticks=int(counted.sum()),
    )


def temporal_scores(
    pairs: Iterable[Pair], labels: Sequence[str] | None = None, *, tick_s: float = TICK_S
) -> TemporalScores:
    """Score predicted bouts against true ones, over all recordings.

    Examples:
        >>> from lrcn.bouts import Bout, Recording
        >>> truth = Recording("mouse1", None, (Bout("groom", 2.0, 6.0),), looked_at=((0.0, 10.0),))
        >>> found = Recording("mouse1", None, (Bout("groom", 3.0, 6.0, prob=0.9),))
        >>> scores = temporal_scores([Pair(truth, found)])
        >>> scores.map_at[0.5], scores.f1_at[0.5], scores.accuracy
        (1.0, 1.0, 0.9)

    Args:
        pairs: From `pair_recordings`; one alone gives the scores of that recording.
        labels: Those that are scored; None for all that occur on either side.
        tick_s: Length of a tick of the frame-wise figures.

    Raises:
        DataError: If a label is given twice.
    """
    pairs = list(pairs)
    labels = all_labels(pairs, labels)
    return summarise([tally(pair, labels, tick_s=tick_s) for pair in pairs], tick_s=tick_s)


def summarise(tallies: Sequence[RecordingTally], *, tick_s: float = TICK_S) -> TemporalScores:
    """Return the scores over recordings from their tallies, all of the same labels; of none, all are nan."""
    labels = tallies[0].labels if tallies else ()
    matches = sum((one.matches for one in tallies), np.zeros((len(labels), len(F1_IOUS), 3), dtype=np.int64))
    ticks = sum((one.ticks for one in tallies), np.zeros((len(labels), 3), dtype=np.int64))
    true_bouts = sum((one.true_bouts for one in tallies), np.zeros(len(labels), dtype=np.int64))
    found_bouts = sum((one.found_bouts for one in tallies), np.zeros(len(labels), dtype=np.int64))
    classes = {
        label: BoutScores(
            ap=_average_precisions(tallies, place, int(true_bouts[place])),
            f1_at={least: _f1(*matches[place, column].tolist()) for column, least in enumerate(F1_IOUS)},
            precision=_ratio(both, found),
            recall=_ratio(both, true),
            f1=_ratio(2 * both, found + true),
            true_bouts=int(true_bouts[place]),
            found_bouts=int(found_bouts[place]),
        )
        for place, (label, (both, found, true)) in enumerate(zip(labels, ticks.tolist(), strict=True))
    }
    scored = [one.ap for one in classes.values() if one.true_bouts]
    num_ticks = sum(one.num_ticks for one in tallies)
    return TemporalScores(
        map_at={least: float(np.mean([ap[least] for ap in scored])) if scored else math.nan for least in MAP_IOUS},
        f1_at={least: _f1(*matches[:, column].sum(axis=0).tolist()) for column, least in enumerate(F1_IOUS)},
        edit=_ratio(sum(one.edit for one in tallies), len(tallies)),
        accuracy=_ratio(sum(one.right_ticks for one in tallies), num_ticks),
        bouts_per_true_bout=_ratio(int(found_bouts.sum()), int(true_bouts.sum())),
        num_recordings=len(tallies),
        known_s=num_ticks * tick_s,
        classes=classes,
    )


def _average_precisions(tallies: Sequence[RecordingTally], place: int, num_true: int) -> dict[float, float]:
    if not num_true:
        return dict.fromkeys(MAP_IOUS, math.nan)
    probs = np.concatenate([one.probs[place] for one in tallies])
    outcomes = np.concatenate([one.outcomes[place] for one in tallies])
    figures = {}
    for column, least in enumerate(MAP_IOUS):
        counts = outcomes[:, column] != LEFT_OUT
        figures[least] = average_precision(probs[counts], outcomes[counts, column] == HIT, num_true)
    return figures


def _f1(right: int, wrong: int, missed: int) -> float:
    return _ratio(2 * right, 2 * right + wrong + missed)


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else math.nan


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _without_nan(one) for key, one in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
