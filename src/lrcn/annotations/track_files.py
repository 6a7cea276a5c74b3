"""Where animals and people are, as trackers write it: our CSV, DeepLabCut's, SLEAP's.

- Ours: columns `frame,id,x,y` and, where boxes are known, `w,h`; `x,y` is then the box's left upper corner, and a point
  in the middle otherwise. A row without numbers says that it is not seen.
- DeepLabCut's analysis of videos: header rows `scorer`, `individuals` (of several animals), `bodyparts` and `coords`.
- SLEAP's analysis, and `instances` and `points` of sleap-io: `track,frame_idx` and `NODE.x,NODE.y`, or `x,y`.

Frames are counted from 0. Of body parts the mean is taken, in DeepLabCut's files of those with a likelihood of at least
`LEAST_LIKELIHOOD`.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrcn.annotations.text_files import Row, read_text, rows_of
from lrcn.errors import DataError, MediaError
from lrcn.video.tracks import Track

LEAST_LIKELIHOOD = 0.6
"""The `pcutoff` that DeepLabCut sets for a new project."""

_FITS = 0.9
"""Share of boxes that fit into the square of a track: a few that are too large must not make it small in there."""

_UNIQUE = "single"
"""DeepLabCut's name for parts that are no animal's, such as the corners of the arena."""


class _Seen(NamedTuple):
    """Somebody in a frame."""

    line: int
    frame: int
    id: str
    x: float
    y: float
    side: float = math.nan


def read_tracks(path: str | Path) -> tuple[Track, ...]:
    """Return the tracks of a file, in the order in which they first occur.

    Raises:
        DataError: If it cannot be read, is of no known kind, or holds no track.
    """
    path = Path(path)
    rows = rows_of(read_text(path), None, path.name)
    first = next(rows, None)
    if first is None:
        raise DataError(f"{path}: the file is empty; tracks are wanted")
    columns = [cell.lower() for cell in first.cells]
    if columns[0] == "scorer":
        seen = _deeplabcut(rows, path)
    elif "frame_idx" in columns:
        seen = _sleap(columns, rows, path)
    elif {"frame", "id", "x", "y"} <= set(columns):
        seen = _ours(columns, rows, path)
    else:
        raise DataError(
            f"{path.name} line {first.line}: expected the columns frame,id,x,y,w,h, or those of DeepLabCut or SLEAP"
        )
    return _joined(seen, path)


def track_file(tracks: Path, video: Path) -> Path:
    """Return the file of a video's tracks: the one that is named, or the one in the folder that has the video's name.

    Raises:
        MediaError: If there is none.
    """
    file = tracks / f"{video.stem}.csv" if tracks.is_dir() else tracks
    if not file.is_file():
        raise MediaError(f"{video}: its tracks are not there; {file} is wanted")
    return file


def _ours(columns: list[str], rows: Iterable[Row], path: Path) -> Iterator[_Seen]:
    has_boxes = {"w", "h"} <= set(columns)
    for row in rows:
        cells = row.by_column(columns)
        frame = _frame(cells["frame"], row, path)
        x, y = (_number(cells[name], row, path) for name in "xy")
        if not has_boxes:
            yield _Seen(row.line, frame, cells["id"], x, y)
            continue
        width, height = (_number(cells[name], row, path) for name in "wh")
        if not (width > 0 and height > 0) and not math.isnan(width + height):
            raise DataError(f"{path.name} line {row.line}: a box of {width:g}x{height:g} px; both must be above 0")
        yield _Seen(row.line, frame, cells["id"], x + width / 2, y + height / 2, max(width, height))


class DeepLabCutColumn(NamedTuple):
    """What a column of DeepLabCut's holds."""

    animal: str
    """Empty in files of one animal."""
    part: str
    coordinate: str
    """`x`, `y` or `likelihood`."""


def deeplabcut_columns(rows: Iterator[Row], path: Path) -> list[DeepLabCutColumn]:
    """Return what the columns behind the first, which counts frames, hold; takes the header rows behind `scorer`.

    Raises:
        DataError: If they are not those of DeepLabCut.
    """
    header = {}
    for row in rows:
        header[row.cells[0].lower()] = row.cells
        if row.cells[0].lower() == "coords":
            break
    width = len(header.get("coords", ()))
    if "bodyparts" not in header or any(len(cells) != width for cells in header.values()):
        raise DataError(f"{path}: header rows scorer, bodyparts and coords are wanted; save it from DeepLabCut again")
    animals = header.get("individuals", [""] * width)
    return [
        DeepLabCutColumn(animals[column], header["bodyparts"][column], header["coords"][column].lower())
        for column in range(1, width)
    ]


