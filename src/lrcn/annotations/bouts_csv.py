r"""Our own format: one row a bout, of any number of recordings.

Columns `path,label,start_s,end_s` and, where they are there, `subject,modifiers,comment,prob,split,group,roi`,
`looked_at`, `recording` (where it is not called like its file), `duration_s`, `fps`. Paths are relative to the file.

- A row without label and times is a recording without bouts, or with a subject one who was watched and has none.
- `end_s` may be empty: a point event.
- `modifiers` are joined by `|`; in one of them `\|` stands for `|` and `\\` for `\`.
- `roi` is `left top width height` in px.
- `looked_at` says what the annotator went through: `all`, or spans in seconds, `0-60 90-120.5`, where the last may
  have no end. Empty: not said, and only the bouts are known. What is said of a recording need stand in one of its rows.
"""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lrcn.annotations.media import file_name
from lrcn.annotations.reading import Log, ReadOptions, checked, in_order, looked_at, number
from lrcn.annotations.text_files import head_of, read_rows, rows_of
from lrcn.bouts import WHOLE, Annotations, Bout, Recording, Region, Span, union
from lrcn.errors import DataError
from lrcn.files import replacing_table

_BOUT = ("path", "label", "start_s", "end_s")
_MORE = ("subject", "modifiers", "comment", "prob")
_OF_RECORDING = ("recording", "duration_s", "fps", "split", "group", "roi", "looked_at")
COLUMNS = (*_BOUT, *_MORE, *_OF_RECORDING)
_ALIASES = {"file_name": "path", "video": "path", "behavior": "label", "behaviour": "label"}
_SPLITS = {"train": "train", "training": "train", "val": "val", "validation": "val", "test": "test", "testing": "test"}


def detect_bouts_csv(path: Path) -> bool:
    """Whether a file's first line names the four columns."""
    try:
        rows = list(rows_of(head_of(path).split("\n", 1)[0]))
    except DataError:
        return False
    return bool(rows) and set(_BOUT) <= set(_columns(rows[0].cells))


def _columns(cells: tuple[str, ...]) -> list[str]:
    names = [cell.lower() for cell in cells]
    return [_ALIASES.get(name, name) for name in names]


@dataclass
class _Recording:
    """What the rows of a recording say."""

    name: str
    path: Path | None
    place: str
    bouts: list[Bout] = field(default_factory=list)
    watched: list[str] = field(default_factory=list)
    """Subjects that have a row without a bout."""
    said: dict[str, str] = field(default_factory=dict)
    lost: bool = False
    """Whether an event could not be read."""


def read_bouts_csv(path: Path, options: ReadOptions) -> Annotations:
    """Read bouts, row by row.

    Raises:
        DataError: If the file cannot be read, or lacks a column.
    """
    rows = read_rows(path)
    columns = _columns(rows[0].cells) if rows else []
    if missing := [name for name in _BOUT if name not in columns]:
        raise DataError(f"{path.name} line 1: no column {missing[0]!r}; it must name the columns {','.join(_BOUT)}")
    log = Log(path.name)
    if unused := [name for name in columns if name and name not in COLUMNS]:
        log.warn("line 1", f"columns not used: {', '.join(unused)} (known: {', '.join(COLUMNS)})")
    recordings: dict[tuple[str, str], _Recording] = {}
    for row in rows[1:]:
        cells, place = row.by_column(columns), f"line {row.line}"
        is_event = any(cells[name] for name in _BOUT[1:])
        log.num_events += is_event
        if len(row.cells) > len(columns):
            log.skip(place, f"{len(row.cells)} cells for {len(columns)} columns; quote cells that hold a comma")
            log.num_events += not is_event
            continue
        name = cells.get("recording") or file_name(cells["path"])
        if not name:
            log.skip(place, "names neither a path nor a recording; add one")
            log.num_events += not is_event
            continue
        key = (name, cells["path"])
        if key not in recordings:
            video = options.media.find(cells["path"], partial(log.warn, place))
            recordings[key] = _Recording(name, video, place)
        recording = recordings[key]
        for column in _OF_RECORDING[1:]:
            _say(recording, column, cells.get(column, ""), place, log)
        if not is_event:
            recording.watched.append(cells.get("subject", ""))
        else:
            try:
                recording.bouts.append(_bout(cells))
            except DataError as exc:
                log.skip(place, str(exc))
                recording.lost = True
    return log.annotations([_finished(recording, options, log) for recording in recordings.values()])


def _say(recording: _Recording, column: str, cell: str, place: str, log: Log) -> None:
    before = recording.said.setdefault(column, cell) or cell
    recording.said[column] = before
    if cell and cell != before:
        log.warn(place, f"{column} is {cell!r} here and {before!r} above, of one recording; the first counts")


def _bout(cells: dict[str, str]) -> Bout:
    if not cells["label"]:
        raise DataError("the label is empty; name the behaviour")
    start_s, end_s = checked(cells["start_s"], cells["end_s"] or cells["start_s"])
    modifiers = tuple(split_modifiers(cells.get("modifiers", "")))
    prob = _prob(cells.get("prob", ""))
    return Bout(cells["label"], start_s, end_s, cells.get("subject", ""), modifiers, cells.get("comment", ""), prob)


