"""BORIS's aggregated events (TSV, CSV): a row a bout, of BORIS 7 to 9.12, and rows of BORIS 7 whose header was cut off.

Old exports count the time of a queue of files over all of them and do not hold the files' lengths: where the files are
not there either, their bouts are read without a video. Observations count as gone through from start to end. Written is
the form of BORIS 9.
"""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path
from typing import Any

from lrcn.annotations.boris_tables import (
    NA,
    NOBODY,
    TableRow,
    about,
    by_observation,
    delimiter_of,
    is_header,
    modifier_cells,
    observation_of,
    table_head,
    table_rows,
)
from lrcn.annotations.observations import Observed, recordings_of
from lrcn.annotations.reading import Log, ReadOptions, number, rounded, seconds
from lrcn.annotations.state_events import POINT
from lrcn.annotations.text_files import Row, read_rows
from lrcn.bouts import Annotations, Bout, Recording, Span
from lrcn.errors import DataError
from lrcn.files import replacing_table

_REQUIRED = ("start", "stop")
_OLD_END = ("Subject", "Behavior", "Behavioral category", "Modifiers", "Behavior type", "Start (s)", "Stop (s)")
_OLD_TAIL = ("Duration (s)", "Comment start", "Comment stop")


def detect_boris_aggregated(path: Path) -> bool:
    """Whether a header of aggregated events is among the first rows, or the first row is one of BORIS 7 without it."""
    rows = list(table_head(path))
    return any(is_header(row.cells, _REQUIRED) and "observation" in _lower(row) for row in rows) or (
        bool(rows) and _old_header(rows[0].cells) is not None
    )


def _lower(row: Row) -> str:
    return " ".join(row.cells).lower()


def _old_header(cells: tuple[str, ...]) -> list[str] | None:
    """Return the column names of a row of BORIS 7 that stands without them, None if it is no such row.

    Before the type stand subject, behaviour, category and modifiers; the media file stands before the first two cells
    that are a length and a rate.
    """
    place = next((i for i, cell in enumerate(cells) if cell in ("STATE", "POINT")), 0)
    if place < 8 or len(cells) < place + 3 or not re.fullmatch(r"\d{4}-\d\d-\d\d[ T][\d:.]+", cells[1]):
        return None
    if not all(cell == NA or _is_number(cell) for cell in cells[place + 1 : place + 3]):
        return None
    names = [""] * len(cells)
    names[0] = "Observation id"
    names[place - 4 : place + 3] = _OLD_END
    names[place + 3 : place + 6] = _OLD_TAIL[: len(cells) - place - 3]
    for i in range(2, place - 6):
        if number(cells[i + 1]) and (number(cells[i + 2]) or cells[i + 2] == NA):
            names[i : i + 3] = ["Media file", "Total length", "FPS"]
            break
    return names


def _is_number(cell: str) -> bool:
    try:
        seconds(cell)
    except DataError:
        return False
    return True


def read_boris_aggregated(path: Path, options: ReadOptions) -> Annotations:
    """Read all observations of a file.

    Raises:
        DataError: If there is no header with behaviour, start and stop.
    """
    rows = read_rows(path)
    if not any(is_header(row.cells, _REQUIRED) for row in rows):
        header = _old_header(rows[0].cells) if rows else None
        if header is None:
            raise DataError(f"{path}: no row names the columns Behavior, Start (s) and Stop (s); export it again")
        rows = [Row(0, tuple(header)), *rows]
    log = Log(path.name)
    events = list(table_rows(rows, _REQUIRED))
    log.num_events = len(rows) - sum(is_header(row.cells, _REQUIRED) for row in rows) - _before_header(rows)
    recordings: list[Recording] = []
    for name, own in by_observation(events).items():
        own.sort(key=_sorting)
        observed, unknown = _read(own, log)
        recordings += recordings_of(observation_of(name, own, observed, unknown, options, log), options, log)
    return log.annotations(recordings)


def _before_header(rows: list[Row]) -> int:
    return next(i for i, row in enumerate(rows) if is_header(row.cells, _REQUIRED))


def _sorting(row: TableRow) -> float:
    try:
        return seconds(row.cells.get("start", ""))
    except DataError:
        return math.inf


def _read(rows: list[TableRow], log: Log) -> tuple[list[Observed], list[Span]]:
    events: list[Observed] = []
    unknown: list[Span] = []
    for row in rows:
        label = row.cells.get("behavior", "")
        try:
            start_s = seconds(row.cells.get("start", ""))
            is_point = row.cells.get("status", "").upper() == POINT
            stop_s = start_s if is_point else seconds(row.cells.get("stop", ""))
            if not label:
                raise DataError("the behaviour is empty; name it")
        except DataError as exc:
            log.skip(row.place, str(exc))
            unknown.append((-math.inf, math.inf))
            continue
        if stop_s < start_s:
            log.skip(
                row.place, f"{label!r} stops at {stop_s:g} s, before its start at {start_s:g} s; correct one of them"
            )
            unknown.append((stop_s, start_s))
            continue
        events.append(Observed(Bout(label, start_s, stop_s, row.subject, row.modifiers, row.comment), row.place))
    return events, unknown


def write_boris_aggregated(annotations: Annotations, path: Path) -> None:
    """Write a row a bout, recording by recording.

    What was not gone through from start to end says so in the description. Probabilities, splits, groups and regions
    have no column.

    Raises:
        OSError: If the file cannot be written.
    """
    most = max((len(bout.modifiers) for one in annotations.recordings for bout in one.bouts), default=0)
    columns = [
        *("Observation id", "Observation date", "Description", "Observation type", "Source", "Time offset (s)"),
        *("Media duration (s)", "FPS (frame/s)", "Subject", "Behavior", "Behavioral category"),
        *modifier_cells((), most),
        *("Behavior type", "Start (s)", "Stop (s)", "Duration (s)", "Media file name"),
        *("Comment start", "Comment stop"),
    ]
    with replacing_table(path) as file:
        table = csv.DictWriter(
            file, columns, delimiter=delimiter_of(path), lineterminator="\r\n", extrasaction="ignore"
        )
        table.writeheader()
        for recording in annotations.recordings:
            of_recording = about(recording, path.parent)
            of_recording["FPS (frame/s)"] = of_recording["FPS"]
            table.writerows(_cells(bout, recording, of_recording, most) for bout in recording.bouts)


def _cells(bout: Bout, recording: Recording, of_recording: dict[str, str], most: int) -> dict[str, Any]:
    return {
        **of_recording,
        **modifier_cells(bout.modifiers, most),
        "Subject": bout.subject or NOBODY,
        "Behavior": bout.label,
        "Behavior type": POINT if bout.is_point else "STATE",
        "Start (s)": repr(rounded(bout.start_s + recording.offset_s)),
        "Stop (s)": repr(rounded(bout.end_s + recording.offset_s)),
        "Duration (s)": NA if bout.is_point else repr(rounded(bout.duration_s)),
        "Comment start": bout.comment,
        "Comment stop": "",
    }
