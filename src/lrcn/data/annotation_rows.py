"""What the CSV formats of both tasks share: columns by name, and the part of a video that a row is about."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from lrcn.data.csv_table import read_table
from lrcn.data.problems import Problems
from lrcn.data.splits import split_of
from lrcn.errors import DataError

PART_COLUMNS = ("split", "start_s", "end_s")
"""Read by `part_of`; each may be missing."""


def annotation_rows(
    file: Path, problems: Problems, *, required: tuple[str, ...], known: tuple[str, ...], aliases: Mapping[str, str]
) -> tuple[Iterator[tuple[int, dict[str, str]]], tuple[str, ...]]:
    """Return line number and cells by column of every row, and warnings about the columns.

    Args:
        file: A CSV file whose first line names the columns.
        problems: Where rows of another length go.
        required: Columns that must be there.
        known: All that are read.
        aliases: Other names of columns -> the one used here.

    Raises:
        DataError: If the file cannot be read or lacks a column.
    """
    columns, rows = read_table(file)
    columns = [aliases.get(name, name) for name in columns]
    if missing := [name for name in required if name not in columns]:
        raise DataError(
            f"{file.name} line 1: no column {missing[0]!r}; the first line must name the columns, "
            f"of {','.join(known)}; found {','.join(columns)}"
        )

    def by_column() -> Iterator[tuple[int, dict[str, str]]]:
        for line, cells in rows:
            if len(cells) == len(columns):
                yield line, dict(zip(columns, cells, strict=True))
            else:
                what = f"{len(cells)} cells for {len(columns)} columns; quote cells that hold a comma"
                problems.add(f"{file.name} line {line}", what)

    unused = [name for name in columns if name not in known]
    warning = f"{file.name}: columns not used: {', '.join(unused)} (known: {', '.join(known)})"
    return by_column(), (warning,) if unused else ()


def part_of(row: Mapping[str, str]) -> tuple[str, float, float | None]:
    """Return split, start and end of a row; without a split column everything is in `train`.

    Raises:
        DataError: If the path is empty, or one of the three cannot be.
    """
    if not row["path"]:
        raise DataError("the path is empty")
    start_s, end_s = seconds(row.get("start_s", "")) or 0.0, seconds(row.get("end_s", ""))
    if end_s is not None and end_s <= start_s:
        raise DataError(f"ends at {end_s:g} s, not after its start at {start_s:g} s; correct one of them")
    return split_of(row["split"]) if "split" in row else "train", start_s, end_s


def seconds(text: str) -> float | None:
    """Return a time in seconds, None for an empty cell; `DataError` if it is no number from 0 up."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise DataError(f"{text!r} is no time in seconds from 0 up")
    return value
