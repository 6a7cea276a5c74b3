"""Is one model better than another? Differences on the same recordings or videos, with paired intervals."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrcn.errors import DataError
from lrcn.evaluation.recognition.recording_report import (
    SCORES,
    RecordingsReport,
    RecordingTallies,
    figures,
)
from lrcn.evaluation.recognition.report import EvaluationReport, VideoPrediction
from lrcn.files import replacing_table
from lrcn.metrics.intervals import bootstrap_interval

LOWER_IS_BETTER = frozenset({"calibration_error"})
NEITHER = frozenset({"bouts_per_true_bout", "expected_frame_accuracy"})
"""Scores of which neither more nor less is better."""

LEAST_NUMBER = 5
"""Recordings or groups from which on an interval is told in words: of two, every drawing is one of three."""

CLIP_SCORES = ("top1", "mean_class_accuracy", "label_prob")


@dataclass(frozen=True)
class Difference:
    """One score of two models on the same examples; nan where there is nothing to count."""

    score: str
    first: float
    """Of the model that is evaluated."""
    second: float
    """Of the model that it is compared with."""
    difference: float
    """The first less the second."""
    low: float
    """Of the 95 % interval of the difference; nan with fewer than two recordings or groups."""
    high: float


@dataclass(frozen=True)
class Comparison:
    """Two models on the same examples."""

    first: dict[str, str]
    """`name` and `sha256` of the model that is evaluated."""
    second: dict[str, str]
    drawn: str
    """What the bootstrap draws anew, in the plural: `recordings` or `groups`."""
    number: int
    """How many of them there are."""
    differences: tuple[Difference, ...]

    def verdict(self, one: Difference) -> str:
        """Return `better`, `worse` or `no clear difference`, of the first; empty for what is neither."""
        if one.score in NEITHER:
            return ""
        if self.number < LEAST_NUMBER:
            return f"too few {self.drawn} to tell"
        if not (one.low > 0 or one.high < 0):
            return "no clear difference"
        return "better" if (one.difference > 0) != (one.score in LOWER_IS_BETTER) else "worse"

    def to_dict(self) -> dict[str, Any]:
        """Return everything in types of JSON; None for nan."""
        rows = [
            {
                key: None if isinstance(value, float) and math.isnan(value) else value
                for key, value in asdict(one).items()
            }
            for one in self.differences
        ]
        return {**asdict(self), "differences": rows}

    def save(self, path: Path) -> None:
        """Write the differences as CSV."""
        with replacing_table(path) as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow([*(one.name for one in fields(Difference)), "first is"])
            table.writerows([*astuple(one), self.verdict(one)] for one in self.differences)


def compare(first: EvaluationReport | RecordingsReport, second: EvaluationReport | RecordingsReport) -> Comparison:
    """Compare two models by their reports on the same examples.

    Raises:
        DataError: If they are not of the same examples and classes.
    """
    if isinstance(first, RecordingsReport) and isinstance(second, RecordingsReport):
        return compare_recordings(first, second)
    if isinstance(first, EvaluationReport) and isinstance(second, EvaluationReport):
        return compare_clips(first, second)
    raise DataError("a report on clips and one on recordings cannot be compared")


def compare_recordings(first: RecordingsReport, second: RecordingsReport) -> Comparison:
    """Compare two models by their reports on the same recordings.

    Raises:
        DataError: If they are not of the same recordings and behaviours.
    """
    names = [[view.pair.truth.name for view in report.views] for report in (first, second)]
    if names[0] != names[1] or first.labels != second.labels:
        raise DataError("only models with the same behaviours can be compared, on the same recordings")
    pairs = list(zip(first.tallies, second.tallies, strict=True))

    def differences(drawn: Sequence[tuple[RecordingTallies, RecordingTallies]]) -> NDArray[np.float64]:
        ours, theirs = (figures([pair[side] for pair in drawn])[: len(SCORES)] for side in (0, 1))
        return ours - theirs

    low = high = np.full(len(SCORES), np.nan)
    if len(pairs) > 1:
        low, high = bootstrap_interval(pairs, differences)
    ours, theirs = ([report.scores[name].value for name in SCORES] for report in (first, second))
    rows = _rows(SCORES, ours, theirs, low.tolist(), high.tolist())
    return Comparison(first.model, second.model, "recordings", len(pairs), rows)


def compare_clips(first: EvaluationReport, second: EvaluationReport) -> Comparison:
    """Compare two models by their reports on the same videos; the bootstrap draws groups of videos of one source.

    Raises:
        DataError: If they are not of the same videos and classes.
    """
    places = [[(one.path, one.start_s, one.end_s) for one in report.predictions] for report in (first, second)]
    if places[0] != places[1] or first.labels != second.labels:
        raise DataError("only models with the same classes can be compared, on the same videos")
    groups: dict[str, list[tuple[VideoPrediction, VideoPrediction]]] = defaultdict(list)
    for pair in zip(first.predictions, second.predictions, strict=True):
        groups[pair[0].group or pair[0].path].append(pair)

    def scores(drawn: Sequence[Sequence[tuple[VideoPrediction, VideoPrediction]]], side: int) -> NDArray[np.float64]:
        rows = [pair[side] for group in drawn for pair in group]
        right = np.array([row.rank == 1 for row in rows])
        names, classes = np.unique([row.label for row in rows], return_inverse=True)
        means = [right[classes == place].mean() for place in range(len(names))]
        return np.array([right.mean(), np.mean(means), np.mean([row.label_prob for row in rows])])

    items = list(groups.values())
    low = high = np.full(len(CLIP_SCORES), np.nan)
    if len(items) > 1:
        low, high = bootstrap_interval(items, lambda drawn: scores(drawn, 0) - scores(drawn, 1))
    ours, theirs = (scores(items, side).tolist() for side in (0, 1))
    rows = _rows(CLIP_SCORES, ours, theirs, low.tolist(), high.tolist())
    return Comparison(first.model, second.model, "groups", len(items), rows)


def _rows(
    names: Sequence[str], first: Sequence[float], second: Sequence[float], low: Sequence[float], high: Sequence[float]
) -> tuple[Difference, ...]:
    return tuple(
        Difference(name, ours, theirs, ours - theirs, *ends)
        for name, ours, theirs, *ends in zip(names, first, second, low, high, strict=True)
    )
