"""Where a command is to write: looked at before the work begins, and told at its end."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lrcn.cli.exits import UsageError
from lrcn.cli.terminal import remark

if TYPE_CHECKING:
    from lrcn.results import Result

Output = tuple[str, Path | None]
"""A flag and what it names; None where it is not given."""


def check_outputs(
    *, files: Iterable[Output] = (), folders: Iterable[Output] = (), sources: Iterable[Path] = ()
) -> None:
    """Make sure that the outputs of a command can be written, and overwrite neither its sources nor each other.

    Args:
        files: Files to write.
        folders: Folders to write into.
        sources: What the command reads; a folder stands for all that is in it.

    Raises:
        UsageError: If not; the message names the flag.
    """
    read = {_real(path) for path in sources}
    new_files = _given(files)
    taken: dict[Path, str] = {}
    for flag, path in new_files:
        there = _exists(flag, path)
        if there and path.is_dir():
            raise UsageError(f"{flag} {path}: is a folder; name a file")
        if there and not path.is_file():  # a device or a pipe
            _check_writable(flag, path)
            continue
        if there and not read.isdisjoint((_real(path), _real(path).parent)):
            raise UsageError(f"{flag} {path}: is one of the sources, and would be overwritten")
        _check_folder(flag, path.parent)
        taken.setdefault(_real(path), flag)
    new_folders = _given(folders)
    for flag, path in new_folders:
        _check_folder(flag, path)
    for flag, path in (*new_files, *new_folders):
        itself = _real(path)
        for place in (itself, *itself.parents):
            other = taken.get(place)
            if other is not None and (other != flag or place != itself):
                raise UsageError(f"{other} and {flag} both name {place}; give them two names")


@contextmanager
def results_in(
    outputs: Sequence[tuple[str, Path | None, str]], task: str, *, quiet: bool
) -> Iterator[Callable[[Result], None]]:
    """Give a function that adds a result of a task to all outputs that are named: what in words, where, which format.

    Where they are is told at the end.
    """
    from lrcn.writers import open_results

    named = [(what, path, format) for what, path, format in outputs if path is not None]
    with ExitStack() as files:
        adders = [files.enter_context(open_results(path, format, task=task)) for _, path, format in named]

        def add(result: Result) -> None:
            for add_to_one in adders:
                add_to_one(result)

        yield add
    for what, path, _ in named:
        remark(f"{what}: {path}", quiet=quiet)


def _given(outputs: Iterable[Output]) -> list[tuple[str, Path]]:
    return [(flag, path) for flag, path in outputs if path is not None]


def _real(path: Path) -> Path:
    """Return where a path leads; of a loop of links, the path itself."""
    return Path(os.path.realpath(path))


def _check_folder(flag: str, folder: Path) -> None:
    """Make sure that a folder can be written into, or made."""
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if _exists(flag, place))
    if not there.is_dir():
        raise UsageError(f"{flag}: {there} is a file, and a folder is wanted")
    _check_writable(flag, there)


def _check_writable(flag: str, path: Path) -> None:
    if not os.access(path, os.W_OK):
        raise UsageError(f"{flag}: nothing may be written into {path}")


def _exists(flag: str, path: Path) -> bool:
    try:
        path.stat()
    except OSError as exc:
        if exc.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):  # a link that leads nowhere is replaced
            return False
        raise UsageError(f"{flag} {path}: {exc.strerror}") from exc  # a name too long, a folder that may not be entered
    return True
