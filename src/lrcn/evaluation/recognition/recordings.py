"""How good is a model on long recordings? Its bouts against an annotator's, with intervals by recording.

Every recording goes through the code that finds bouts for users, so the numbers are those that they will see.

Shapes: T sampled frames of a recording, A classes of the model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrcn.bouts import BACKGROUND, Bout, Recording, Span, union
from lrcn.data.recognition.examples import RecognitionData
from lrcn.errors import DataError, MediaError, unknown_name_message
from lrcn.evaluation.recognition.recording_report import (
    BudgetComparison,
    FrameScores,
    RecordingsReport,
    RecordingTallies,
    RecordingView,
    report_of,
)
from lrcn.evaluation.recognition.report import EvaluationReport, FailedVideo, Predictor, data_for, evaluate_recognition
from lrcn.inference.recognition.calling import VideoRecognizer
from lrcn.metrics.agreement import agreement_tally
from lrcn.metrics.calibration import reliability_of
from lrcn.metrics.recording_pairs import (
    TICK_S,
    Pair,
    end_of,
    known_time,
    label_presence,
    number_of_ticks,
    parts,
    presence,
)
from lrcn.metrics.temporal import tally
from lrcn.metrics.time_budget import time_budget
from lrcn.results import UNKNOWN


def evaluate_clips_or_recordings(
    recognizer: Predictor,
    data: str | Path | RecognitionData,
    *,
    split: str = "test",
    on_progress: Callable[[str, int, int], None] | None = None,
) -> EvaluationReport | RecordingsReport:
    """Return the scores of a recognizer: of bouts where the data set is one of recordings, of clips else.

    Arguments and errors are those of `evaluate_recordings`, and of `evaluate_recognition`.
    """
    known = data_for(recognizer, data)
    if known.recordings and isinstance(recognizer, VideoRecognizer):
        return evaluate_recordings(recognizer, known, split=split, on_progress=on_progress)
    return evaluate_recognition(recognizer, known, split=split, on_progress=on_progress)


def evaluate_recordings(
    recognizer: VideoRecognizer,
    data: str | Path | RecognitionData,
    *,
    split: str = "test",
    on_progress: Callable[[str, int, int], None] | None = None,
) -> RecordingsReport:
    """Return the scores of a recognizer on annotated recordings.

    Args:
        recognizer: What is measured.
        data: A data set of recordings, or the path of one in any format that training reads.
        split: Which part of it: `test`, `val` or `train`. Of a recording that is divided in time, that stretch alone is
            looked at. Of a data set without splits, `test` is all of it, and the report says `all`.
        on_progress: As for `lrcn.evaluate`.

    Raises:
        DataError: If the split is empty, no behaviour of it is one of the model's, or none of it can be read.
    """
    report = on_progress or (lambda what, done, total: None)
    known = data_for(recognizer, data)
    split = "all" if split == "test" and known.undivided else split
    truths = [recording for recording in known.recordings if split in ("all", recording.split)]
    unread = [one for one in known.unread if one.split in ("", split)]
    labels, warnings = _scored_labels(recognizer.labels, truths, known, split)
    views: list[RecordingView] = []
    tallies: list[RecordingTallies] = []
    failures = [FailedVideo(one.name, one.message) for one in unread]
    for done, truth in enumerate(truths):
        report(f"{split} recordings", done, len(truths))
        spans = known_time(truth, end_of(truth))
        if not spans:
            warnings.append(f"{truth.name}: nothing of it is annotated, so that it counts in no score")
            continue
        try:
            view = _view(recognizer, truth, known, spans)
        except MediaError as exc:
            failures.append(FailedVideo(str(truth.path), str(exc)))
            continue
        views.append(view)
        tallies.append(_tallies(view, labels))
    report(f"{split} recordings", len(truths), len(truths))
    if not views:
        reason = failures[0].message if failures else warnings[0]
        raise DataError(f"{known.name}: none of the recordings of split {split!r} can be scored: {reason}")
    return report_of(
        views,
        tallies,
        data=known.name,
        split=split,
        model=recognizer.about,
        labels=labels,
        confusion_s=_confusion(views, labels) if views[0].found.exclusive else (),
        budget=tuple(row for view in views for row in _budget(view, labels)),
        failures=tuple(failures),
        warnings=tuple(warnings),
    )


def _scored_labels(
    model_labels: Sequence[str], truths: Sequence[Recording], data: RecognitionData, split: str
) -> tuple[tuple[str, ...], list[str]]:
    """Return the behaviours that are scored: the model's, then those that it does not know; and warnings of these."""
    if not truths:
        there = sorted({recording.split for recording in data.recordings})
        raise DataError(f"{data.name}: no recording is in split {split!r}; there are: {', '.join(there) or 'none'}")
    known = tuple(label for label in model_labels if label not in (BACKGROUND, UNKNOWN))
    shown = dict.fromkeys(
        bout.label for recording in truths for bout in recording.bouts if not bout.is_point and bout.label != BACKGROUND
    )
    strange = [label for label in shown if label not in known]
    if shown and len(strange) == len(shown):
        raise DataError(
            f"{data.name}: {unknown_name_message('behaviour', strange[0], list(known))}; evaluate a model that was "
            "trained on these behaviours"
        )
    warnings = [f"{label!r} is annotated and the model does not know it: all its bouts are missed" for label in strange]
    return (*known, *strange), warnings


