"""Where a command is to write, looked at before the work begins."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from lrcn.cli.exits import UsageError


def check_outputs(
    *,
    files: Mapping[str, Path | None] | None = None,
    folders: Mapping[str, Path | None] | None = None,
    sources: Iterable[Path] = (),
) -> None:
    """Make sure that the outputs of a command can be written, and overwrite neither its sources nor each other.

    Args:
        files: Flag -> the file to write, None where the flag is not given.
        folders: Flag -> the folder to write into.
        sources: What the command reads.

    Raises:
        UsageError: If not; the message names the flag.
    """
    flags: dict[Path, str] = {}
    read = {path.resolve() for path in sources}
    for flag, path in _given(files):
        if _exists(flag, path) and path.is_dir():
            raise UsageError(f"{flag} {path}: is a folder; name a file")
        if path.resolve() in read:
            raise UsageError(f"{flag} {path}: is one of the sources, and would be overwritten")
        if (other := flags.setdefault(path.resolve(), flag)) != flag:
            raise UsageError(f"{other} and {flag} both name {path}; name two files")
        _check_writable(flag, path.parent)
    for flag, path in _given(folders):
        _check_writable(flag, path)


def _given(outputs: Mapping[str, Path | None] | None) -> list[tuple[str, Path]]:
    return [(flag, path) for flag, path in (outputs or {}).items() if path is not None]


def _check_writable(flag: str, folder: Path) -> None:
    """Make sure that a folder can be written into, or made."""
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if _exists(flag, place))
    if not there.is_dir():
        raise UsageError(f"{flag}: {there} is a file, and a folder is wanted")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"{flag}: nothing may be written into {there}")


def _exists(flag: str, path: Path) -> bool:
    try:
        return path.exists()
    except OSError as exc:  # a name too long, a folder that may not be entered
        raise UsageError(f"{flag} {path}: {exc.strerror}") from exc
