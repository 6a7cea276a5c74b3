"""The lists of data sets whose videos are fetched from the web one by one: Kinetics and ActivityNet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lrcn.data.annotation_rows import seconds
from lrcn.data.csv_table import read_table, read_text, table_columns
from lrcn.data.named_files import NamedFiles
from lrcn.data.problems import Problems
from lrcn.data.recognition.examples import ReadOptions, RecognitionData, RecognitionExample, sorted_labels
from lrcn.data.splits import split_of
from lrcn.errors import DataError
from lrcn.files import parse_json

_KINETICS_COLUMNS = {"youtube_id", "time_start", "time_end"}


def detect_kinetics(path: Path) -> bool:
    """Whether a CSV file with the columns of Kinetics lies here, or in `annotations` below."""
    return bool(_kinetics_files(path))


def read_kinetics(path: Path, options: ReadOptions) -> RecognitionData:
    """Read the lists of Kinetics; the videos, `<id>_<start>_<end>.mp4` with six digits each, lie anywhere below.

    A list without a split column is the split that its name says.

    Raises:
        DataError: If rows are bad; `problems` holds them all.
    """
    problems = Problems(options.skip_missing)
    videos = NamedFiles(path.parent if path.is_file() else path, problems)
    examples = []
    for file in _kinetics_files(path):
        columns, rows = read_table(file)
        for line, cells in rows:
            place = f"{file.name} line {line}"
            if len(cells) != len(columns):
                problems.add(place, f"{len(cells)} cells for {len(columns)} columns")
                continue
            row = dict(zip(columns, cells, strict=True))
            try:
                split = split_of(row.get("split", file.stem))
                start_s, end_s = seconds(row["time_start"]) or 0.0, seconds(row["time_end"]) or 0.0
            except DataError as exc:
                problems.add(place, str(exc))
                continue
            stem = f"{row['youtube_id']}_{start_s:06.0f}_{end_s:06.0f}"
            label = row.get("label", "")
            if not label:
                problems.add(place, "the label is empty; lists without labels cannot be used")
            elif video := videos.by_stem(stem, place, label=label):
                examples.append(RecognitionExample(video, label, split))
    warnings = problems.check(len(examples), path)
    return RecognitionData(sorted_labels(examples), tuple(examples), path.resolve().name, warnings)


def detect_activitynet(path: Path) -> bool:
    """Whether a JSON file with an ActivityNet database lies here."""
    return _activitynet_file(path) is not None


def read_activitynet(path: Path, options: ReadOptions) -> RecognitionData:
    """Read the annotated segments of ActivityNet; the videos, `v_<id>` or `<id>`, lie anywhere below.

    Raises:
        DataError: If entries are bad; `problems` holds them all.
    """
    file = _activitynet_file(path)
    if file is None:
        raise DataError(f'{path}: no JSON file with a "database" here')
    database = _database(file)
    problems = Problems(options.skip_missing)
    videos = NamedFiles(file.parent, problems)
    examples = []
    hidden = 0
    for name, entry in sorted(database.items()):
        place = f"{file.name} {name!r}"
        segments = []
        try:
            split, annotated = split_of(entry["subset"]), list(entry["annotations"])
            for annotation in annotated:
                try:
                    segments.append((str(annotation["label"]), *_segment(annotation["segment"])))
                except DataError as exc:
                    problems.add(place, str(exc))
        except DataError as exc:
            problems.add(place, str(exc))
            continue
        except (AttributeError, KeyError, TypeError, ValueError):
            problems.add(place, 'expected {"subset": ..., "annotations": [{"label": ..., "segment": [start, end]}]}')
            continue
        if not segments:
            hidden += not annotated
            continue
        stem = f"v_{name}" if videos.has_video(f"v_{name}") else name
        if video := videos.by_stem(stem, place, label=segments[0][0]):
            examples += [RecognitionExample(video, label, split, start_s, end_s) for label, start_s, end_s in segments]
    warnings = problems.check(len(examples), path)
    if hidden:
        warnings += (f"{hidden} videos without annotations left out",)
    return RecognitionData(sorted_labels(examples), tuple(examples), file.stem, warnings)


def _kinetics_files(path: Path) -> list[Path]:
    files = [path] if path.is_file() else [*sorted(path.glob("*.csv")), *sorted(path.glob("annotations/*.csv"))]
    return [file for file in files if file.suffix.lower() == ".csv" and set(table_columns(file)) >= _KINETICS_COLUMNS]


def _activitynet_file(path: Path) -> Path | None:
    files = [path] if path.is_file() else sorted(path.glob("*.json"))
    return next((file for file in files if file.suffix.lower() == ".json" and _holds_database(file)), None)


def _holds_database(file: Path) -> bool:
    try:
        return b'"database"' in file.read_bytes()
    except OSError:
        return False


def _database(file: Path) -> dict[str, Any]:
    try:
        content = parse_json(read_text(file))
    except ValueError as exc:
        raise DataError(f"{file}: no JSON: {exc}") from exc
    database = content.get("database") if isinstance(content, dict) else None
    if not isinstance(database, dict):
        raise DataError(f'{file}: expected {{"database": {{id: {{"subset": ..., "annotations": ...}}}}}}')
    return database


def _segment(bounds: Any) -> tuple[float, float]:
    try:
        start_s, end_s = (float(bound) for bound in bounds)
    except OverflowError as exc:
        raise DataError("segment with a number of hundreds of digits; expected seconds") from exc
    if not 0 <= start_s < end_s < float("inf"):
        raise DataError(f"segment {start_s:g}-{end_s:g} s: expected 0 <= start < end")
    return start_s, end_s
