"""What an evaluation on recordings says: scores with intervals, class by class, recording by recording, as files."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrcn.annotations.formats import write_annotations
from lrcn.bouts import BACKGROUND, Annotations, Span
from lrcn.evaluation.recognition.report import FailedVideo
from lrcn.files import replacing_table, write_json
from lrcn.inference.recognition.bouts import FoundBouts
from lrcn.metrics.agreement import AgreementTally, summarise_agreement
from lrcn.metrics.calibration import ReliabilityBin, calibration_error, pooled
from lrcn.metrics.intervals import bootstrap_interval
from lrcn.metrics.recording_pairs import TICK_S, Pair
from lrcn.metrics.temporal import F1_IOUS, MAP_IOUS, RecordingTally, summarise

RECORDINGS_SCHEMA = 1
"""Version of the JSON that `RecordingsReport.to_dict` gives."""


@dataclass(frozen=True)
class FrameScores:
    """How right the most probable class of single frames is, and how right it says it is; nan without frames.

    Of a model that judges each class by itself: every class of every frame is an answer, yes from 0.5 on.
    """

    bins: tuple[ReliabilityBin, ...]
    number: int
    """Answers."""
    expected_accuracy: float
    """Mean probability that the model gives to its answers, in 0-1."""
    accuracy: float
    """Share of the answers that are right, in 0-1."""


class RecordingTallies(NamedTuple):
    """What figures of one recording, or of many, are made of."""

    temporal: RecordingTally
    agreement: AgreementTally
    frames: FrameScores


class RecordingView(NamedTuple):
    """A recording as it is looked at on the page."""

    pair: Pair
    """What is annotated, and what was found."""
    found: FoundBouts
    known: tuple[Span, ...]
    """Where it is known what is shown, in order."""


@dataclass(frozen=True)
class Figure:
    """A score and its 95 % interval over recordings drawn anew; nan where there is nothing to count."""

    value: float
    low: float = math.nan
    """nan with fewer than two recordings."""
    high: float = math.nan


@dataclass(frozen=True)
class BehaviourScores:
    """Scores of one behaviour; shares are in 0-1, nan where there is nothing to count."""

    label: str
    true_bouts: int
    found_bouts: int
    precision: float
    """Share of the time predicted that shows it."""
    recall: float
    """Share of the time that shows it that is predicted."""
    f1: Figure
    """Of time."""
    f1_at_50: Figure
    """Of bouts, at an IoU of 0.5."""
    ap_at_50: Figure
    """Average precision of bouts, at an IoU of 0.5."""
    kappa: float
    """Cohen's, between model and annotator."""


@dataclass(frozen=True)
class RecordingScores:
    """Scores of one recording; shares are in 0-1, nan where there is nothing to count."""

    recording: str
    known_s: float
    true_bouts: int
    found_bouts: int
    f1_at_50: float
    """Of bouts, at an IoU of 0.5."""
    edit: float
    accuracy: float
    """Share of the time of which bouts say what is shown."""
    kappa: float
    """Cohen's, between model and annotator."""
    expected_frame_accuracy: float
    """What the probabilities of single frames say their accuracy is."""
    frame_accuracy: float
    """What it is."""


@dataclass(frozen=True)
class BudgetComparison:
    """How often and how long a behaviour is shown in a recording, as annotated and as predicted."""

    recording: str
    label: str
    true_count: int
    found_count: int
    true_s: float
    found_s: float
    true_percent: float | None
    """Of what was looked at; None where it is not said how much that is."""
    found_percent: float | None
    true_latency_s: float | None
    """From the start of what was looked at to the first; None where there is none."""
    found_latency_s: float | None


SCORES = (
    "mean_map",
    *(f"map_at_{iou}" for iou in MAP_IOUS),
    *(f"f1_at_{iou}" for iou in F1_IOUS),
    "edit",
    "accuracy",
    "bouts_per_true_bout",
    "kappa",
    "frame_accuracy",
    "expected_frame_accuracy",
    "calibration_error",
)
"""Names of the scores over recordings, as `docs/behaviour.md` defines them."""


