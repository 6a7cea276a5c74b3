"""What every builder of a data set shares: a folder that is its own, work in parallel, files that appear whole.

Every item of a built set is a function of its name alone, so that an interrupted build goes on where it stopped.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lrcn.data.processes import in_processes
from lrcn.errors import ConfigError, DataError
from lrcn.files import replacing

MARK_NAME = "build.json"
"""Says which builder, with which settings, a folder belongs to."""


def check_counts(counts: dict[str, int], what: str, workers: int | None) -> None:
    """Make sure that there is something to build, and somebody to build it.

    Raises:
        ConfigError: If a number is out of range.
    """
    if min(counts.values()) < 0 or not any(counts.values()):
        raise ConfigError(f"{what} must be 0 or more and not all 0, got {counts}")
    if workers is not None and workers < 1:
        raise ConfigError(f"workers must be 1 or more, got {workers}")


@contextmanager
def building_in(output: Path, mark: dict[str, Any], what: str) -> Iterator[None]:
    """Mark the folder as a build with these settings, or make sure that it is one already; then let it be filled.

    Args:
        output: Created if missing.
        mark: The builder's name, version and settings that decide what its items look like.
        what: What is built, for messages: `action set`.

    Raises:
        DataError: If the folder cannot be written or holds something else.
    """
    path = output / MARK_NAME
    is_new = not path.exists()
    try:
        output.mkdir(parents=True, exist_ok=True)
        if not is_new:
            if path.read_text() != json.dumps(mark):
                raise DataError(f"{output} holds another build ({path.read_text()[:200]!r}); choose an empty folder")
        elif any(output.iterdir()):
            raise DataError(f"{output} is not empty and holds no {what}; choose an empty folder")
        else:
            with replacing(path) as unfinished:
                unfinished.write_text(json.dumps(mark))
        try:
            yield
        except BaseException:
            if is_new and [entry.name for entry in output.iterdir()] == [MARK_NAME]:
                path.unlink()  # nothing came of it: the folder stays free for anything
            raise
    except OSError as exc:
        raise DataError(f"{output}: cannot build the {what} here ({exc}); choose another folder or free it") from exc


def build_missing(
    make: Callable[..., None],
    calls: Sequence[tuple[Any, ...]],
    paths: Sequence[Path],
    *,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Call `make(path, *call)` for every path that is not there, in parallel processes.

    Args:
        make: A function of a module, which writes `path` in one step.
        calls: Its further arguments, one tuple a path.
        paths: What is to be there in the end.
        workers: Processes; by default one a processor.
        on_progress: Called with the items there and the items in all, at the start and after each item.
    """
    missing = [(path, *call) for path, call in zip(paths, calls, strict=True) if not path.exists()]
    report = on_progress or (lambda done, total: None)
    num_there = len(paths) - len(missing)
    report(num_there, len(paths))
    for done, _ in enumerate(in_processes(make, missing, workers), start=1):
        report(num_there + done, len(paths))


def write_annotations(path: Path, rows: Iterable[Sequence[str]]) -> Path:
    """Write a CSV file, header first, unless it is there and the same; return its path."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    if not path.exists() or path.read_text(encoding="utf-8") != text.getvalue():
        with replacing(path) as unfinished:
            unfinished.write_text(text.getvalue(), encoding="utf-8")
    return path
