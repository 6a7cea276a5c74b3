"""Our own format: one CSV file that names videos, their classes and their splits."""

from __future__ import annotations

import math
from pathlib import Path

from lrcn.data.csv_table import read_table
from lrcn.data.recognition.examples import (
    Problems,
    ReadOptions,
    RecognitionData,
    RecognitionExample,
    sorted_labels,
    split_of,
)
from lrcn.errors import DataError

FILE_NAMES = ("annotations.csv", "metadata.csv")
"""The second is what the Hugging Face `videofolder` layout calls it."""

_ALIASES = {"file_name": "path"}
_REQUIRED = ("path", "label")
_COLUMNS = (*_REQUIRED, "split", "start_s", "end_s", "group")


def find_annotations(path: Path) -> Path | None:
    """Return the annotation file that `path` is or holds."""
    if path.is_file():
        return path if path.suffix.lower() == ".csv" else None
    return next((path / name for name in FILE_NAMES if (path / name).is_file()), None)


def detect_annotations_csv(path: Path) -> bool:
    """Whether `path` is a CSV file, or a folder with one of `FILE_NAMES`."""
    return find_annotations(path) is not None


def read_annotations_csv(path: Path, options: ReadOptions) -> RecognitionData:
    """Read the columns path, label and, where they are there, split, start_s, end_s and group.

    Paths are relative to the CSV file's folder. Without a split column everything is in `train`.

    Raises:
        DataError: If rows are bad; `problems` holds them all.
    """
    file = find_annotations(path)
    if file is None:
        raise DataError(f"{path}: no {FILE_NAMES[0]} in this folder")
    columns, rows = read_table(file)
    columns = [_ALIASES.get(name, name) for name in columns]
    if missing := [name for name in _REQUIRED if name not in columns]:
        raise DataError(
            f"{file.name} line 1: no column {missing[0]!r}; the first line must name the columns, "
            f"of {','.join(_COLUMNS)}; found {','.join(columns)}"
        )
    problems = Problems(options.skip_missing)
    examples: list[RecognitionExample] = []
    seen: dict[tuple[Path, float, float | None], tuple[int, str]] = {}
    for line, cells in rows:
        place = f"{file.name} line {line}"
        if len(cells) != len(columns):
            problems.add(place, f"{len(cells)} cells for {len(columns)} columns; quote cells that hold a comma")
            continue
        try:
            example = _example(dict(zip(columns, cells, strict=True)), file.parent)
        except DataError as exc:
            problems.add(place, str(exc))
            continue
        part = (example.path, example.start_s, example.end_s)
        if part in seen:
            problems.add(place, _repeated(example, *seen[part]))
            continue
        seen[part] = (line, example.label)
        if _exists(example.path):
            examples.append(example)
        else:
            problems.add_missing(place, cells[columns.index("path")])
    warnings = problems.check(len(examples), file)
    if unused := [name for name in columns if name not in _COLUMNS]:
        warnings += (f"{file.name}: columns not used: {', '.join(unused)} (known: {', '.join(_COLUMNS)})",)
    return RecognitionData(sorted_labels(examples), tuple(examples), path.resolve().name, warnings)


def _example(row: dict[str, str], root: Path) -> RecognitionExample:
    if not row["path"]:
        raise DataError("the path is empty")
    if not row["label"]:
        raise DataError("the label is empty")
    start_s = seconds(row.get("start_s", "")) or 0.0
    end_s = seconds(row.get("end_s", ""))
    if end_s is not None and end_s <= start_s:
        raise DataError(f"ends at {end_s:g} s, not after its start at {start_s:g} s")
    split = split_of(row["split"]) if "split" in row else "train"
    return RecognitionExample(root / row["path"], row["label"], split, start_s, end_s, row.get("group", ""))


def seconds(text: str) -> float | None:
    """Return a time in seconds, None for an empty cell.

    Raises:
        DataError: If it is no number from 0 up.
    """
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise DataError(f"{text!r} is no time in seconds from 0 up")
    return value


def _repeated(example: RecognitionExample, line: int, label: str) -> str:
    if label == example.label:
        return f"repeats line {line}; remove one"
    return f"is {example.label!r} here and {label!r} in line {line}; keep one class"


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name too long, or with a NUL
        return False
