"""Which examples the page shows, and their pictures: the worst errors, and a few clips frame by frame."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrcn.bouts import BACKGROUND, Bout, Region, overlap_s, pieces
from lrcn.errors import ConfigError, MediaError
from lrcn.evaluation.recognition.recording_report import RecordingsReport, RecordingView
from lrcn.evaluation.recognition.report import EvaluationReport, VideoPrediction
from lrcn.evaluation.recognition.timelines import clock
from lrcn.evaluation.thumbnails import data_address, frames_between
from lrcn.inference.recognition.calling import VideoRecognizer
from lrcn.metrics.recording_pairs import parts

NUM_ERRORS = 12
NUM_LOOKS = 3
"""Clips of right answers, and as many of wrong ones."""

STRIP_FRAMES = 8

_THUMBNAIL_PX = 120
_LEAST_ERROR_S = 0.5
"""Annotators differ by as much about where a bout begins."""


def recording_errors(report: RecordingsReport) -> list[dict[str, Any]]:
    """Return the longest stretches of which annotation and model say different things."""
    found = sorted(
        (
            (last_s - first_s, view, first_s, last_s, true, said)
            for view in report.views
            for first_s, last_s, true, said in _disagreements(view, report.labels)
        ),
        key=lambda one: -one[0],
    )
    items = []
    for length_s, view, first_s, last_s, true, said in found[:NUM_ERRORS]:
        path = view.pair.truth.path
        assert path is not None
        place = f"{view.pair.truth.name}, {clock(first_s)} to {clock(last_s)}"
        items.append(
            {
                "title": f"{true}, taken for {said}",
                "text": f"{length_s:.1f} s",
                "place": place,
                "image": _thumbnail(path, first_s, last_s, view.pair.truth.roi),
                "alt": f"Three frames of {place}: {true}, taken for {said}",
            }
        )
    return items


def _disagreements(view: RecordingView, labels: Sequence[str]) -> Iterator[tuple[float, float, str, str]]:
    """Yield from when to when, what is annotated and what was predicted, where these differ in known time."""
    sides = []
    for recording in view.pair:
        own = [Bout(part.label, part.start_s, part.end_s) for part in parts(recording.bouts, view.known)]
        sides.append(pieces([bout for bout in own if bout.label in labels], view.known))
    borders = sorted({time_s for side in sides for piece in side for time_s in piece[:2]})
    places = [0, 0]
    for first_s, last_s in itertools.pairwise(borders):
        said = []
        for number, side in enumerate(sides):
            while places[number] < len(side) and side[places[number]][1] <= first_s:
                places[number] += 1
            inside = places[number] < len(side) and side[places[number]][0] <= first_s
            said.append(side[places[number]][2] if inside else None)
        true, predicted = said
        if true is not None and predicted is not None and true != predicted and last_s - first_s >= _LEAST_ERROR_S:
            yield first_s, last_s, " + ".join(true) or BACKGROUND, " + ".join(predicted) or BACKGROUND


def clip_errors(report: EvaluationReport) -> list[dict[str, Any]]:
    """Return the wrong answers that the model is surest of."""
    wrong = sorted((row for row in report.predictions if row.rank > 1), key=lambda row: -row.prob)
    return [
        {
            "title": f"{row.label}, taken for {row.predicted}",
            "text": f"{row.predicted} {row.prob:.0%}, {row.label} {row.label_prob:.0%}",
            "place": _place(row),
            "image": _thumbnail(Path(row.path), row.start_s, row.end_s, row.roi),
            "alt": f"Frames of {_place(row)}: {row.label}, taken for {row.predicted}",
        }
        for row in wrong[:NUM_ERRORS]
    ]


def _place(row: VideoPrediction) -> str:
    if row.end_s is None:
        return row.path
    return f"{row.path}, {clock(row.start_s)} to {clock(row.end_s)}"


def _thumbnail(path: Path, start_s: float, end_s: float | None, roi: Region | None) -> str:
    try:
        frames = frames_between(path, start_s, end_s, 3, _THUMBNAIL_PX, roi)
    except MediaError:
        return ""
    return data_address(np.concatenate(frames, axis=1))


def recording_looks(report: RecordingsReport, recognizer: VideoRecognizer | None) -> list[dict[str, Any]]:
    """Return a few predicted bouts frame by frame: the surest right ones, then the surest wrong ones, a label once."""
    right: dict[str, tuple[RecordingView, Bout]] = {}
    wrong: dict[str, tuple[RecordingView, Bout]] = {}
    every = [(view, bout) for view in report.views for bout in view.pair.other.bouts]
    for view, bout in sorted(every, key=lambda pair: -(pair[1].prob or 0.0)):
        if 2 * sum(overlap_s((bout.start_s, bout.end_s), span) for span in view.known) < bout.duration_s:
            continue  # nobody knows
        (right if _is_right(view, bout) else wrong).setdefault(bout.label, (view, bout))
    items = []
    for kind, chosen in (("right", right), ("wrong", wrong)):
        for view, bout in list(chosen.values())[:NUM_LOOKS]:
            path = view.pair.truth.path
            assert path is not None
            curve = view.found.probs[:, view.found.labels.index(bout.label)]
            items += _look(
                recognizer,
                path,
                bout.label,
                (bout.start_s, bout.end_s),
                view.pair.truth.roi,
                (view.found.borders_s[:-1], curve),
                title=f"{bout.label} ({kind})",
                text=f"{bout.prob or 0.0:.0%}; annotated: {_annotated(view, bout)}.",
                place=f"{view.pair.truth.name}, {clock(bout.start_s)} to {clock(bout.end_s)}",
            )
    return items


def _is_right(view: RecordingView, bout: Bout) -> bool:
    """Whether a true bout of its label overlaps it by half, as F1 at an IoU of 0.5 asks."""
    for true in view.pair.truth.bouts:
        both_s = overlap_s((true.start_s, true.end_s), (bout.start_s, bout.end_s))
        if true.label == bout.label and 2 * both_s >= true.duration_s + bout.duration_s - both_s > 0:
            return True
    return False


def _annotated(view: RecordingView, bout: Bout) -> str:
    seconds: dict[str, float] = {}
    for true in view.pair.truth.bouts:
        both_s = overlap_s((true.start_s, true.end_s), (bout.start_s, bout.end_s))
        if both_s > 0:
            seconds[true.label] = seconds.get(true.label, 0.0) + both_s
    told = [f"{label} for {both_s:.1f} of {bout.duration_s:.1f} s" for label, both_s in seconds.items()]
    return ", ".join(told) or BACKGROUND


def clip_looks(report: EvaluationReport, recognizer: VideoRecognizer | None) -> list[dict[str, Any]]:
    """Return a few videos frame by frame: the surest right answers, then the surest wrong ones, a label once."""
    items = []
    for kind in ("right", "wrong"):
        chosen: dict[str, VideoPrediction] = {}
        for row in sorted(report.predictions, key=lambda row: -row.prob):
            if (row.rank == 1) == (kind == "right"):
                chosen.setdefault(row.predicted, row)
        for row in list(chosen.values())[:NUM_LOOKS]:
            items += _look(
                recognizer,
                Path(row.path),
                row.predicted,
                (row.start_s, row.end_s),
                row.roi,
                None,
                title=f"{row.predicted} ({kind})",
                text=f"{row.prob:.0%}; the right class: {row.label}.",
                place=_place(row),
            )
    return items


def _look(
    recognizer: VideoRecognizer | None,
    path: Path,
    label: str,
    span: tuple[float, float | None],
    roi: Region | None,
    curve: tuple[NDArray[np.float64], NDArray[np.float32]] | None,
    *,
    title: str,
    text: str,
    place: str,
) -> list[dict[str, Any]]:
    """Return one strip as the template takes it; none where nothing can be read, or nothing is known of its frames.

    Args:
        recognizer: For where it looks; None leaves that out.
        path: The video.
        label: Whose probability is shown.
        span: From when to when.
        roi: Where in the picture; None for all of it.
        curve: Times and probabilities of the label; None takes those of the windows of the clip.
        title: In bold.
        text: What follows it.
        place: Where this is.
    """
    explanation = None
    if recognizer is not None:
        from lrcn.inference.recognition.explaining import explain

        try:
            explanation = explain(recognizer, path, label=label, start_s=span[0], end_s=span[1], roi=roi)
        except ConfigError:
            explanation = None  # it runs elsewhere than in torch, and so without gradients
        except MediaError:
            return []
    if explanation is not None:
        places = np.linspace(0, len(explanation.frames) - 1, min(STRIP_FRAMES, len(explanation.frames)))
        chosen = places.round().astype(int).tolist()
        times_s = explanation.times_s[chosen]
        rows = [np.concatenate(list(explanation.frames[chosen]), axis=1)]
        rows.append(np.concatenate(list(explanation.overlaid(chosen)), axis=1))
        curve = curve or (explanation.probs_s, explanation.probs[:, explanation.label_id])
    elif curve is not None:
        end_s = span[1] or float(curve[0][-1])
        try:
            frames = frames_between(path, span[0], end_s, STRIP_FRAMES, _THUMBNAIL_PX, roi)
        except MediaError:
            return []
        times_s = span[0] + (end_s - span[0]) * np.arange(len(frames)) / STRIP_FRAMES
        rows = [np.concatenate(frames, axis=1)]
    else:
        return []
    probs = np.interp(times_s, *curve).tolist()
    told = ", ".join(f"{prob:.0%} at {clock(time_s)}" for prob, time_s in zip(probs, times_s.tolist(), strict=True))
    return [
        {
            "title": title,
            "text": text,
            "place": place,
            "image": data_address(np.concatenate(rows, axis=0)),
            "alt": f"Frames of {place}" + (", and where the model looks in them" if explanation is not None else ""),
            "probs": probs,
            "told": f"Probability of {label}: {told}",
            "mapped": explanation is not None,
        }
    ]
