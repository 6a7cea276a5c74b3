"""The folder of a batch: Parquet tables in parts, which are the record of what is done.

A part is a file of the same name in the folder of each table. Those of `sources` appear last: a source is done once its
row is in one of them, and rows of other tables without it are of a run that was killed, and are removed. So no record
can disagree with the rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from lrcn.batch.places import Place
from lrcn.batch.tables import FAILED, SCHEMAS, SOURCES, Tables
from lrcn.errors import ConfigError
from lrcn.files import parse_json, replacing, write_json

MANIFEST = "batch.json"
_LOCK = ".lock"
_SUFFIX = ".parquet"


@dataclass(frozen=True)
class Known:
    """What is known of a source."""

    part: str
    size: int
    modified: datetime
    reason: str | None
    """Why it cannot be read; None if it is done."""

    def is_of(self, place: Place) -> bool:
        """Whether the source is as it was then."""
        return (self.size, self.modified) == (place.size, place.modified)


class ResultFolder:
    """Takes the rows of units, whole or not at all."""

    def __init__(self, folder: Path, task: str, tables: Sequence[str]) -> None:
        """Use `opened`, which checks the folder and locks it."""
        self._folder = folder
        self.schema: pa.Schema = SCHEMAS[task][SOURCES]
        """Of the table of the sources."""
        self._others = [name for name in tables if name != SOURCES]
        """Tables whose parts appear before those of the sources."""

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, manifest: Mapping[str, Any]) -> Iterator[ResultFolder]:
        """Give a folder to this process alone, without what a killed run left half-written.

        Args:
            folder: New, empty, or of an earlier run with the same manifest.
            manifest: What the rows depend on, in types of JSON; `task` and the names of the `tables` among it.

        Raises:
            ConfigError: If it is of another model or other settings, of no batch, or another run writes there.
            OSError: If it cannot be written.
        """
        _check(folder, manifest)
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / _LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout as exc:
            raise ConfigError(f"{folder}: another run writes there; wait for its end, or name another folder") from exc
        try:
            _check(folder, manifest)  # what was there before the lock may have been another's
            if not (folder / MANIFEST).exists():
                write_json(folder / MANIFEST, manifest, indent=2)
            results = cls(folder, manifest["task"], manifest["tables"])
            results._remove_what_a_killed_run_left()
            yield results
        finally:
            lock.release()

    def known(self) -> dict[str, Known]:
        """Return what is known of each source, by name.

        Raises:
            ConfigError: If a part is damaged.
        """
        found: dict[str, Known] = {}
        for path in self._parts(SOURCES):
            rows = self._read(path, ["source", "bytes", "modified", "status", "reason"])
            for row in rows.to_pylist():
                reason = row["reason"] if row["status"] == FAILED else None
                found[row["source"]] = Known(path.stem, row["bytes"], row["modified"], reason)
        return found

    def add(self, tables: Tables) -> None:
        """Put the rows of a unit down: of all its sources, or, should this process be killed, of none."""
        names = tables[SOURCES]["source"].to_pylist()
        part = hashlib.sha256("\n".join(names).encode()).hexdigest()[:24]
        self._write(part, tables)

    def forget(self, known: Mapping[str, Known], names: Collection[str]) -> None:
        """Remove all rows of some sources, which are then to be done again.

        Should this process be killed meanwhile, other sources of a part may have to be done again, too.
        """
        for part in sorted({known[name].part for name in names}):
            rest = {}
            for table in (SOURCES, *self._others):
                path = self._path(table, part)
                if path.exists():
                    rows = self._read(path)
                    rest[table] = rows.filter(pc.invert(pc.is_in(rows["source"], pa.array(names, pa.string()))))
            self._path(SOURCES, part).unlink()  # from here on, the rows of its other tables count for nothing
            for table in self._others:
                self._path(table, part).unlink(missing_ok=True)
            if len(rest[SOURCES]):
                self._write(part, rest)

    def _write(self, part: str, tables: Tables) -> None:
        for name in (*self._others, SOURCES):
            if name in tables and (len(tables[name]) or name == SOURCES):
                with replacing(self._path(name, part)) as unfinished:
                    pq.write_table(tables[name], unfinished, compression="zstd")

    def _remove_what_a_killed_run_left(self) -> None:
        for table in (SOURCES, *self._others):
            for path in (self._folder / table).glob(f".*{_SUFFIX}"):  # temporary, and nobody else writes here
                path.unlink()
        for table in self._others:
            for path in self._parts(table):
                if not self._path(SOURCES, path.stem).exists():
                    path.unlink()

    def _parts(self, table: str) -> list[Path]:
        return sorted(path for path in (self._folder / table).glob(f"*{_SUFFIX}") if not path.name.startswith("."))

    def _path(self, table: str, part: str) -> Path:
        return self._folder / table / f"{part}{_SUFFIX}"

    def _read(self, path: Path, columns: list[str] | None = None) -> pa.Table:
        try:
            return pq.read_table(path, columns=columns)
        except (OSError, pa.ArrowException) as exc:
            raise ConfigError(
                f"{path}: cannot be read ({str(exc).splitlines()[0]}); delete it, and its sources are done again"
            ) from exc


def _check(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Make sure that a folder is free, or was made with the same manifest."""
    try:
        names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    except FileNotFoundError:
        return
    except NotADirectoryError as exc:
        raise ConfigError(f"{folder}: is a file, and a folder is wanted") from exc
    if MANIFEST not in names:
        if names:
            raise ConfigError(f"{folder}: holds other things than a batch's; name another folder, or an empty one")
        return
    path = folder / MANIFEST
    try:
        before = parse_json(path.read_bytes())
        said = {key: before[key] for key in manifest}
        _in_words("model", said["model"])
    except (ValueError, TypeError, KeyError) as exc:
        raise ConfigError(f"{path}: is no manifest of a batch of this version; name another folder") from exc
    for key, now in manifest.items():
        is_same = said[key] == now if key != "model" else said[key]["sha256"] == now["sha256"]  # under any name
        if not is_same:
            raise ConfigError(
                f"{folder}: holds results of {_in_words(key, said[key])}, now it is {_in_words(key, now)}; "
                "name another folder"
            )


def _in_words(key: str, value: Any) -> str:
    if key == "model":
        return f"the model {value['name']} (sha256 {value['sha256'][:12]})"
    return f"{key} {', '.join(value) if isinstance(value, list) else value}"
