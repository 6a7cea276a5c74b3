"""Write a file whole or not at all."""

from __future__ import annotations

import ctypes
import errno
import getpass
import glob
import json
import os
import secrets
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from lrcn.errors import ConfigError, LRCNError, Notice

_KEPT = 40
"""Letters of a name that the temporary one keeps: names end at 255 bytes, and the temporary one is longer."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers of a disk, or what one may take of it, that is full."""

_LEFT_OVER_S = 86_400.0
"""Age from which a temporary file or folder is no longer being written, but was left by a process that was killed."""

_TRIES = 100
"""Times that a folder is put in place where other processes put theirs."""

_AT_FDCWD = -100
"""The working folder, to Linux's `renameat2`."""

_LITTLE = 2**20
"""Bytes left on a disk that count as full: what could not be written is still there."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary file beside `path` to write to; it becomes `path` at the end, or vanishes on an error.

    Missing folders are made. A reader of `path` sees the old file or the new one, never a part.

    Raises:
        IsADirectoryError: If `path` is a folder; before anything is written.
        OSError: If the disk is full; `filename` is then `path`.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        yield path  # a device or a pipe is written to, not replaced
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.stem[:_KEPT]}-"
    _sweep(path.parent, glob.escape(prefix), glob.escape(path.suffix))
    unfinished = _new_name(path.parent, prefix, path.suffix)
    try:  # from here on it goes, whenever a signal ends this
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        yield unfinished
        unfinished.chmod(0o666 & ~_umask())  # until it was whole, it was private
        unfinished.replace(path)
    except LRCNError:
        raise
    except Exception as exc:
        if (reason := _no_room(exc, path)) is not None:
            raise reason from exc
        raise
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def replacing_table(path: Path) -> Iterator[TextIO]:
    """Give a text file for `csv.writer`, as `replacing` does; names of files keep their bytes, UTF-8 or not."""
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        yield file


def parse_json(text: str | bytes, *, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """Return what JSON from anybody says.

    Args:
        text: Bytes may be of any encoding of Unicode.
        pairs: Makes an object of its entries; None makes a dictionary.

    Raises:
        ValueError: If it is no JSON, nested too deep, or a number has thousands of digits; `json.JSONDecodeError` where
            a place can be named.
    """
    try:
        return json.loads(text, object_pairs_hook=pairs)
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc


def write_json(path: Path, value: object, *, indent: int | None = None) -> None:
    """Write JSON as `write_text` does."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=indent) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file as `replacing` does, in UTF-8; what is no UTF-8 in the names of files is escaped."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", errors="backslashreplace")


def name_for(source: Path, suffix: str, taken: set[str]) -> str:
    """Return the source's name without its own suffix and with this one, for what is written about it.

    Where an equal name is `taken` already, it gets a number; capital and small letters count as equal. What is returned
    is taken from then on.
    """
    stem = source.resolve().name if source.is_dir() else source.stem
    name, number = f"{stem}{suffix}", 2
    while name.casefold() in taken:
        name, number = f"{stem}-{number}{suffix}", number + 1
    taken.add(name.casefold())
    return name