def _view(recognizer: VideoRecognizer, truth: Recording, data: RecognitionData, spans: Sequence[Span]) -> RecordingView:
    assert truth.path is not None
    start_s, end_s = 0.0, None
    same = [other for other in data.recordings if (other.path, other.roi) == (truth.path, truth.roi)]
    if len(same) > 1:  # other splits have their stretches of it
        start_s, end_s = spans[0][0], spans[-1][1]
    found = recognizer.find_bouts(truth.path, start_s=start_s, end_s=end_s, roi=truth.roi)
    other = Recording(
        truth.name,
        truth.path,
        found.bouts,
        looked_at=((float(found.borders_s[0]), float(found.borders_s[-1])),),
        duration_s=truth.duration_s,
        roi=truth.roi,
    )
    return RecordingView(Pair(truth, other), found, tuple(spans))


def _tallies(view: RecordingView, labels: Sequence[str]) -> RecordingTallies:
    probs, shown = _known_frames(view)
    if view.found.exclusive:
        said = probs.max(axis=1)
        right = shown[np.arange(len(probs)), probs.argmax(axis=1)]
        bins, expected = reliability_of(said, right), said
    else:
        said, right = probs.ravel(), shown.ravel()
        bins = reliability_of(said, right)
        expected, right = np.maximum(said, 1 - said), (said >= 0.5) == right
    frames = FrameScores(
        bins=bins,
        number=len(expected),
        expected_accuracy=float(expected.mean()) if len(expected) else math.nan,
        accuracy=float(right.mean()) if len(right) else math.nan,
    )
    return RecordingTallies(tally(view.pair, labels), agreement_tally(view.pair, labels), frames)


def _known_frames(view: RecordingView) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the probabilities of the sampled frames in known time, and which of the model's classes they show."""
    borders_s, labels = view.found.borders_s, view.found.labels
    middles_s = (borders_s[:-1] + borders_s[1:]) / 2

    def lie_in(spans: Iterable[Span]) -> NDArray[np.bool_]:
        there = np.zeros(len(middles_s), dtype=np.bool_)
        for start_s, end_s in spans:
            there[np.searchsorted(middles_s, start_s) : np.searchsorted(middles_s, end_s)] = True
        return there

    bouts = [bout for bout in view.pair.truth.bouts if bout.label != BACKGROUND]
    columns = [lie_in((bout.start_s, bout.end_s) for bout in bouts if bout.label == label) for label in labels]
    if BACKGROUND in labels:
        columns[labels.index(BACKGROUND)] = ~lie_in((bout.start_s, bout.end_s) for bout in bouts)
    known = lie_in(view.known)
    return view.found.probs[known], np.stack(columns, axis=1)[known]


def _confusion(views: Sequence[RecordingView], labels: Sequence[str]) -> tuple[tuple[float, ...], ...]:
    """Return seconds, row = what is shown, column = what is predicted, `BACKGROUND` last of both.

    Where an annotator's bouts overlap, the first in order counts.
    """
    total = np.zeros((len(labels) + 1, len(labels) + 1), dtype=np.int64)
    for view in views:
        num_ticks = number_of_ticks(end_of(*view.pair))
        counted = presence(view.known, num_ticks)
        sides = []
        for side in view.pair:
            shown = label_presence(parts(side.bouts, view.known), labels, num_ticks)[counted]
            sides.append(np.where(shown.any(axis=1), shown.argmax(axis=1), len(labels)))
        np.add.at(total, tuple(sides), 1)
    return tuple(tuple(round(count * TICK_S, 3) for count in row) for row in total.tolist())


def _budget(view: RecordingView, labels: Sequence[str]) -> list[BudgetComparison]:
    """Return how often and how long each behaviour is shown, as annotated and as predicted, in known time."""
    truth, other = view.pair
    sides = (
        replace(truth, bouts=_whoever(truth.bouts), idle_subjects=()),
        replace(
            other,
            bouts=tuple(Bout(part.label, part.start_s, part.end_s) for part in parts(other.bouts, view.known)),
            looked_at=truth.looked_at,
        ),
    )
    rows = [time_budget([side], labels) for side in sides]
    return [
        BudgetComparison(
            recording=true.recording,
            label=true.label,
            true_count=true.count,
            found_count=found.count,
            true_s=true.total_s or 0.0,
            found_s=found.total_s or 0.0,
            true_percent=true.percent,
            found_percent=found.percent,
            true_latency_s=true.latency_s,
            found_latency_s=found.latency_s,
        )
        for true, found in zip(*rows, strict=True)
    ]


def _whoever(bouts: Sequence[Bout]) -> tuple[Bout, ...]:
    """Return bouts without subjects, as models find them: where two show the same at once there is one bout."""
    lasting = [bout for bout in bouts if not bout.is_point]
    if len({bout.subject for bout in lasting}) < 2:
        return tuple(replace(bout, subject="") for bout in lasting)
    joined = [
        Bout(label, *span)
        for label in {bout.label for bout in lasting}
        for span in union((bout.start_s, bout.end_s) for bout in lasting if bout.label == label)
    ]
    return tuple(sorted(joined, key=lambda bout: (bout.start_s, bout.end_s)))
