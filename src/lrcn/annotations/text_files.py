"""Text, JSON and tables as people and programs really save them: any encoding, with a BOM, with semicolons."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrcn.errors import DataError
from lrcn.files import parse_json

_LARGEST_BYTES = 2**29
"""Of an annotation file: a gigabyte of text would take ten of memory."""

_GZIP = b"\x1f\x8b"

_DEEPEST = 100
"""Levels of nested JSON; annotations have about ten."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes, unpacked if it is a gzip file.

    Raises:
        DataError: If it cannot be read, or is too large for an annotation file.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
        if content.startswith(_GZIP):
            with gzip.open(path) as packed:
                content = packed.read(_LARGEST_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        raise DataError(f"{path}: is no whole gzip file ({exc}); copy it again") from exc
    except OSError as exc:
        raise DataError(f"{path}: cannot be read: {exc.strerror}") from exc
    if len(content) > _LARGEST_BYTES:
        raise DataError(f"{path}: more than {_LARGEST_BYTES >> 20} MB are no annotation file; name the right one")
    return content


def read_text(path: Path) -> str:
    """Return a text file's content: UTF-8, UTF-16 or UTF-32 with or without a BOM, else Windows-1252.

    Raises:
        DataError: If it cannot be read.
    """
    content = read_bytes(path)
    encoding = next((name for bom, name in _BOMS if content.startswith(bom)), None) or _guessed(content)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise DataError(f"{path.name} line {line}: is no {encoding.upper()}; save the file as UTF-8") from exc


def _guessed(content: bytes) -> str:
    head = content[:200]
    if head[1::2].count(0) > len(head) // 4:
        return "utf-16-le"
    if head[::2].count(0) > len(head) // 4:
        return "utf-16-be"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        # a byte of text from an old Windows; the five that it leaves undefined are control characters in Latin-1
        return "latin-1" if re.search(rb"[\x81\x8d\x8f\x90\x9d]", content) else "cp1252"
    return "utf-8"


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        DataError: If it is no JSON, nests too deep, or has a key twice in one object, of which one would be lost.
    """
    text = read_text(path)
    if _depth(text) > _DEEPEST:
        raise DataError(f"{path}: nests more than {_DEEPEST} levels deep, which no annotation file does")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        entries = dict(pairs)
        if len(entries) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(f"{path}: has {twice!r} twice, of which one would be lost; rename one")
        return entries

    try:
        return parse_json(text, pairs=unique)
    except json.JSONDecodeError as exc:
        raise DataError(f"{path.name} line {exc.lineno}: is no JSON ({exc.msg}); save it again") from exc
    except ValueError as exc:  # a number of thousands of digits
        raise DataError(f"{path}: is no JSON ({exc})") from exc


def _depth(text: str) -> int:
    """Return how deep brackets nest, those in strings left out."""
    deepest = depth = 0
    for mark in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', text, flags=re.DOTALL):
        if mark[0] in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark[0] in "]}":
            depth -= 1
    return deepest


def looks_like_json(path: Path) -> bool:
    """Whether a file begins as JSON does."""
    return head_of(path).lstrip()[:1] in ("{", "[")


def head_of(path: Path, size: int = 4096) -> str:
    """Return the beginning of a text file, empty where it cannot be read."""
    try:
        with path.open("rb") as file:
            content = file.read(size)
        if content.startswith(_GZIP):
            with gzip.open(path) as packed:
                content = packed.read(size)
    except (OSError, EOFError, zlib.error):
        return ""
    encoding = next((name for bom, name in _BOMS if content.startswith(bom)), None) or _guessed(content[:-4] or content)
    return content.decode(encoding, errors="ignore")


@dataclass(frozen=True)
class Row:
    """A row of a table."""

    line: int
    """From 1."""
    cells: tuple[str, ...]
    """Without spaces around them."""

    def by_column(self, columns: Sequence[str]) -> dict[str, str]:
        """Return the cells by the names of their columns; of two columns of one name the first counts."""
        cells = (*self.cells, *[""] * (len(columns) - len(self.cells)))
        return dict(reversed([*zip(columns, cells, strict=False)]))


def read_rows(path: Path, delimiter: str | None = None) -> list[Row]:
    """Return the rows of a table that are not empty.

    Args:
        path: The file.
        delimiter: Between cells; None for tab, comma or semicolon, whichever the first lines have most of.

    Raises:
        DataError: If it cannot be read, or a quote is not closed.
    """
    return list(rows_of(read_text(path), delimiter, path.name))


def rows_of(text: str, delimiter: str | None = None, name: str = "the table") -> Iterator[Row]:
    """Yield the rows of a table's text, as `read_rows` returns them."""
    if delimiter is None:
        head = text.lstrip("\r\n")[:4096]
        delimiter = max("\t,;", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            stripped = tuple(cell.strip() for cell in cells)
            if any(stripped):
                yield Row(line, stripped)
            line = reader.line_num + 1
    except csv.Error as exc:
        raise DataError(f"{name} line {line}: {exc}; check its quotes") from exc


def as_dict(value: object, what: str) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        DataError: If it is something else; `what` names the entry.
    """
    if not isinstance(value, dict):
        raise DataError(f"{what} should be an object with entries, and is {_shown(value)}; save the file again")
    return value


def as_list(value: object, what: str) -> list[Any]:
    """Return a JSON list, empty for a missing one.

    Raises:
        DataError: If it is something else; `what` names the entry.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise DataError(f"{what} should be a list, and is {_shown(value)}; save the file again")
    return value


def as_text(value: object) -> str:
    """Return a text without spaces around it; empty for what is none."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    return ""


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."
