"""Our own format for captions: one CSV file, a row for each sentence."""

from __future__ import annotations

from pathlib import Path

from lrcn.data.captioning.examples import CaptionData, CaptionReadOptions
from lrcn.data.captioning.rows import CaptionRows, FileFinder
from lrcn.data.csv_table import read_table, table_columns
from lrcn.data.recognition.annotation_csv import seconds
from lrcn.data.recognition.examples import Problems, split_of
from lrcn.errors import DataError

FILE_NAME = "captions.csv"

_ALIASES = {"file_name": "path", "image": "path"}
_REQUIRED = ("path", "caption")
_COLUMNS = (*_REQUIRED, "split", "start_s", "end_s")


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
    columns, table = read_table(file)
    columns = [_ALIASES.get(name, name) for name in columns]
    if missing := [name for name in _REQUIRED if name not in columns]:
        raise DataError(
            f"{file.name} line 1: no column {missing[0]!r}; the first line must name the columns, "
            f"of {','.join(_COLUMNS)}; found {','.join(columns)}"
        )
    problems = Problems(options.skip_missing)
    rows = CaptionRows(problems)
    for line, cells in table:
        place = f"{file.name} line {line}"
        if len(cells) != len(columns):
            problems.add(place, f"{len(cells)} cells for {len(columns)} columns; quote captions that hold a comma")
            continue
        row = dict(zip(columns, cells, strict=True))
        try:
            key, split, start_s, end_s = _part(row)
        except DataError as exc:
            problems.add(place, str(exc))
            continue
        if rows.declare(key, row["path"], split, place, start_s=start_s, end_s=end_s):
            rows.add(key, row["caption"], place)
    finder = FileFinder(file.parent, problems, need_files=options.need_files)
    examples, warnings = rows.examples(finder.by_name)
    warnings += problems.check(len(examples), file, "file")
    if unused := [name for name in columns if name not in _COLUMNS]:
        warnings += (f"{file.name}: columns not used: {', '.join(unused)} (known: {', '.join(_COLUMNS)})",)
    return CaptionData(tuple(examples), path.resolve().name, warnings)


def _part(row: dict[str, str]) -> tuple[str, str, float, float | None]:
    """Return key, split, start and end of a row."""
    if not row["path"]:
        raise DataError("the path is empty")
    start_s, end_s = seconds(row.get("start_s", "")) or 0.0, seconds(row.get("end_s", ""))
    if end_s is not None and end_s <= start_s:
        raise DataError(f"ends at {end_s:g} s, not after its start at {start_s:g} s")
    split = split_of(row["split"]) if "split" in row else "train"
    if start_s == 0 and end_s is None:
        return row["path"], split, start_s, end_s
    return f"{row['path']} {start_s:.12g}-{'' if end_s is None else f'{end_s:.12g}'}", split, start_s, end_s
