"""How good is a model on a data set? Every video goes through the code that recognises videos, so the numbers agree.

Features are always computed afresh: the cache that training keeps holds float16, and would change the last digits.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lrcn.bouts import Region
from lrcn.data.recognition.examples import SEVERAL_AT_ONCE
from lrcn.data.recognition.readers import RecognitionData, RecognitionExample, read_recognition_data
from lrcn.errors import DataError, MediaError, unknown_name_message
from lrcn.files import replacing_table, write_json
from lrcn.inference.recognition.calling import VideoRecognizer
from lrcn.metrics.calibration import ReliabilityBin, calibration_error, reliability
from lrcn.metrics.classification import (
    class_scores,
    confusion_matrix,
    mean_class_accuracy,
    target_ranks,
    wilson_interval,
)
from lrcn.results import RecognitionResult


class Predictor(Protocol):
    """Anything that recognises a video, such as `Recognizer`."""

    @property
    def task(self) -> str:
        """Name of a row of `lrcn.tasks`."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names; the position is the label id."""

    def __call__(self, source: Path, *, start_s: float, end_s: float | None, roi: Region | None) -> RecognitionResult:
        """Return what a part of a video shows, or a region of it; raise `MediaError` where it cannot be read."""


REPORT_SCHEMA = 1
"""Version of the JSON that `EvaluationReport.to_dict` gives."""


@dataclass(frozen=True)
class VideoPrediction:
    """What the model said about one example, and what would have been right."""

    path: str
    start_s: float
    end_s: float | None
    """None where the example goes to the end of the video."""
    label: str
    """The right class."""
    predicted: str
    prob: float
    """Of the predicted class."""
    label_prob: float
    """Of the right class."""
    rank: int
    """Place of the right class among the probabilities: 1 is a right answer."""
    known: bool = True
    """Whether the model can tell that it shows a class; every score but `top1_known` counts all videos."""
    group: str = ""
    """The source video, person or place."""
    roi: Region | None = None
    """Where in the picture was looked; None for all of it."""


