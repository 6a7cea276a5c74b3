"""What the two table exports of BORIS share: columns by their old and new names, preambles, players.

BORIS names columns differently in each generation: `Media file path` (to 8.15), `Media file name` and `Source` (since
8.16), `Modifiers`, `Modifier 1`, `Modifier #1`, `Status` or `Behavior type`. They are found by name, in any order.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lrcn.annotations.boris_project import described, description_of
from lrcn.annotations.bouts_csv import relative
from lrcn.annotations.observations import MediaFile, Observation, Observed, Player
from lrcn.annotations.reading import Log, ReadOptions, number, seconds
from lrcn.annotations.text_files import Row, head_of, rows_of
from lrcn.bouts import Recording, Span
from lrcn.errors import DataError

NOBODY = "No focal subject"
NA = "NA"

_NAMES = {
    "observation id": "observation",
    "observation": "observation",
    "description": "description",
    "source": "source",
    "media file": "media",
    "media file path": "media",
    "media file name": "media",
    "media file(s)": "media",
    "media duration (s)": "durations",
    "total length": "total",
    "fps": "fps",
    "fps (frame/s)": "fps",
    "time offset (s)": "offset",
    "time offset": "offset",
    "subject": "subject",
    "behavior": "behavior",
    "behaviour": "behavior",
    "status": "status",
    "behavior type": "status",
    "behaviour type": "status",
    "time": "time",
    "time (s)": "time",
    "start (s)": "start",
    "start": "start",
    "start time": "start",
    "stop (s)": "stop",
    "stop": "stop",
    "stop time": "stop",
    "comment": "comment",
    "comment start": "comment",
    "comment stop": "comment stop",
}
_MODIFIER = re.compile(r"modif(?:ier)?s?\s*#?\s*\d*", re.IGNORECASE)
_NO_MEDIA = ("", "na", "not found", "live", "live observation", "none")
_PLAYER = re.compile(r"player #(\d+)\s*:?\s*(.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class TableRow:
    """A row of events."""

    place: str
    observation: str
    cells: Mapping[str, str]
    """By what a column is, one of the values of `_NAMES`."""
    modifiers: tuple[str, ...]
    preamble: Mapping[str, tuple[str, ...]]
    """What stands above the table, by its first cells in lower case."""

    @property
    def subject(self) -> str:
        """Who; empty for nobody in particular."""
        return "" if self.cells.get("subject", "") == NOBODY else self.cells.get("subject", "")

    @property
    def comment(self) -> str:
        """Comments on start and stop, joined."""
        texts = (self.cells.get("comment", ""), self.cells.get("comment stop", ""))
        return "; ".join(dict.fromkeys(text for text in texts if text))


def meaning(cells: Sequence[str]) -> list[str]:
    """Return what each column of a header is; `modifier` for those, empty for columns that are not read."""
    lower = [cell.lower() for cell in cells]
    return [_NAMES.get(name, "modifier" if _MODIFIER.fullmatch(name) else "") for name in lower]


def is_header(cells: Sequence[str], required: Sequence[str]) -> bool:
    """Whether a row names the columns of an event table."""
    if not any(cell.lower() in ("behavior", "behaviour") for cell in cells):  # most rows are none
        return False
    return {*required, "behavior"} <= set(meaning(cells))


def table_head(path: Path) -> Iterator[Row]:
    """Yield the first rows of a file, as far as they can be read."""
    try:
        yield from rows_of(head_of(path, 2**16))
    except DataError:
        return


def table_rows(rows: Sequence[Row], required: Sequence[str]) -> Iterator[TableRow]:
    """Yield the event rows of a file, below one header or several, each with what stands above it.

    Args:
        rows: Of the whole file.
        required: What the header must name beside the behaviour.
    """
    columns: list[str] = []
    preamble: dict[str, tuple[str, ...]] = {}
    for row in rows:
        cells = row.cells
        first = cells[0].lower()
        if is_header(cells, required):
            columns = meaning(cells)
        elif not columns or (first == "observation id" and "observation" not in columns):
            if first == "observation id":  # the preamble of the next observation
                columns, preamble = [], {}
            preamble[first] = (*preamble.get(first, ()), *(cell for cell in cells[1:] if cell))
        else:
            yield _row(row, columns, preamble)


def _row(row: Row, columns: Sequence[str], preamble: Mapping[str, tuple[str, ...]]) -> TableRow:
    cells: dict[str, str] = {}
    modifiers = []
    for column, cell in zip(columns, row.cells, strict=False):
        if column == "modifier":
            modifiers += [modifier.strip() for modifier in cell.split("|")] if cell else []
        elif column and not cells.get(column):
            cells[column] = cell
    name = cells.get("observation") or next(iter(preamble.get("observation id", ())), "")
    return TableRow(f"line {row.line}", name or "1", cells, tuple(modifiers), preamble)


def observation_of(
    name: str,
    rows: Sequence[TableRow],
    events: Sequence[Observed],
    unknown: Sequence[Span],
    options: ReadOptions,
    log: Log,
) -> Observation:
    """Return an observation with its media; it counts as gone through from start to end.

    Args:
        name: Its id.
        rows: Those of this observation, in the order of time.
        events: What was made of them.
        unknown: Spans in which something is not known.
        options: How the file is read.
        log: Takes what is wrong.
    """
    players = _players(name, rows, options, log)
    end_s = math.inf if players else max((event.bout.end_s for event in events), default=0.0)
    offset_s = _offset(name, rows, log)
    description = rows[0].cells.get("description") or next(iter(rows[0].preamble.get("description", ())), "")
    seen = described(description, offset_s, ((-math.inf, end_s),))
    return Observation(name, tuple(events), players, offset_s, seen, tuple(unknown))


def _offset(name: str, rows: Sequence[TableRow], log: Log) -> float:
    stated = rows[0].cells.get("offset") or next(iter(rows[0].preamble.get("time offset (s)", ())), "")
    if stated in ("", NA):
        return 0.0
    try:
        return seconds(stated)
    except DataError:
        log.warn(f"observation {name!r}", f"time offset {stated!r} is no number of seconds; taken as 0")
        return 0.0


def _players(name: str, rows: Sequence[TableRow], options: ReadOptions, log: Log) -> tuple[Player, ...]:
    place = f"observation {name!r}"
    first = rows[0]
    durations, rates = _numbers(first.cells.get("durations", "")), _numbers(first.cells.get("fps", ""))
    by_player = _listed(first)
    if not by_player:
        seen = dict.fromkeys(row.cells.get("media", "") for row in rows)
        files = [media for media in seen if media.lower() not in _NO_MEDIA]
        if not files:
            return ()
        by_player = {1: files}
    number_one = min(by_player)
    if len(by_player) > 1:
        log.warn(
            place,
            f"has {len(by_player)} players, and this export does not say by how much they are offset: only player "
            f"{number_one} is read; for the others read the project file",
        )
    files = by_player[number_one]
    lengths: list[float | None]
    lengths = durations[0] if durations and len(durations[0]) == len(files) else [None] * len(files)
    fps = rates[0] if rates and len(rates[0]) == len(files) else [rates[0][0] if rates else None] * len(files)
    total_s = number(first.cells.get("total", ""))
    if len(files) == 1 and lengths == [None] and total_s is not None:
        info = options.media.info(options.media.find(files[0]))
        if info is not None and info.duration_s < total_s - 1:
            log.warn(
                place,
                f"is {total_s:g} s long, and {files[0]} {info.duration_s:g} s: there are other files before or after "
                "it, so no video is known; read the project file",
            )
            return ()
        lengths = [total_s]
    return (Player(number_one, tuple(map(MediaFile, files, lengths, fps))),)


def _listed(row: TableRow) -> dict[int, list[str]]:
    """Return the files of each player, from a source column or the preamble."""
    source = row.cells.get("source", "")
    parts = re.split(r"\|(?=player #\d)", source, flags=re.IGNORECASE) if "player #" in source.lower() else []
    parts += [f"{key}:{name}" for key, names in row.preamble.items() if _PLAYER.fullmatch(key) for name in names]
    found: dict[int, list[str]] = {}
    for part in parts:
        if match := _PLAYER.fullmatch(part.strip()):
            names = [name.strip() for name in match[2].split(";") if name.strip()]
            found.setdefault(int(match[1]), []).extend(names)
    return {player: names for player, names in found.items() if names}


def _numbers(cell: str) -> list[list[float | None]]:
    """Return the numbers of each file of each player."""
    return [[number(value) for value in player.split(";")] for player in cell.split("|")] if cell else []


def by_observation(rows: Sequence[TableRow]) -> dict[str, list[TableRow]]:
    """Return the rows of each observation, in the file's order."""
    found: dict[str, list[TableRow]] = {}
    for row in rows:
        found.setdefault(row.observation, []).append(row)
    return found