def _deeplabcut(rows: Iterator[Row], path: Path) -> Iterator[_Seen]:
    columns = deeplabcut_columns(rows, path)
    width = 1 + len(columns)
    parts: dict[str, dict[str, dict[str, int]]] = {}  # animal -> body part -> coordinate -> column
    for number, column in enumerate(columns, start=1):
        parts.setdefault(column.animal, {}).setdefault(column.part, {})[column.coordinate] = number
    if not all({"x", "y"} <= of.keys() for own in parts.values() for of in own.values()):
        raise DataError(f"{path}: each body part needs columns x and y; save it from DeepLabCut again")
    if len(parts) > 1:
        parts.pop(_UNIQUE, None)
    for row in rows:
        frame = _frame(row.cells[0], row, path)
        if len(row.cells) != width:
            raise DataError(f"{path.name} line {row.line}: {len(row.cells)} cells, and the header has {width}")
        values = [math.nan, *(_number(cell, row, path) for cell in row.cells[1:])]
        for animal, own in parts.items():
            points = [
                (values[of["x"]], values[of["y"]])
                for of in own.values()
                if "likelihood" not in of or values[of["likelihood"]] >= LEAST_LIKELIHOOD
            ]
            yield _Seen(row.line, frame, animal, *_mean(points))


def _sleap(columns: list[str], rows: Iterable[Row], path: Path) -> Iterator[_Seen]:
    nodes = [name.removesuffix("x") for name in columns if name == "x" or name.endswith(".x")]
    missing = [f"{node}y" for node in nodes if f"{node}y" not in columns] or ([] if nodes else ["x"])
    if missing or "track" not in columns:
        raise DataError(
            f"{path.name} line 1: no column {missing[0] if missing else 'track'!r}; save it from SLEAP again"
        )
    is_points = "node" in columns
    points: dict[tuple[int, str, str], tuple[int, list[tuple[float, float]]]] = {}
    for row in rows:
        cells = row.by_column(columns)
        frame = _frame(cells["frame_idx"], row, path)
        own = [(_number(cells[f"{node}x"], row, path), _number(cells[f"{node}y"], row, path)) for node in nodes]
        if not is_points:
            yield _Seen(row.line, frame, cells["track"], *_mean(own))
        else:
            key = frame, cells["track"], cells.get("instance_idx", "")
            points.setdefault(key, (row.line, []))[1].extend(own)
    for (frame, track, _), (line, own) in points.items():
        yield _Seen(line, frame, track, *_mean(own))


def _mean(points: Iterable[tuple[float, float]]) -> tuple[float, float]:
    known = [(x, y) for x, y in points if not math.isnan(x + y)]
    if not known:
        return math.nan, math.nan
    return sum(x for x, _ in known) / len(known), sum(y for _, y in known) / len(known)


def _joined(seen: Iterable[_Seen], path: Path) -> tuple[Track, ...]:
    # hours of several animals are millions of rows: as numbers side by side they take a tenth of the memory
    columns: dict[str, tuple[array[int], array[float]]] = {}
    for one in seen:
        if not math.isnan(one.x + one.y):
            whole, real = columns.setdefault(one.id, (array("q"), array("d")))
            whole.extend((one.frame, one.line))
            real.extend((one.x, one.y, one.side))
    if not columns:
        raise DataError(f"{path}: nobody is seen in any frame; is it the right file?")
    return tuple(
        _track(name, np.array(whole).reshape(-1, 2), np.array(real).reshape(-1, 3), path)
        for name, (whole, real) in columns.items()
    )


def _track(name: str, whole: NDArray[np.int64], real: NDArray[np.float64], path: Path) -> Track:
    order = np.argsort(whole[:, 0], kind="stable")
    (frames, lines), (x, y, sides) = whole[order].T, real[order].T
    if len(again := np.flatnonzero(np.diff(frames) == 0)):
        place = again[np.argmin(lines[again + 1])]
        who = f"{name!r}" if name else "somebody without a name"
        raise DataError(
            f"{path.name} line {lines[place + 1]}: frame {frames[place]} has {who} twice; give each animal and person "
            "one name, by tracking them first"
        )
    side = None if np.isnan(sides).any() else float(np.quantile(sides, _FITS, method="higher"))
    return Track(name, frames, np.stack([x, y], axis=1), side)


def _frame(cell: str, row: Row, path: Path) -> int:
    number = _number(cell, row, path)
    if not number >= 0 or number != int(number):
        raise DataError(f"{path.name} line {row.line}: {cell!r} is no number of a frame; count them from 0")
    return int(number)


def _number(cell: str, row: Row, path: Path) -> float:
    """Return a number, or nan where nothing is said."""
    if not cell:
        return math.nan
    try:
        number = float(cell)
    except ValueError:
        number = math.inf
    if math.isinf(number):
        raise DataError(f"{path.name} line {row.line}: {cell!r} is no number; correct it")
    return number
