"""Results as files for other programs: one row of `WRITERS` a format.

    lrcn.write_results(lrcn.load("demo").stream("clips/"), "windows.csv")

A file appears when all results are in it, or not at all; nothing is held but what a format needs to its end.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import astuple, dataclass, fields
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from lrcn.annotations.subtitles import Cue, subrip, webvtt
from lrcn.errors import ConfigError, lookup
from lrcn.files import name_for, replacing, replacing_table, write_json
from lrcn.inference.recognition.timeline import timeline
from lrcn.metrics.time_budget import BudgetRow, TransitionRow
from lrcn.results import CaptionResult, CaptionSegment, RecognitionResult, Result, RetrievalResult, named

Add = Callable[[Any], object]
"""Takes the next result."""


@dataclass(frozen=True)
class Writer:
    """A format."""

    suffix: str
    """Of its files; of several formats with one suffix, a path means the first."""
    tasks: tuple[str, ...]
    """Those whose results it can hold."""
    open: Callable[[Path, str], AbstractContextManager[Add]]
    """Takes path and task and gives a function that adds a result."""


class Table(NamedTuple):
    """What the results of a task are in a table."""

    columns: tuple[str, ...]
    rows: Callable[[Any], Iterable[tuple[object, ...]]]
    """Of a result."""


def write_results(results: Result | Iterable[Result], path: str | Path, format: str | None = None) -> None:
    """Write results of one task, as they come.

    Examples:
        >>> import tempfile
        >>> from importlib.resources import files
        >>> from lrcn import Recognizer
        >>> result = Recognizer.load("demo", device="cpu")(str(files("lrcn") / "assets" / "walking.mp4"))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_results(result, Path(folder) / "walking.srt")
        ...     print((Path(folder) / "walking.srt").read_text())
        1
        00:00:00,000 --> 00:00:04,167
        walk ...%
        <BLANKLINE>

    Args:
        results: What calls return; those of `stream` are written one by one.
        path: The file. Of subtitles, which are a file a video, a folder unless it has their suffix.
        format: A name in `WRITERS`; None goes by the suffix.

    Raises:
        ConfigError: If there is no result, no such format, or it cannot hold these results.
        OSError: If the file cannot be written.
    """
    given = iter([results] if isinstance(results, Result) else results)
    first = next(given, None)
    if first is None:
        raise ConfigError(f"{path}: there is no result to write")
    with open_results(Path(path), format, task=first.task) as add:
        for result in chain([first], given):
            add(result)


@contextmanager
def open_results(path: Path, format: str | None = None, *, task: str) -> Iterator[Callable[[Result], None]]:
    """Give a function that adds a result; the file appears at the end, or not at all on an error.

    Args:
        path: As for `write_results`.
        format: As for `write_results`.
        task: Of the results: `recognition`, `captioning` or `retrieval`.

    Raises:
        ConfigError: As for `write_results`.
        OSError: If the file cannot be written.
    """
    serving = {name: writer for name, writer in WRITERS.items() if task in writer.tasks}
    if format is None:
        format = next((name for name, writer in serving.items() if writer.suffix == path.suffix.lower()), None)
        if format is None:
            known = ", ".join(dict.fromkeys(writer.suffix for writer in serving.values()))
            raise ConfigError(f"{path}: no format of {task} results has the suffix {path.suffix!r}; there are {known}")
    with lookup(serving, format, kind=f"format of {task} results").open(path, task) as write:

        def add(result: Result) -> None:
            if result.task != task:
                raise ConfigError(f"{path}: a result of {result.task} among those of {task}; write two files")
            write(result)

        yield add


def write_table(rows: Iterable[BudgetRow | TransitionRow], path: str | Path) -> None:
    """Write a time budget or transitions as CSV: a line a row, a column a field, `NA` for what there is none of.

    Raises:
        ConfigError: If there is no row.
        OSError: If the file cannot be written.
    """
    given = iter(rows)
    first = next(given, None)
    if first is None:
        raise ConfigError(f"{path}: there is no row to write")
    with replacing_table(Path(path)) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(field.name for field in fields(first))
        for row in chain([first], given):
            table.writerow("NA" if value is None else _plain(value) for value in astuple(row))


def _plain(value: object) -> object:
    return f"{value:.10g}" if isinstance(value, float) else value


def _windows(result: RecognitionResult) -> Iterator[tuple[object, ...]]:
    for segment in result.segments:
        best = segment.top[0]
        yield result.source, segment.start_s, segment.end_s, best.label, best.label_id, best.prob, segment.known


def _stretches(result: RecognitionResult) -> Iterator[tuple[object, ...]]:
    for one in timeline(result):
        yield result.source, one.start_s, one.end_s, one.label, one.label_id, one.prob, one.known


def _captions(result: CaptionResult) -> Iterator[tuple[object, ...]]:
    """First those of the whole, then those of the segments of a long video."""
    whole = CaptionSegment(0.0, result.duration_s, result.captions)
    for part in (whole, *result.segments):
        for rank, caption in enumerate(part.captions, start=1):
            yield result.source, part.start_s, part.end_s, caption.text, f"{caption.log_prob:.6g}", rank


def _matches(result: RetrievalResult) -> Iterator[tuple[object, ...]]:
    for rank, match in enumerate(result.matches, start=1):
        yield result.query, rank, match.item, match.index, f"{match.score:.6g}"


_TIMES = ("source", "start_s", "end_s")
_LABELLED = (*_TIMES, "label", "label_id", "prob", "known")
_TABLES = {
    "recognition": Table(_LABELLED, _windows),
    "captioning": Table((*_TIMES, "caption", "log_prob", "rank"), _captions),
    "retrieval": Table(("query", "rank", "item", "index", "score"), _matches),
}
_TIMELINES = {"recognition": Table(_LABELLED, _stretches)}


@contextmanager
def _write_table(path: Path, task: str, *, tables: dict[str, Table]) -> Iterator[Add]:
    table = tables[task]
    with replacing_table(path) as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(table.columns)
        yield lambda result: rows.writerows(table.rows(result))


@contextmanager
def _write_window_probs(path: Path, task: str) -> Iterator[Add]:
    """A row for each window and a column for each class; of one model, for the classes are in the header."""
    with replacing_table(path) as file:
        rows = csv.writer(file, lineterminator="\n")
        labels: tuple[str, ...] | None = None

        def add(result: RecognitionResult) -> None:
            nonlocal labels
            if labels is None:
                labels = result.labels
                rows.writerow((*_TIMES, *labels))
            if result.labels != labels:
                raise ConfigError(f"{path}: {result.source} has other classes than those before; write two files")
            for segment in result.segments:
                rows.writerow((result.source, segment.start_s, segment.end_s, *(f"{p:.6g}" for p in segment.probs)))

        yield add


@contextmanager
def _write_json_lines(path: Path, task: str) -> Iterator[Add]:
    # what is no UTF-8 in the names of files is escaped, as JSON can
    with replacing(path) as part, part.open("w", encoding="utf-8", errors="backslashreplace") as file:
        yield lambda result: file.write(result.to_json() + "\n")


_COCO_NAME = re.compile(r"(?:.*_)?(\d{12})|(\d+)")


def coco_image_id(source: str) -> int | str:
    """Return the number in a name such as `COCO_val2014_000000391895.jpg` or `12.png`, else the name itself."""
    stem = Path(source).stem
    match = _COCO_NAME.fullmatch(stem)
    return int(match[1] or match[2]) if match else stem


@contextmanager
def _write_coco(path: Path, task: str) -> Iterator[Add]:
    """What the COCO caption server takes: `[{"image_id": ..., "caption": ...}, ...]`."""
    captions: dict[int | str, str] = {}

    def add(result: CaptionResult) -> None:
        image_id = coco_image_id(result.source)
        if image_id in captions:
            raise ConfigError(f"{path}: two sources have the image_id {image_id!r}; name them apart, or write a table")
        captions[image_id] = result.text

    yield add
    write_json(path, [{"image_id": image_id, "caption": text} for image_id, text in captions.items()])


def _label_cues(result: RecognitionResult) -> Iterator[Cue]:
    for stretch in timeline(result):
        text = named(stretch.label, known=stretch.known, share=f"{stretch.prob:.0%}")
        yield Cue(stretch.start_s, stretch.end_s, text)


def _caption_cues(result: CaptionResult) -> Iterator[Cue]:
    """A short video is one cue."""
    for part in result.segments or (CaptionSegment(0.0, result.duration_s, result.captions),):
        yield Cue(part.start_s, part.end_s, part.captions[0].text)


_CUES: dict[str, Callable[[Any], Iterable[Cue]]] = {"recognition": _label_cues, "captioning": _caption_cues}


@contextmanager
def _write_subtitles(path: Path, task: str, *, text_of: Callable[[Iterable[Cue]], str], suffix: str) -> Iterator[Add]:
    """A file with the suffix holds one video. Any other path is a folder: each video its file, pictures have none."""
    is_file = path.suffix.lower() == suffix
    taken: set[str] = set()

    def add(result: RecognitionResult | CaptionResult) -> None:
        if is_file and taken:
            raise ConfigError(f"{path}: subtitles are of one video, and there are more; name a folder, and the format")
        if is_file and not result.duration_s:
            raise ConfigError(f"{path}: {result.source} is a picture, and has no subtitles")
        if not result.duration_s:
            return
        name = name_for(Path(result.source), suffix, taken)
        with replacing(path if is_file else path / name) as part:
            part.write_text(text_of(_CUES[task](result)), encoding="utf-8")

    yield add


_TIMED = tuple(_CUES)

WRITERS = {
    "csv": Writer(".csv", tuple(_TABLES), partial(_write_table, tables=_TABLES)),
    "json-lines": Writer(".jsonl", tuple(_TABLES), _write_json_lines),
    "srt": Writer(".srt", _TIMED, partial(_write_subtitles, text_of=subrip, suffix=".srt")),
    "vtt": Writer(".vtt", _TIMED, partial(_write_subtitles, text_of=webvtt, suffix=".vtt")),
    "coco": Writer(".json", ("captioning",), _write_coco),
    "timeline": Writer(".csv", tuple(_TIMELINES), partial(_write_table, tables=_TIMELINES)),
    "window-probs": Writer(".csv", ("recognition",), _write_window_probs),
}
"""Format -> how it is written.

`csv`: a row a window, caption or match; `timeline`: a row a stretch of one label, without gap or overlap;
`window-probs`: a row a window, with the probability of every class; `json-lines`: what `to_json` returns, a line a
result; `srt` and `vtt`: a file a video; `coco`: what the COCO caption server takes.
"""
