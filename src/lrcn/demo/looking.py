"""What a model says of one upload: the answer as the page shows it, and files of it to keep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrcn.annotations.formats import write_annotations
from lrcn.bouts import BACKGROUND, Annotations, Bout, Recording, Span
from lrcn.demo.markup import percent, render
from lrcn.errors import ConfigError
from lrcn.evaluation.recognition.figures import curve_path, spans_path
from lrcn.evaluation.recognition.timelines import clock
from lrcn.evaluation.thumbnails import data_address
from lrcn.inference.captioning.predictor import Captioner
from lrcn.inference.recognition.bouts import FoundBouts, bout_stride, frame_probs, own_windows
from lrcn.inference.recognition.explaining import Explanation, explain
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.inference.recognition.timeline import timeline
from lrcn.inference.recognition.torch_runtime import TorchRuntime
from lrcn.plots.explained import save_explanation
from lrcn.results import UNKNOWN, CaptionResult, CaptionSegment, RecognitionResult
from lrcn.writers import WRITERS, write_results

MOST_ROWS = 100
"""Of a table on the page; the files hold all."""

_MOST_LANES = 6
_LEAST_PEAK = 0.05
"""Of the probability of a label that is drawn, unless it is shown somewhere."""

_NUM_FRAMES = 8
_NUM_CAPTIONS = 3
_TICKS = 3


@dataclass(frozen=True)
class Answer:
    """What is said of an upload."""

    page: str
    """As HTML, every text of it escaped."""
    files: tuple[Path, ...]
    """The result in each format that can hold it, and the picture that explains it."""


def look(
    predictor: Recognizer | Captioner, path: Path, folder: Path, *, on_progress: Callable[[float], None]
) -> Answer:
    """Return what a model says of a video or picture.

    Args:
        predictor: The model.
        path: The upload; nothing but its name is told.
        folder: Where the files go; it is empty.
        on_progress: Called with the seconds of video done so far.

    Raises:
        MediaError: If nothing of it can be decoded.
        ConfigError: If the model cannot look at pictures.
        OSError: If a file cannot be written.
    """
    if isinstance(predictor, Captioner):
        captions = predictor(path, on_progress=on_progress, num_captions=_NUM_CAPTIONS)
        captions = replace(captions, source=path.name, warnings=_without(path, captions.warnings))
        return Answer(_caption_page(captions), tuple(_write(captions, folder)))
    return _recognize(predictor, path, folder, on_progress)


def _recognize(recognizer: Recognizer, path: Path, folder: Path, on_progress: Callable[[float], None]) -> Answer:
    preprocess = recognizer.header.preprocess
    timing_s: dict[str, float] = {}
    windows = recognizer.window_probs(
        path, clip_stride=bout_stride(preprocess), timing_s=timing_s, on_progress=on_progress
    )
    result = recognizer.as_result(own_windows(windows, preprocess), path.name, timing_s=timing_s)
    result = replace(result, warnings=_without(path, result.warnings))
    found = None
    if recognizer.header.bouts is not None and len(windows.times_s) > 1:
        found = recognizer.bouts_in(windows)
        result = replace(result, bouts=found.bouts)
    files = _write(result, folder)
    explanation = _explain(recognizer, path, result)
    if explanation is not None:
        files.append(folder / f"{path.stem}.explained.png")
        save_explanation(explanation, files[-1])
    borders_s = np.append(windows.times_s, max(windows.duration_s, windows.times_s[-1]))
    probs = frame_probs(windows) if found is None else found.probs
    return Answer(_recognition_page(result, found, probs, borders_s, explanation), tuple(files))


def _explain(recognizer: Recognizer, path: Path, result: RecognitionResult) -> Explanation | None:
    """Look where the label of the whole is most probable; None where the runtime has no gradients."""
    if not isinstance(recognizer.runtime, TorchRuntime):
        return None
    best = max(result.segments, key=lambda segment: segment.probs[result.top[0].label_id])
    explanation = explain(
        recognizer, path, label=result.label, start_s=best.start_s, end_s=best.end_s if result.duration_s else None
    )
    return replace(explanation, source=result.source)


def _write(result: RecognitionResult | CaptionResult, folder: Path) -> list[Path]:
    """Write a result in each format that can hold it, and return the files."""
    stem = Path(result.source).stem
    files: list[Path] = []
    for format, writer in WRITERS.items():
        if result.task not in writer.tasks:
            continue
        path = folder / f"{stem}{writer.suffix}"
        if path in files:  # of several formats with one suffix, the first has the plain name
            path = folder / f"{stem}.{format}{writer.suffix}"
        with suppress(ConfigError):  # a picture has no subtitles
            write_results(result, path, format)
            files.append(path)
    if isinstance(result, RecognitionResult) and result.bouts is not None:
        recording = Recording(
            result.source,
            None,
            result.bouts,
            looked_at=((0.0, result.duration_s),),
            duration_s=result.duration_s,
        )
        labels = tuple(label for label in result.labels if label not in (BACKGROUND, UNKNOWN))
        files.append(folder / f"{stem}.bouts.csv")
        annotations = Annotations(result.model["name"], (recording,), labels, num_events=len(result.bouts))
        write_annotations(annotations, files[-1], format="bouts-csv")
    return files


def _without(path: Path, warnings: Iterable[str]) -> tuple[str, ...]:
    return tuple(told_of(path, warning) for warning in warnings)


def told_of(path: Path, message: str) -> str:
    """Return a message about an upload with its name in place of where it lies here."""
    return message.replace(str(path), path.name)


def _recognition_page(
    result: RecognitionResult,
    found: FoundBouts | None,
    probs: NDArray[np.float32],
    borders_s: NDArray[np.float64],
    explanation: Explanation | None,
) -> str:
    best = result.top[0]
    spans = _spans(result)
    whole = (float(borders_s[0]), float(borders_s[-1]))
    moves = len(probs) > 1
    return render(
        "recognition.html",
        result=result,
        length_s=result.duration_s if moves else 0.0,  # a picture is a video of one frame here
        known=result.known or best.label == UNKNOWN,
        unknown=UNKNOWN,
        lanes=[
            {
                "label": label,
                "told": f"{label}: {_told(spans.get(label, []))}",
                "curve": curve_path(probs[:, result.labels.index(label)], borders_s, 40, 40),
                "spans": spans_path(spans.get(label, []), whole, 44, 8),
            }
            for label in _leading(result, spans, probs.max(axis=0))
        ]
        if moves
        else [],
        ticks=[clock(time_s) for time_s in np.linspace(*whole, _TICKS).tolist()],
        explanation=explanation,
        frames=[] if explanation is None else _frames(explanation),
        stretches=_rows((one.start_s, one.end_s, one.label, one.prob, one.known) for one in timeline(result))
        if moves
        else None,
        bouts=None if found is None else _rows((b.start_s, b.end_s, b.label, b.prob or 0.0, True) for b in found.bouts),
    )


def _spans(result: RecognitionResult) -> dict[str, list[Span]]:
    """Return from when to when each label is shown: its bouts, or where the windows say it."""
    spans: dict[str, list[Span]] = {}
    shown: Sequence[Bout] | None = result.bouts
    for one in shown if shown is not None else [stretch for stretch in timeline(result) if stretch.known]:
        spans.setdefault(one.label, []).append((one.start_s, one.end_s))
    return spans


def _leading(result: RecognitionResult, spans: dict[str, list[Span]], peaks: NDArray[np.float32]) -> list[str]:
    """Return the labels whose probabilities are drawn: first those that are shown, the longest first.

    `peaks` are the highest probabilities, `(A,)`.
    """
    by_time = sorted(spans, key=lambda label: -sum(end_s - start_s for start_s, end_s in spans[label]))
    others = [result.labels[label_id] for label_id in np.argsort(-peaks) if peaks[label_id] >= _LEAST_PEAK]
    return list(dict.fromkeys([*by_time, *others]))[:_MOST_LANES]


def _told(spans: list[Span]) -> str:
    times = "once" if len(spans) == 1 else f"{len(spans)} times"
    return f"{times}, {sum(end_s - start_s for start_s, end_s in spans):.1f} s" if spans else "at no time"


def _frames(explanation: Explanation) -> list[dict[str, Any]]:
    number = min(_NUM_FRAMES, len(explanation.frames))
    places = np.unique(np.linspace(0, len(explanation.frames) - 1, number).round().astype(int)).tolist()
    frames = explanation.overlaid(places, share=0.7)
    return [
        {"image": data_address(frame), "time": clock(float(explanation.times_s[place]))}
        for place, frame in zip(places, frames, strict=True)
    ]


def _rows(rows: Iterable[tuple[float, float, str, float, bool]]) -> dict[str, Any]:
    """Return a table of the page: its first rows, and how many are left out."""
    every = [
        {"from": clock(start_s), "to": clock(end_s), "label": label, "prob": percent(prob), "known": known}
        for start_s, end_s, label, prob, known in rows
    ]
    return {"rows": every[:MOST_ROWS], "left_out": max(0, len(every) - MOST_ROWS)}


def _caption_page(result: CaptionResult) -> str:
    def row(segment: CaptionSegment) -> dict[str, str]:
        return {"from": clock(segment.start_s), "to": clock(segment.end_s), "text": segment.captions[0].text}

    rows = [row(segment) for segment in result.segments]
    return render("captioning.html", result=result, rows=rows[:MOST_ROWS], left_out_rows=max(0, len(rows) - MOST_ROWS))
