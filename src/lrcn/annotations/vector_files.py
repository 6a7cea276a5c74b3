"""Ready vectors of recordings, as pose trackers write them, or as a table or tensor of any other program.

- DeepLabCut's analysis of videos (CSV): values `PART.x`, `PART.y`, `PART.likelihood`; of several animals
  `ANIMAL.PART.x`. Where a part is has a likelihood below `LEAST_LIKELIHOOD`, its place counts as missing.
- SLEAP's analysis (CSV): values by its columns, `NODE.x`, `NODE.y`, `NODE.score`; of several tracks `TRACK.NODE.x`.
- Any other CSV of numbers with a header, a row a frame: each column is a value, but `time_s` and `frame`. MediaPipe,
  which writes no files, is best saved so.
- `.safetensors` with a tensor `vectors` `(T, D)` and, if they are known, `times_s` `(T,)` or `fps`.

An empty cell or `nan` is a value that is missing. Frames are counted from 0; those that are left out are missing.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrcn.annotations.text_files import Row, read_text, rows_of
from lrcn.annotations.track_files import LEAST_LIKELIHOOD, deeplabcut_columns
from lrcn.config import VectorConfig
from lrcn.errors import DataError, MediaError
from lrcn.video.sources import VECTOR_SUFFIXES
from lrcn.video.vectors import Vectors

_CLOCKS = ("time_s", "frame", "frame_idx", "index")
"""Columns that say when a row is, the best first; a first column without a name is the last, as pandas writes it."""

_OF_SLEAP = ("track", "frame_idx", "video", "video_path", "instance_idx", "")
"""Columns of SLEAP's that hold no value."""

_LATEST_S = 1e6
"""No recording lasts eleven days: later times are dates, or of another unit; what is sampled must fit into memory."""

_STILL_FPS = 30.0
"""A file of a single row lasts as long as a picture does."""


def read_vectors(path: str | Path, config: VectorConfig) -> Vectors:
    """Return the vectors of a recording, those values of them that `config` names, if it does.

    Raises:
        MediaError: If it cannot be read, lacks such a value, or tells no times and `config` knows no rate.
    """
    path = Path(path)
    if path.suffix.lower() not in VECTOR_SUFFIXES:
        raise MediaError(
            f"{path}: no file of ready vectors ({', '.join(sorted(VECTOR_SUFFIXES))}), which are read here in place of "
            "videos"
        )
    try:
        found = _safetensors(path, config.fps) if path.suffix.lower() == ".safetensors" else _csv(path, config.fps)
    except DataError as exc:
        raise MediaError(str(exc)) from exc
    try:
        return found.select(config.names) if config.names else found
    except KeyError as exc:
        raise MediaError(
            f"{path}: has no value {exc.args[0]!r}, which the model reads; it has {len(found.names)}, the first "
            f"{found.names[0]!r}. Are they of the same body parts?"
        ) from exc


def _csv(path: Path, fps: float | None) -> Vectors:
    rows = rows_of(read_text(path), None, path.name)
    first = next(rows, None)
    if first is None:
        raise DataError(f"{path}: the file is empty; a row of values for each frame is wanted")
    columns = [cell.lower() for cell in first.cells]
    if columns[0] == "scorer":
        return _deeplabcut(rows, path, fps)
    if "frame_idx" in columns and "track" in columns:
        return _sleap(first, rows, path, fps)
    return _table(first, rows, path, fps)


def _deeplabcut(rows: Iterator[Row], path: Path, fps: float | None) -> Vectors:
    columns = deeplabcut_columns(rows, path)
    several = len({column.animal for column in columns}) > 1
    names = [".".join(column if several else column[1:]) for column in columns]
    read = _numbers(rows, 1 + len(columns), path)
    values = read.values[:, 1:]
    likelihoods = {c[:2]: number for number, c in enumerate(columns) if c.coordinate == "likelihood"}
    for number, column in enumerate(columns):
        if column.coordinate != "likelihood" and column[:2] in likelihoods:
            values[values[:, likelihoods[column[:2]]] < LEAST_LIKELIHOOD, number] = np.nan  # a guess, which jumps
    return _vectors(names, values, _times(read.values[:, 0], read.lines, path, fps), path, fps)


