"""Our own format for captions: one CSV file, a row for each sentence."""

from __future__ import annotations

from pathlib import Path

from lrcn.data.annotation_rows import PART_COLUMNS, annotation_rows, part_of
from lrcn.data.captioning.examples import CaptionData, CaptionReadOptions
from lrcn.data.captioning.rows import CaptionRows
from lrcn.data.csv_table import table_columns
from lrcn.data.named_files import NamedFiles
from lrcn.data.problems import Problems
from lrcn.errors import DataError

FILE_NAME = "captions.csv"

_ALIASES = {"file_name": "path", "image": "path"}
_REQUIRED = ("path", "caption")
_COLUMNS = (*_REQUIRED, *PART_COLUMNS)


def detect_captions_csv(path: Path) -> bool:
    """Whether `path` is a CSV file with a column `caption`, or a folder with `captions.csv`."""
    if path.is_file():
        return path.name == FILE_NAME or (path.suffix.lower() == ".csv" and "caption" in table_columns(path))
    return (path / FILE_NAME).is_file()


def read_captions_csv(path: Path, options: CaptionReadOptions) -> CaptionData:
    """Read the columns path, caption and, where they are there, split, start_s and end_s; several rows a path.

    Paths are relative to the CSV file's folder. Without a split column everything is in `train`.

    Raises:
        DataError: If rows are bad; `problems` holds them all.
    """
    file = path if path.is_file() else path / FILE_NAME
    problems = Problems(options.skip_missing)
    table, unused = annotation_rows(file, problems, required=_REQUIRED, known=_COLUMNS, aliases=_ALIASES)
    rows = CaptionRows(problems)
    for line, row in table:
        place = f"{file.name} line {line}"
        try:
            split, start_s, end_s = part_of(row)
        except DataError as exc:
            problems.add(place, str(exc))
            continue
        key = row["path"]
        if start_s or end_s is not None:
            key += f" {start_s:.12g}-{'' if end_s is None else f'{end_s:.12g}'}"
        if rows.declare(key, row["path"], split, place, start_s=start_s, end_s=end_s):
            rows.add(key, row["caption"], place)
    files = NamedFiles(file.parent, problems, need_files=options.need_files)
    examples, warnings = rows.examples(files.by_name)
    warnings += problems.check(len(examples), file, "file")
    return CaptionData(tuple(examples), path.resolve().name, warnings + unused)