@dataclass(frozen=True)
class RecordingsReport:
    """Scores of a model on the recordings of one split of a data set."""

    data: str
    split: str
    model: dict[str, str]
    """`name` and `sha256` of the model file, and the `runtime` that ran it."""
    num_recordings: int
    """Those that could be read."""
    known_s: float
    """Seconds of which it is known what they show: nothing else counts."""
    labels: tuple[str, ...]
    """The behaviours scored."""
    scores: dict[str, Figure]
    """Name of `SCORES` -> figure."""
    per_class: tuple[BehaviourScores, ...]
    """In the order of `labels`."""
    confusion_s: tuple[tuple[float, ...], ...]
    """Seconds: row = what is shown, column = what is predicted, in the order of `labels`, then `background`; empty
    where several behaviours may be shown at once."""
    reliability: tuple[ReliabilityBin, ...]
    """Answers of single frames by their probability."""
    recordings: tuple[RecordingScores, ...]
    budget: tuple[BudgetComparison, ...]
    failures: tuple[FailedVideo, ...] = ()
    warnings: tuple[str, ...] = ()
    views: tuple[RecordingView, ...] = field(default=(), repr=False)
    """What each recording shows and what was found; no part of the JSON."""
    tallies: tuple[RecordingTallies, ...] = field(default=(), repr=False)
    """Of each recording, for intervals and comparisons; no part of the JSON."""

    def to_dict(self) -> dict[str, Any]:
        """Return the documented JSON object; None for nan."""
        names = [one.name for one in fields(self) if one.name not in ("views", "tallies")]
        values = {name: _plain(getattr(self, name)) for name in names}
        return {"schema": RECORDINGS_SCHEMA, "task": "recognition", "of": "recordings", **values}

    def to_json(self) -> str:
        """Return `to_dict` as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def save(self, folder: Path) -> tuple[Path, ...]:
        """Write the report into a folder and return the paths.

        They are `report.json`, `scores.csv`, `per_class.csv`, `recordings.csv`, `time_budget.csv`, `bouts.csv` with the
        predicted bouts, and `confusion.csv` in seconds where one behaviour at a time is shown.
        """
        names = ["report.json", "scores.csv", "per_class.csv", "recordings.csv", "time_budget.csv", "bouts.csv"]
        paths = [folder / name for name in names]
        write_json(paths[0], self.to_dict(), indent=1)
        scores = [(name, one.value, one.low, one.high) for name, one in self.scores.items()]
        _write_table(paths[1], ("score", "value", "low", "high"), scores)
        _write_table(paths[2], _columns(BehaviourScores), (_cells(row) for row in self.per_class))
        _write_table(paths[3], _columns(RecordingScores), map(astuple, self.recordings))
        _write_table(paths[4], _columns(BudgetComparison), map(astuple, self.budget))
        others = tuple(view.pair.other for view in self.views)
        num_bouts = sum(len(recording.bouts) for recording in others)
        write_annotations(
            Annotations(self.data, others, self.labels, num_events=num_bouts), paths[5], format="bouts-csv"
        )
        if self.confusion_s:
            names = [*self.labels, BACKGROUND]
            rows = [(label, *row) for label, row in zip(names, self.confusion_s, strict=True)]
            paths.append(folder / "confusion.csv")
            _write_table(paths[-1], ("seconds shown / predicted", *names), rows)
        return tuple(paths)


def report_of(
    views: Sequence[RecordingView],
    tallies: Sequence[RecordingTallies],
    *,
    data: str,
    split: str,
    model: dict[str, str],
    labels: tuple[str, ...],
    confusion_s: tuple[tuple[float, ...], ...],
    budget: tuple[BudgetComparison, ...],
    failures: tuple[FailedVideo, ...],
    warnings: tuple[str, ...],
) -> RecordingsReport:
    """Return the report of recordings from their tallies, one at least; the rest is passed on."""
    values = figures(tallies)
    low = high = np.full_like(values, np.nan)
    if len(tallies) > 1:
        low, high = bootstrap_interval(tallies, figures)
    every = [Figure(*row) for row in np.stack([values, low, high], axis=1).tolist()]
    of_classes = [every[len(SCORES) + place : len(SCORES) + place + 3] for place in range(0, 3 * len(labels), 3)]
    temporal = summarise([one.temporal for one in tallies])
    agreed = summarise_agreement([one.agreement for one in tallies])
    return RecordingsReport(
        data=data,
        split=split,
        model=model,
        num_recordings=len(views),
        known_s=temporal.known_s,
        labels=labels,
        scores=dict(zip(SCORES, every, strict=False)),
        per_class=tuple(
            BehaviourScores(
                label=label,
                true_bouts=one.true_bouts,
                found_bouts=one.found_bouts,
                precision=one.precision,
                recall=one.recall,
                f1=f1,
                f1_at_50=f1_at_50,
                ap_at_50=ap_at_50,
                kappa=agreed.classes[label].kappa,
            )
            for (label, one), (f1, f1_at_50, ap_at_50) in zip(temporal.classes.items(), of_classes, strict=True)
        ),
        confusion_s=confusion_s,
        reliability=pooled([one.frames.bins for one in tallies]),
        recordings=tuple(_recording_scores(view, one) for view, one in zip(views, tallies, strict=True)),
        budget=budget,
        failures=failures,
        warnings=warnings,
        views=tuple(views),
        tallies=tuple(tallies),
    )


def figures(tallies: Sequence[RecordingTallies]) -> NDArray[np.float64]:
    """Return `SCORES` over recordings, then of each class the F1 of time, and F1 and precision of bouts at 0.5."""
    temporal = summarise([one.temporal for one in tallies])
    frames = [one.frames for one in tallies if one.frames.number]
    number = sum(one.number for one in frames)
    values = [
        temporal.mean_map,
        *temporal.map_at.values(),
        *temporal.f1_at.values(),
        temporal.edit,
        temporal.accuracy,
        temporal.bouts_per_true_bout,
        summarise_agreement([one.agreement for one in tallies]).kappa,
        sum(one.accuracy * one.number for one in frames) / number if number else math.nan,
        sum(one.expected_accuracy * one.number for one in frames) / number if number else math.nan,
        calibration_error(pooled([one.bins for one in frames])) if number else math.nan,
    ]
    for of_class in temporal.classes.values():
        values += [of_class.f1, of_class.f1_at[0.5], of_class.ap[0.5]]
    return np.array(values)


def _recording_scores(view: RecordingView, tallies: RecordingTallies) -> RecordingScores:
    temporal = summarise([tallies.temporal])
    return RecordingScores(
        recording=view.pair.truth.name,
        known_s=tallies.temporal.num_ticks * TICK_S,
        true_bouts=int(tallies.temporal.true_bouts.sum()),
        found_bouts=int(tallies.temporal.found_bouts.sum()),
        f1_at_50=temporal.f1_at[0.5],
        edit=temporal.edit,
        accuracy=temporal.accuracy,
        kappa=summarise_agreement([tallies.agreement]).kappa,
        expected_frame_accuracy=tallies.frames.expected_accuracy,
        frame_accuracy=tallies.frames.accuracy,
    )


def _plain(value: Any) -> Any:
    """Return a value in types of JSON."""
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return _plain(asdict(value)) if hasattr(value, "__dataclass_fields__") else value


def _columns(row_class: type[Any]) -> list[str]:
    """Return the names of fields; a `Figure` takes three columns."""
    return [
        column
        for one in fields(row_class)
        for column in ([one.name, f"{one.name}_low", f"{one.name}_high"] if one.type == "Figure" else [one.name])
    ]


def _cells(row: BehaviourScores) -> list[object]:
    values = (getattr(row, one.name) for one in fields(row))
    return [cell for value in values for cell in (astuple(value) if isinstance(value, Figure) else (value,))]


def _write_table(path: Path, header: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    with replacing_table(path) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(header)
        table.writerows([[_cell(value) for value in row] for row in rows])


def _cell(value: object) -> object:
    if isinstance(value, float):
        return "NA" if math.isnan(value) else f"{value:.6g}"
    return "NA" if value is None else value