def headed_by_preamble(rows: Sequence[Row], required: Sequence[str]) -> list[str]:
    """Return the observations that preambles name, also those without events.

    Args:
        rows: Of the whole file.
        required: As for `table_rows`: a header may begin as a preamble does.
    """
    return [
        row.cells[1]
        for row in rows
        if row.cells[0].lower() == "observation id" and len(row.cells) > 1 and not is_header(row.cells, required)
    ]


def about(recording: Recording, folder: Path) -> dict[str, str]:
    """Return the cells that say what a recording is, as BORIS 9 names them."""
    path = relative(recording.path, folder)
    return {
        "Observation id": recording.name,
        "Observation date": "",
        "Description": description_of(recording),
        "Observation type": "Media file(s)" if path else "Live observation",
        "Source": f"player #1:{path}" if path else NA,
        "Time offset (s)": repr(recording.offset_s),
        "Media duration (s)": repr(recording.duration_s) if path and recording.duration_s else NA,
        "FPS": repr(recording.fps) if path and recording.fps else NA,
        "Media file name": path or NA,
        "Behavioral category": "",
        "Image index": NA,
        "Image file path": NA,
    }


def modifier_cells(modifiers: Sequence[str], columns: int) -> dict[str, str]:
    """Return a cell for each modifier, `Modifier #1` and so on."""
    return {f"Modifier #{i + 1}": (*modifiers, *[""] * columns)[i] for i in range(columns)}


def delimiter_of(path: Path) -> str:
    """Return what separates cells of a file that is written."""
    return "," if path.suffix.lower() == ".csv" else "\t"