def _sleap(header: Row, rows: Iterator[Row], path: Path, fps: float | None) -> Vectors:
    columns = [cell.lower() for cell in header.cells]
    if "node" in columns:
        raise DataError(f"{path}: a table of single points; save the analysis from SLEAP, a row for each animal")
    own = [number for number, name in enumerate(columns) if name not in _OF_SLEAP]
    read = _numbers(rows, len(columns), path, [columns.index("frame_idx"), *own], text=columns.index("track"))
    frames, of_row = np.unique(read.values[:, 0], return_inverse=True)
    tracks = list(dict.fromkeys(read.texts))
    of_track = np.array([tracks.index(text) for text in read.texts], dtype=np.int64)
    cells = of_row * len(tracks) + of_track
    first, counts = np.unique(cells, return_index=True, return_counts=True)[1:]
    if (again := np.flatnonzero(counts > 1)).size:
        row = int(np.flatnonzero(cells == cells[first[again[0]]])[1])
        who = f"track {read.texts[row]!r}" if read.texts[row] else "somebody without a track"
        raise DataError(
            f"{path.name} line {read.lines[row]}: frame {read.values[row, 0]:g} has {who} twice; track animals first"
        )
    values = np.full((len(frames), len(tracks), len(own)), np.nan)
    values[of_row, of_track] = read.values[:, 1:]
    names = [header.cells[number] for number in own]
    if len(tracks) > 1:
        names = [f"{one}.{name}" for one in tracks for name in names]
    lines = read.lines[np.unique(of_row, return_index=True)[1]]
    return _vectors(names, values.reshape(len(frames), -1), _times(frames, lines, path, fps), path, fps)


def _table(header: Row, rows: Iterator[Row], path: Path, fps: float | None) -> Vectors:
    names = header.cells
    columns = [cell.lower() for cell in names]
    if all(map(_is_number, names)):
        raise DataError(f"{path.name} line {header.line}: expected the names of the columns, found numbers only")
    if not columns[0]:
        columns[0] = _CLOCKS[-1]
    clock = next((columns.index(name) for name in _CLOCKS if name in columns), None)
    own = [number for number, name in enumerate(columns) if name not in _CLOCKS]
    read = _numbers(rows, len(columns), path, own if clock is None else [clock, *own])
    values = read.values if clock is None else read.values[:, 1:]
    if clock is None:
        times_s = _times(np.arange(len(read.values), dtype=np.float64), read.lines, path, fps)
    elif columns[clock] == "time_s":
        times_s = _rising(read.values[:, 0], read.lines, path, "time_s")
    else:
        times_s = _times(read.values[:, 0], read.lines, path, fps)
    return _vectors([names[number] for number in own], values, times_s, path, fps)


