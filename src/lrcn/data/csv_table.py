"""CSV files as people really save them: with a BOM, with semicolons, with quotes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from lrcn.errors import DataError


def read_text(path: Path) -> str:
    """Return a text file's content.

    Raises:
        DataError: If it cannot be read or is not UTF-8; the message names the line.
    """
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise DataError(f"{path}: cannot be read: {exc.strerror}") from exc
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise DataError(
            f"{path.name} line {line}: byte 0x{content[exc.start]:02x} is no UTF-8; save the file as UTF-8"
        ) from exc


def read_table(path: Path) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Return the column names, in lower case, and an iterator over line number and cells of each row.

    Cells are separated by commas, semicolons or tabs, whichever the first line has most of. Empty lines are skipped.

    Raises:
        DataError: If the file cannot be read, is no UTF-8 or is empty; while iterating, if a quote is not closed.
    """
    text = read_text(path)
    first_line = text.lstrip().split("\n", 1)[0]
    delimiter = max(",;\t", key=first_line.count)
    rows = _rows(text, delimiter, path)
    for _, names in rows:
        return [name.lower() for name in names], rows
    raise DataError(f"{path}: the file is empty; its first line must name the columns")


def table_columns(path: Path) -> list[str]:
    """Return the column names of a CSV file, or nothing if it is not one."""
    try:
        return read_table(path)[0]
    except DataError:
        return []


def _rows(text: str, delimiter: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                yield reader.line_num, stripped
    except csv.Error as exc:
        raise DataError(f"{path.name} line {reader.line_num}: {exc}; check its quotes") from exc