def _prob(cell: str) -> float | None:
    if not cell:
        return None
    try:
        prob = float(cell)
    except ValueError:
        prob = math.nan
    if not 0 <= prob <= 1:
        raise DataError(f"{cell!r} is no probability; write a number from 0 to 1, or nothing")
    return prob


def _finished(recording: _Recording, options: ReadOptions, log: Log) -> Recording:
    said = recording.said

    warn = partial(log.warn, recording.place)
    try:
        stated = parse_looked_at(said["looked_at"]) if said.get("looked_at") else None
    except DataError as exc:
        warn(str(exc))
        stated = None
    split = _SPLITS.get(said.get("split", "").lower(), "")
    if said.get("split") and not split:
        warn(f"unknown split {said['split']!r}; use train, val or test")
    return Recording(
        recording.name,
        recording.path,
        in_order(recording.bouts),
        # of an event without times it is not known where it lies
        looked_at(stated, options.looked_at, unknown=WHOLE if recording.lost else ()),
        duration_s=number(said.get("duration_s", "")),
        fps=options.media.rate(recording.path, number(said.get("fps", "")), warn),
        split=split,
        group=said.get("group", ""),
        roi=_roi(said.get("roi", ""), warn),
    ).watching(recording.watched)


def _roi(cell: str, warn: Callable[[str], None]) -> Region | None:
    if not cell:
        return None
    parts = re.split(r"[\s,]+", cell)
    if len(parts) == 4 and all(part.isascii() and part.isdigit() for part in parts):
        left, top, width, height = map(int, parts)
        if width and height:
            return left, top, width, height
    warn(f"{cell!r} is no region of interest; write left top width height in px")
    return None


_SPAN = re.compile(r"(\d+(?:\.\d*)?(?:e-?\d+)?)-(\d+(?:\.\d*)?(?:e-?\d+)?|inf)?")


def parse_looked_at(cell: str) -> tuple[Span, ...]:
    """Return the spans that a cell names.

    Raises:
        DataError: If it cannot be read.
    """
    if cell.strip().lower() == "all":
        return WHOLE
    spans = []
    for part in re.split(r"[\s;]+", cell.strip()):
        match = _SPAN.fullmatch(part)
        end_s = float(match[2] or "inf") if match else 0.0
        if match is None or end_s <= float(match[1]):
            raise DataError(f"looked_at {cell!r} is neither `all` nor spans such as 0-60 90-120.5; correct it")
        spans.append((float(match[1]), end_s))
    return tuple(union(spans))


def looked_at_cell(spans: tuple[Span, ...] | None) -> str:
    """Return what `parse_looked_at` reads."""
    if spans == WHOLE:
        return "all"
    return " ".join(f"{start_s!r}-{'' if end_s == math.inf else repr(end_s)}" for start_s, end_s in spans or ())


def split_modifiers(cell: str) -> list[str]:
    """Return the modifiers that a cell joins by `|`; empty ones are left out."""
    parts = [re.sub(r"\\(.)", r"\1", part).strip() for part in re.findall(r"(?:[^|\\]|\\.|\\$)+", cell)]
    return [part for part in parts if part]


def joined_modifiers(modifiers: tuple[str, ...]) -> str:
    """Return the cell that `split_modifiers` reads."""
    return "|".join(re.sub(r"([|\\])", r"\\\1", modifier) for modifier in modifiers)


def write_bouts_csv(annotations: Annotations, path: Path) -> None:
    """Write a row a bout, and one for each recording and subject without; columns that hold nothing are left out.

    Raises:
        OSError: If the file cannot be written.
    """
    rows = [row for recording in annotations.recordings for row in _rows(recording, path.parent)]
    columns = [name for name in COLUMNS if name in _BOUT or any(row[name] for row in rows)]
    with replacing_table(path) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows([row[name] for name in columns] for row in rows)


def _rows(recording: Recording, folder: Path) -> list[dict[str, str]]:
    path = relative(recording.path, folder)
    of_recording = {
        "path": path,
        "recording": recording.name if recording.name != file_name(path) else "",
        "duration_s": _number(recording.duration_s),
        "fps": _number(recording.fps),
        "split": recording.split,
        "group": recording.group,
        "roi": " ".join(map(str, recording.roi or ())),
        "looked_at": looked_at_cell(recording.looked_at),
    }
    rows = [
        {
            "label": bout.label,
            "start_s": repr(bout.start_s),
            "end_s": repr(bout.end_s),
            "subject": bout.subject,
            "modifiers": joined_modifiers(bout.modifiers),
            "comment": bout.comment,
            "prob": _number(bout.prob),
        }
        for bout in recording.bouts
    ]
    rows += [{"subject": subject} for subject in recording.idle_subjects]
    return [{**dict.fromkeys(COLUMNS, ""), **of_recording, **row} for row in rows or [{}]]


def _number(value: float | None) -> str:
    return "" if value is None else repr(value)


def relative(path: Path | None, folder: Path) -> str:
    """Return a video's path as a file in `folder` names it; empty without a video."""
    if path is None:
        return ""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive
        return path.as_posix()