def _safetensors(path: Path, fps: float | None) -> Vectors:
    from safetensors.numpy import load

    try:
        tensors = load(path.read_bytes())
    except OSError as exc:
        raise DataError(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    except Exception as exc:  # dtypes that NumPy lacks and sizes that nothing has end in errors of many kinds
        raise DataError(f"{path}: no .safetensors file, or damaged ({exc}); copy it again") from exc
    if "vectors" not in tensors:
        raise DataError(f"{path}: no tensor 'vectors' (frames, values) in it; found: {', '.join(sorted(tensors))}")
    values = tensors["vectors"]
    if values.ndim != 2 or np.iscomplexobj(values):
        raise DataError(f"{path}: 'vectors' is {values.shape}; expected (frames, values)")
    rows = np.arange(len(values))
    if "times_s" in tensors:
        if tensors["times_s"].shape != values.shape[:1]:
            raise DataError(f"{path}: 'times_s' is {tensors['times_s'].shape} for {len(values)} vectors")
        times_s = _rising(tensors["times_s"].astype(np.float64), rows, path, "times_s", unit="row")
    else:
        if "fps" in tensors:
            stated = tensors["fps"].ravel()
            fps = float(stated[0]) if stated.size == 1 else math.nan
            if not 0 < fps < math.inf:
                raise DataError(f"{path}: 'fps' is {stated.tolist()}; expected one number above 0")
        times_s = _times(rows.astype(np.float64), rows, path, fps, unit="row")
    return _vectors([str(number) for number in range(values.shape[1])], values, times_s, path, fps)


class _Numbers(NamedTuple):
    """The rows of a table."""

    values: NDArray[np.float64]
    """`(T, columns)`, nan where a cell is empty."""
    lines: NDArray[np.int64]
    """`(T,)`"""
    texts: list[str]
    """T of them, empty where there is no column of texts."""


def _numbers(
    rows: Iterable[Row], width: int, path: Path, columns: Sequence[int] | None = None, *, text: int | None = None
) -> _Numbers:
    """Read rows of numbers; those of hours are millions, which side by side take a tenth of the memory.

    Args:
        rows: Below the header.
        width: Columns of the header.
        path: Of the file.
        columns: Which are read; None for all.
        text: The column of texts, if any.
    """
    columns = range(width) if columns is None else columns
    flat, lines, texts = array("d"), array("q"), []
    for row in rows:
        if len(row.cells) != width:
            raise DataError(f"{path.name} line {row.line}: {len(row.cells)} cells, and the header has {width}")
        cells = [row.cells[number] for number in columns]
        try:
            flat.extend([float(cell) if cell else math.nan for cell in cells])
        except ValueError:
            odd = next(cell for cell in cells if cell and not _is_number(cell))
            raise DataError(f"{path.name} line {row.line}: {odd!r} is no number; leave a missing value empty") from None
        lines.append(row.line)
        texts.append("" if text is None else row.cells[text])
    values = np.array(flat, dtype=np.float64).reshape(len(lines), len(columns))
    infinite = np.isinf(values).any(axis=1)
    if infinite.any():
        raise DataError(f"{path.name} line {lines[int(infinite.argmax())]}: holds a number that is infinite")
    return _Numbers(values, np.array(lines, dtype=np.int64), texts)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _times(
    frames: NDArray[np.float64], lines: NDArray[np.int64], path: Path, fps: float | None, *, unit: str = "line"
) -> NDArray[np.float64]:
    """Return when frames begin, by the rate of the file."""
    if fps is None:
        raise DataError(
            f"{path}: tells no times; add a column time_s, or say how many rows a second such files have: --vector-fps"
        )
    odd = np.flatnonzero(~(frames == np.floor(frames)))
    if len(odd):
        raise DataError(f"{path.name} {unit} {lines[odd[0]]}: {frames[odd[0]]:g} is no number of a frame")
    return _rising(frames / fps, lines, path, "frame", unit=unit)


def _rising(
    times_s: NDArray[np.float64], lines: NDArray[np.int64], path: Path, what: str, *, unit: str = "line"
) -> NDArray[np.float64]:
    """Return times, once they are times of a recording in order."""
    if len(odd := np.flatnonzero(~((times_s >= 0) & (times_s < _LATEST_S)))):
        raise DataError(
            f"{path.name} {unit} {lines[odd[0]]}: {what} must count from the start of the recording, from 0 up; it is "
            f"at {times_s[odd[0]]:g} s"
        )
    if len(odd := np.flatnonzero(np.diff(times_s) <= 0)):
        raise DataError(f"{path.name} {unit} {lines[odd[0] + 1]}: {what} does not rise; put rows in order, each once")
    return times_s


def _vectors(
    names: Sequence[str], values: NDArray[Any], times_s: NDArray[np.float64], path: Path, fps: float | None
) -> Vectors:
    if values.size == 0:
        raise DataError(f"{path}: no values in it; a row of numbers for each frame is wanted")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(f"{path}: two columns are called {twice[0]!r}; rename one")
    if "" in names:
        raise DataError(f"{path}: a column has no name; give it one")
    if np.isinf(values).any():
        raise DataError(f"{path}: holds a number that is infinite")
    step_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 1.0 / (fps or _STILL_FPS)
    return Vectors(values.astype(np.float32), times_s, float(times_s[-1]) + step_s, tuple(names))
