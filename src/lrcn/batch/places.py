"""Where sources lie: files and folders of this machine, lists of them, and addresses of object storage."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from pyarrow import ArrowInvalid, ArrowNotImplementedError, fs

from lrcn.errors import MediaError
from lrcn.video.sources import IMAGE_SUFFIXES, VIDEO_SUFFIXES, expand_sources, is_clutter

LIST_SUFFIX = ".txt"
"""Of a file that names a source a line."""

_ADDRESS = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+)://")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_US = (datetime(9999, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)

_GIVE_UP_S = 60
"""Seconds after which Google's storage counts as unreachable; its own limit is 15 minutes."""


@dataclass(frozen=True)
class Place:
    """A source, and the state in which it was found."""

    name: str
    """As tables name it: an absolute path, or an address without keys and options."""
    path: str
    """Where it lies on its file system."""
    size: int
    """In bytes; of a folder that is one image sequence, that of its images together."""
    modified: datetime
    """When it was last written, in UTC."""
    filesystem: Any = None
    """Of pyarrow; None for this machine."""

    @contextmanager
    def on_disk(self) -> Iterator[Path]:
        """Give the file to read: itself, or a copy of what lies elsewhere, which vanishes at the end.

        Raises:
            MediaError: If it cannot be fetched.
        """
        if self.filesystem is None:
            yield Path(self.path)
            return
        with TemporaryDirectory(prefix="lrcn-") as folder:
            copy = Path(folder) / f"source{PurePosixPath(self.path).suffix}"
            try:
                with self.filesystem.open_input_stream(self.path) as remote, copy.open("wb") as local:
                    shutil.copyfileobj(remote, local, 2**20)
            except OSError as exc:
                raise MediaError(f"{self.name}: cannot be fetched ({_reason(exc)})") from exc
            yield copy


def find_places(inputs: Sequence[str], *, pictures: bool) -> tuple[list[Place], list[str]]:
    """Return what the inputs name, each once, and a message for each input that names nothing or cannot be listed.

    Args:
        inputs: Files, folders and globs as `expand_sources` takes them; `.txt` files that name such things, a line
            each, from their own folder on; addresses such as `s3://bucket/folder`, of objects and folders.
        pictures: Images are pictures, not frames of a video.
    """
    found: dict[str, Place] = {}
    failures: list[str] = []
    for given in inputs:
        try:
            is_list = given.endswith(LIST_SUFFIX) and not _ADDRESS.match(given)
            for one in _lines(given) if is_list else [given]:
                try:
                    found.update((place.name, place) for place in _places(one, pictures))
                except MediaError as exc:
                    failures.append(str(exc))
        except OSError as exc:
            failures.append(f"{given}: {exc.strerror}")
    return list(found.values()), failures


def _lines(path: str) -> list[str]:
    """Return what a list names; a path in it is taken from the folder of the list."""
    folder = Path(path).parent
    lines = Path(path).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    named = [line.strip() for line in lines if line.strip()]
    return [line if _ADDRESS.match(line) else str(folder / line) for line in named]


def _places(given: str, pictures: bool) -> Iterator[Place]:
    if not given:  # of an empty variable in the shell; as a path it would be this folder
        raise MediaError("an input is empty; name a file, a folder, a list or an address")
    if (address := _ADDRESS.match(given)) is not None:
        yield from _objects(given, address[1], pictures)
        return
    for path in expand_sources([given], pictures=pictures):
        whole = Path(os.path.abspath(path))
        try:
            states = [file.stat() for file in (whole.iterdir() if whole.is_dir() else [whole])]
        except OSError:  # a link that leads nowhere, or gone just now: who reads it will say so
            states = []
        size = sum(state.st_size for state in states)
        modified = _utc(max((state.st_mtime_ns for state in states), default=0))
        yield Place(printable(str(whole)), str(whole), size, modified)


def _objects(address: str, scheme: str, pictures: bool) -> Iterator[Place]:
    shown = _ADDRESS.sub(r"\1://", re.sub(r"://[^/@]*@", "://", address)).partition("?")[0]
    if scheme in ("gs", "gcs") and "retry_limit_seconds" not in address:
        address += f"{'&' if '?' in address else '?'}retry_limit_seconds={_GIVE_UP_S}"
    try:
        filesystem, path = fs.FileSystem.from_uri(address)
        there = filesystem.get_file_info(path)
        if there.type == fs.FileType.NotFound:
            raise MediaError(f"{shown}: no such object or folder")
        is_file = there.type == fs.FileType.File
        objects = [there] if is_file else filesystem.get_file_info(fs.FileSelector(path, recursive=True))
    except (OSError, ValueError, ImportError, ArrowInvalid, ArrowNotImplementedError) as exc:
        raise MediaError(f"{shown}: cannot be listed ({_reason(exc)}); check the address and the access to it") from exc
    suffixes = VIDEO_SUFFIXES | IMAGE_SUFFIXES if pictures else VIDEO_SUFFIXES
    base = PurePosixPath(path)
    any_found = False
    for one in sorted(objects, key=lambda one: one.path):
        inner = PurePosixPath(one.path)
        passed_over = inner.suffix.lower() not in suffixes or any(map(is_clutter, inner.relative_to(base).parts))
        if one.type != fs.FileType.File or (passed_over and not is_file):
            continue
        any_found = True
        yield Place(f"{scheme}://{one.path}", one.path, one.size or 0, _utc(one.mtime_ns or 0), filesystem)
    if not any_found:
        raise MediaError(f"{shown}: no {'picture and no ' if pictures else ''}video in this folder")


def _utc(nanoseconds: int) -> datetime:
    """Return a time to the microsecond, as tables keep it; damaged ones are put between 1970 and 9999."""
    return _EPOCH + timedelta(microseconds=min(max(nanoseconds // 1000, 0), _LATEST_US))


def _reason(error: Exception) -> str:
    """Return the last sentence of an error, where libraries that wrap one another say what happened."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def printable(name: str) -> str:
    """Return a name with what is no UTF-8 in it escaped: tables hold UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()