@dataclass(frozen=True)
class ClassReport:
    """Scores of one class; 0 where there is nothing to divide by."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    """Examples of the class."""


@dataclass(frozen=True)
class FailedVideo:
    """An example that could not be read; it counts in no score."""

    path: str
    message: str


@dataclass(frozen=True)
class EvaluationReport:
    """Scores of a model on one split of a data set; every share is in 0-1 and counts videos, not windows."""

    data: str
    split: str
    model: dict[str, str]
    """`name` and `sha256` of the model file."""
    num_videos: int
    """Those that could be read."""
    top1: float
    top1_interval: tuple[float, float]
    """95 % confidence interval of `top1` (Wilson)."""
    top5: float
    mean_class_accuracy: float
    """Mean recall of the classes that have examples."""
    per_class: tuple[ClassReport, ...]
    """In the order of the model's labels."""
    confusion: tuple[tuple[int, ...], ...]
    """Counts: row = right class, column = predicted class, in the order of the model's labels."""
    labels: tuple[str, ...]
    """The model's labels."""
    predictions: tuple[VideoPrediction, ...]
    calibration_error: float
    """Expected calibration error, in 0-1: how far the probability of the answers and their accuracy are apart."""
    reliability: tuple[ReliabilityBin, ...]
    """The answers by their probability."""
    num_unknown: int
    """Videos that show none of the classes, as far as the model can tell."""
    top1_known: float | None
    """`top1` of the others; None where there are none."""
    failures: tuple[FailedVideo, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the documented JSON object."""
        return {"schema": REPORT_SCHEMA, "task": "recognition", **asdict(self)}

    def to_json(self) -> str:
        """Return `to_dict` as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def save(self, folder: Path) -> tuple[Path, ...]:
        """Write `report.json`, `per_class.csv`, `confusion.csv` and `predictions.csv`; return their paths."""
        paths = tuple(folder / name for name in ("report.json", "per_class.csv", "confusion.csv", "predictions.csv"))
        write_json(paths[0], self.to_dict(), indent=1)
        _write_table(paths[1], _fields_of(ClassReport), [astuple(row) for row in self.per_class])
        counts = [(label, *row) for label, row in zip(self.labels, self.confusion, strict=True)]
        _write_table(paths[2], ["right class / predicted", *self.labels], counts)
        _write_table(paths[3], _fields_of(VideoPrediction), [astuple(row) for row in self.predictions])
        return paths


def evaluate_recognition(
    recognizer: Predictor,
    data: str | Path | RecognitionData,
    *,
    split: str = "test",
    on_progress: Callable[[str, int, int], None] | None = None,
) -> EvaluationReport:
    """Return the scores of a recognizer on a data set.

    Args:
        recognizer: What is measured.
        data: A data set, or the path of one in any layout that training reads.
        split: Which part of it: `test`, `val` or `train`. Of a data set without splits, `test` is all of it, and the
            report says `all`.
        on_progress: As for `lrcn.evaluate`.

    Raises:
        DataError: If the split is empty, has classes that the model does not know, or none of its videos can be read.
    """
    report = on_progress or (lambda what, done, total: None)
    known = data_for(recognizer, data)
    if known.multi_label:
        raise DataError(f"{known.name}: {SEVERAL_AT_ONCE}, and these scores are of clips that have one class each")
    if split == "test" and known.undivided:
        split, examples = "all", known.examples
    else:
        examples = known.split(split)
    label_ids = {label: i for i, label in enumerate(recognizer.labels)}
    _check_labels(examples, recognizer.labels, known.name)

    probs: list[tuple[float, ...]] = []
    known_ones: list[bool] = []
    model_names: dict[str, str] = {}
    read: list[RecognitionExample] = []
    failures: list[FailedVideo] = []
    for done, example in enumerate(examples):
        report(f"{split} videos", done, len(examples))
        try:
            result = recognizer(example.path, start_s=example.start_s, end_s=example.end_s, roi=example.roi)
        except MediaError as exc:
            failures.append(FailedVideo(str(example.path), str(exc)))
            continue
        probs.append(result.probs)
        known_ones.append(result.known)
        model_names = result.model
        read.append(example)
    report(f"{split} videos", len(examples), len(examples))
    if not read:
        raise DataError(
            f"{known.name}: none of the {len(examples)} videos of split {split!r} can be read: {failures[0].message}"
        )
    return _report(
        np.array(probs),
        np.array([label_ids[example.label] for example in read]),
        known=np.array(known_ones),
        examples=read,
        failures=failures,
        labels=recognizer.labels,
        data=known.name,
        split=split,
        model=model_names,
    )


def data_for(recognizer: Predictor, data: str | Path | RecognitionData) -> RecognitionData:
    """Return a data set, read as what the recognizer looks at where it is a path: videos, or files of ready vectors."""
    if isinstance(data, RecognitionData):
        return data
    vectors = recognizer.header.preprocess.vectors if isinstance(recognizer, VideoRecognizer) else None
    return read_recognition_data(Path(data), vectors=vectors)


def _report(
    probs: NDArray[np.float64],
    targets: NDArray[np.int64],
    *,
    known: NDArray[np.bool_],
    examples: Sequence[RecognitionExample],
    failures: Sequence[FailedVideo],
    labels: tuple[str, ...],
    data: str,
    split: str,
    model: dict[str, str],
) -> EvaluationReport:
    predicted = probs.argmax(axis=1)
    ranks = target_ranks(probs, targets)
    confusion = confusion_matrix(targets, predicted, len(labels))
    scores = class_scores(confusion)
    num_right = int((ranks == 0).sum())
    bins = reliability(probs, targets)
    return EvaluationReport(
        data=data,
        split=split,
        model=model,
        num_videos=len(examples),
        top1=num_right / len(examples),
        top1_interval=wilson_interval(num_right, len(examples)),
        top5=float((ranks < 5).mean()),
        mean_class_accuracy=mean_class_accuracy(confusion),
        per_class=tuple(
            ClassReport(label, float(precision), float(recall), float(f1), int(support))
            for label, precision, recall, f1, support in zip(
                labels, scores.precision, scores.recall, scores.f1, scores.support, strict=True
            )
        ),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        predictions=tuple(
            VideoPrediction(
                path=str(example.path),
                start_s=example.start_s,
                end_s=example.end_s,
                label=example.label,
                predicted=labels[guess],
                prob=float(row[guess]),
                label_prob=float(row[target]),
                rank=int(rank) + 1,
                known=bool(is_known),
                group=example.group,
                roi=example.roi,
            )
            for example, row, guess, target, rank, is_known in zip(
                examples, probs, predicted, targets, ranks, known, strict=True
            )
        ),
        calibration_error=calibration_error(bins),
        reliability=bins,
        num_unknown=int((~known).sum()),
        top1_known=float((ranks == 0)[known].mean()) if known.any() else None,
        failures=tuple(failures),
        labels=labels,
    )


def _check_labels(examples: Iterable[RecognitionExample], labels: Sequence[str], data: str) -> None:
    unknown = sorted({example.label for example in examples} - set(labels))
    if unknown:
        more = f" ({len(unknown) - 1} more classes are unknown)" if len(unknown) > 1 else ""
        raise DataError(
            f"{data}: {unknown_name_message('class', unknown[0], list(labels))}{more}; "
            "evaluate a model that was trained on these classes"
        )


def _fields_of(row_class: type[VideoPrediction] | type[ClassReport]) -> list[str]:
    return [field.name for field in fields(row_class)]


def _write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with replacing_table(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
