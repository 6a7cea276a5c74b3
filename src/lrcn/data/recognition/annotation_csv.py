"""Our own format: one CSV file that names videos, their classes and their splits."""

from __future__ import annotations

from pathlib import Path

from lrcn.data.annotation_rows import PART_COLUMNS, annotation_rows, part_of
from lrcn.data.csv_table import table_columns
from lrcn.data.named_files import exists, located
from lrcn.data.problems import Problems
from lrcn.data.recognition.examples import ReadOptions, RecognitionData, RecognitionExample, sorted_labels
from lrcn.errors import DataError

FILE_NAMES = ("annotations.csv", "metadata.csv")
"""The second is what the Hugging Face `videofolder` layout calls it."""

_ALIASES = {"file_name": "path"}
_REQUIRED = ("path", "label")
_COLUMNS = (*_REQUIRED, *PART_COLUMNS, "group")


def find_annotations(path: Path) -> Path | None:
    """Return the annotation file that `path` is or holds."""
    if path.is_file():
        return path if path.suffix.lower() == ".csv" else None
    return next((path / name for name in FILE_NAMES if (path / name).is_file()), None)


def detect_annotations_csv(path: Path) -> bool:
    """Whether `path` is a CSV file, or a folder with one of `FILE_NAMES`; and no list of Kinetics."""
    file = find_annotations(path)
    return file is not None and "youtube_id" not in table_columns(file)


def read_annotations_csv(path: Path, options: ReadOptions) -> RecognitionData:
    """Read the columns path, label and, where they are there, split, start_s, end_s and group.

    Paths are relative to the CSV file's folder. Without a split column everything is in `train`.

    Raises:
        DataError: If rows are bad; `problems` holds them all.
    """
    file = find_annotations(path)
    if file is None:
        raise DataError(f"{path}: no {FILE_NAMES[0]} in this folder")
    problems = Problems(options.skip_missing)
    rows, unused = annotation_rows(file, problems, required=_REQUIRED, known=_COLUMNS, aliases=_ALIASES)
    examples: list[RecognitionExample] = []
    seen: dict[tuple[Path, float, float | None], tuple[int, str]] = {}
    for line, row in rows:
        place = f"{file.name} line {line}"
        try:
            example = _example(row, file.parent)
        except DataError as exc:
            problems.add(place, str(exc))
            continue
        part = (example.path, example.start_s, example.end_s)
        if part in seen:
            problems.add(place, _repeated(example, *seen[part]))
            continue
        seen[part] = (line, example.label)
        if exists(example.path):
            examples.append(example)
        else:
            problems.add_missing(place, row["path"])
    warnings = problems.check(len(examples), file)
    return RecognitionData(sorted_labels(examples), tuple(examples), path.resolve().name, warnings + unused)


def _example(row: dict[str, str], root: Path) -> RecognitionExample:
    split, start_s, end_s = part_of(row)
    if not row["label"]:
        raise DataError("the label is empty")
    return RecognitionExample(located(root, row["path"]), row["label"], split, start_s, end_s, row.get("group", ""))


def _repeated(example: RecognitionExample, line: int, label: str) -> str:
    if label == example.label:
        return f"repeats line {line}; remove one"
    return f"is {example.label!r} here and {label!r} in line {line}; keep one class"
