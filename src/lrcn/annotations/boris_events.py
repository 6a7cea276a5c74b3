"""BORIS's tabular events (TSV, CSV): a row for each start, stop and point, of BORIS 7 to 9.12.

Up to 8.15 a preamble names observation, players and time offset above the table; since then columns do. Starts and
stops of one subject with equal modifiers are paired in the order of time. The observation counts as gone through from
start to end. Written is the form of BORIS 9, any number of recordings in one table.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from lrcn.annotations.boris_project import check_no_overlap
from lrcn.annotations.boris_tables import (
    TableRow,
    about,
    by_observation,
    delimiter_of,
    headed_by_preamble,
    is_header,
    modifier_cells,
    observation_of,
    table_head,
    table_rows,
)
from lrcn.annotations.observations import recordings_of
from lrcn.annotations.reading import Log, ReadOptions, rounded, seconds
from lrcn.annotations.state_events import POINT, START, STOP, Mark, num_events, paired
from lrcn.annotations.text_files import read_rows
from lrcn.bouts import WHOLE, Annotations, Recording
from lrcn.errors import DataError
from lrcn.files import replacing_table

_REQUIRED = ("time", "status")


def detect_boris_events(path: Path) -> bool:
    """Whether a header of tabular events is among the first rows."""
    return any(is_header(row.cells, _REQUIRED) for row in table_head(path))


def read_boris_events(path: Path, options: ReadOptions) -> Annotations:
    """Read all observations of a file.

    Raises:
        DataError: If there is no header with time, behaviour and status.
    """
    rows = read_rows(path)
    if not any(is_header(row.cells, _REQUIRED) for row in rows):
        raise DataError(
            f"{path}: no row names the columns Time, Behavior and Behavior type (or Status); export it again"
        )
    log = Log(path.name)
    events = list(table_rows(rows, _REQUIRED))
    log.num_events = _count(events)
    recordings = []
    for name, own in by_observation(events).items():
        recordings += _read(name, own, options, log)
    for name in dict.fromkeys(headed_by_preamble(rows, _REQUIRED)):
        if all(row.observation != name for row in events):
            log.warn(f"observation {name!r}", "has no events; leave it out, or annotate it")
    return log.annotations(recordings)


def _time(row: TableRow) -> float | None:
    try:
        return seconds(row.cells.get("time", ""))
    except DataError:
        return None


def _is_whole(row: TableRow) -> bool:
    known = row.cells.get("status", "").upper() in (START, STOP, POINT)
    return known and bool(row.cells.get("behavior")) and _time(row) is not None


def _count(rows: list[TableRow]) -> int:
    """Count the events of a file on their own."""
    whole = sorted(filter(_is_whole, rows), key=_sorting)
    statuses = (
        ((row.observation, row.subject, row.cells["behavior"], row.modifiers), row.cells["status"].upper())
        for row in whole
    )
    return num_events(statuses) + len(rows) - len(whole)


def _sorting(row: TableRow) -> float:
    return _time(row) or 0.0


def _read(name: str, rows: list[TableRow], options: ReadOptions, log: Log) -> list[Recording]:
    rows = sorted(rows, key=_sorting)
    marks = []
    for row in rows:
        if not _is_whole(row):
            cells = [row.cells.get(column, "") for column in ("time", "behavior", "status")]
            log.skip(
                row.place,
                f"{' '.join(map(repr, cells))} should be a time in seconds, a behaviour and START, STOP or POINT",
            )
            continue
        marks.append(
            Mark(
                _sorting(row),
                row.cells["behavior"],
                row.subject,
                row.modifiers,
                row.comment,
                row.place,
                row.cells["status"].upper(),
            )
        )
    events, unknown = paired(marks, log.skip)
    if len(marks) < len(rows):
        unknown = list(WHOLE)
    return recordings_of(observation_of(name, rows, events, unknown, options, log), options, log)


def write_boris_events(annotations: Annotations, path: Path) -> None:
    """Write starts, stops and points in the order of time, recording by recording.

    What was not gone through from start to end says so in the description. Probabilities, splits, groups and regions
    have no column.

    Raises:
        DataError: If bouts of one behaviour, subject and modifiers overlap.
        OSError: If the file cannot be written.
    """
    most = max((len(bout.modifiers) for one in annotations.recordings for bout in one.bouts), default=0)
    columns = [
        *("Observation id", "Observation date", "Description", "Observation type", "Source", "Time offset (s)"),
        *("Media duration (s)", "FPS", "Subject", "Behavior", "Behavioral category"),
        *modifier_cells((), most),
        *("Behavior type", "Time", "Media file name", "Image index", "Image file path", "Comment"),
    ]
    with replacing_table(path) as file:
        table = csv.DictWriter(
            file, columns, delimiter=delimiter_of(path), lineterminator="\r\n", extrasaction="ignore"
        )
        table.writeheader()
        for recording in annotations.recordings:
            check_no_overlap(recording.bouts, f"{path}: {recording.name}")
            table.writerows(_rows(recording, path.parent, most))


def _rows(recording: Recording, folder: Path, most: int) -> list[dict[str, Any]]:
    of_recording = about(recording, folder)
    rows: list[tuple[float, dict[str, Any]]] = []
    for bout in recording.bouts:
        cells = {
            **of_recording,
            **modifier_cells(bout.modifiers, most),
            "Subject": bout.subject,
            "Behavior": bout.label,
        }
        ends = [(bout.start_s, POINT)] if bout.is_point else [(bout.start_s, START), (bout.end_s, STOP)]
        for time_s, status in ends:
            comment = "" if status == STOP else bout.comment
            logged_s = rounded(time_s + recording.offset_s)
            rows.append((time_s, {**cells, "Behavior type": status, "Time": repr(logged_s), "Comment": comment}))
    return [row for _, row in sorted(rows, key=lambda row: row[0])]