def _new_name(folder: Path, prefix: str, suffix: str) -> Path:
    """Return a name that nothing in a folder has; `_sweep` knows it again."""
    while (path := folder / f"{prefix}{secrets.token_hex(4)}{suffix}").exists():
        pass
    return path


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder beside `path` to fill; it becomes `path` at the end, or vanishes on an error.

    A folder that was at `path` is gone then, with all that it held.

    Raises:
        OSError: If the disk is full; `filename` is then `path`.
    """
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name[:_KEPT]}-"
    _sweep(path.parent, glob.escape(prefix), "")
    beside = _new_name(path.parent, prefix, "")
    unfinished = beside / "new"
    try:  # from here on it goes, whenever a signal ends this
        beside.mkdir(mode=0o700)
        unfinished.mkdir()
        yield unfinished
        _put_in_place(unfinished, path)
    except LRCNError:
        raise
    except Exception as exc:
        if (reason := _no_room(exc, path)) is not None:
            raise reason from exc
        raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _no_room(error: Exception, path: Path) -> OSError | None:
    """Return an error that says that there was no room for `path`, where that is why writing failed; None elsewhere.

    A write does not say where it failed, and libraries that write have errors of their own, which say no such thing.
    """
    number = error.errno if isinstance(error, OSError) else None
    if (isinstance(error, OSError) and error.filename is not None) or number not in (*NO_ROOM, None):
        return None  # it says for itself what it is
    if number != errno.EFBIG and _free(path.parent) < _LITTLE:
        number = number or errno.ENOSPC
    elif number == errno.EFBIG or (number is None and _are_files_limited()):
        number = errno.EFBIG
    else:  # there is room here: it was written to something else
        return None
    return OSError(number, os.strerror(number), str(path))


def _free(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:  # it went away
        return _LITTLE


def _are_files_limited() -> bool:
    """Whether the system lets this process write no file of more than some size."""
    try:
        import resource
    except ImportError:  # Windows
        return False
    return resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY


def _put_in_place(folder: Path, path: Path) -> None:
    """Let a folder become `path`; what was there is then where the folder was.

    At no moment is nothing at `path`, and others may do the same at the same time. Where the system cannot exchange two
    folders in one step, there is such a moment.
    """
    for _ in range(_TRIES):
        try:
            folder.rename(path)  # where nothing is, or an empty folder
        except OSError as exc:
            if exc.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EACCES):
                raise
        else:
            return
        try:
            if not _exchange(folder, path):
                path.replace(folder.with_name("old"))
                continue
        except FileNotFoundError:  # somebody took it away just now
            continue
        return
    raise FileExistsError(errno.EEXIST, "others write there all the time", str(path))


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; whether the system can.

    Raises:
        OSError: If one of them is not there.
    """
    library = ctypes.CDLL(None, use_errno=True) if sys.platform != "win32" else None
    for name, flag, places in (("renameat2", 2, (_AT_FDCWD,)), ("renamex_np", 2, ())):  # Linux, macOS
        call = getattr(library, name, None)
        if call is None:
            continue
        arguments = [ctypes.c_char_p(os.fsencode(path)) for path in (one, other)]
        placed = [argument for path in arguments for argument in (*map(ctypes.c_int, places), path)]
        if call(*placed, ctypes.c_uint(flag)) == 0:
            return True
        number = ctypes.get_errno()
        if number == errno.ENOENT:
            raise FileNotFoundError(number, os.strerror(number), str(other))
    return False


def sweep_cache(folder: Path) -> None:
    """Remove what killed processes left long ago in a folder that holds nothing but a cache of lrcn.

    An entry that is there is not written again, and what was left beside it would stay.
    """
    _sweep(folder, ".*-", ".*")
    _sweep(folder, ".*-", "")


def _sweep(folder: Path, prefix: str, suffix: str) -> None:
    """Remove what killed processes left here long ago, of the file or folder that is about to be written."""
    long_ago = time.time() - _LEFT_OVER_S
    for entry in folder.glob(f"{prefix}{'[a-z0-9_]' * 8}{suffix}"):  # as `_new_name` has them
        with suppress(OSError):  # another process was quicker, or it is not ours
            if entry.stat().st_mtime < long_ago:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def cache_folder(kind: str, cache_dir: Path | None = None) -> Path:
    """Return where files of one kind are kept between runs: `features` of a CNN, or the `runtimes` made of models.

    Args:
        kind: Name of the folder.
        cache_dir: Holds one folder a kind; None for `lrcn` in the user's cache folder, or, with a warning, a temporary
            one where that cannot be written.

    Raises:
        ConfigError: If the temporary one is another user's.
    """
    return (cache_dir or _own_cache()) / kind


def _own_cache() -> Path:
    try:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lrcn"
        root.mkdir(parents=True, exist_ok=True)
        if os.access(root, os.W_OK):
            return root
        why = f"{root} cannot be written"
    except RuntimeError:
        why = "this user has no home folder"
    except OSError as exc:
        why = f"{exc.filename or root} cannot be written"
    # of this user alone: what others can write must not be taken for ours
    kept = Path(tempfile.gettempdir()) / f"lrcn-{getpass.getuser() if os.name == 'nt' else os.getuid()}"
    kept.mkdir(mode=0o700, exist_ok=True)
    if os.name != "nt" and (kept.is_symlink() or kept.stat().st_uid != os.getuid()):
        raise ConfigError(f"{why}, and {kept} is another user's: choose a folder with --cache-dir or XDG_CACHE_HOME")
    warnings.warn(
        f"{why}: features are kept in {kept}, which the system may empty; "
        "choose another folder with --cache-dir or XDG_CACHE_HOME",
        Notice,
        stacklevel=3,
    )
    return kept
