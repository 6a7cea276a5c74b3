"""Look at the files of a data set, whatever they are for: do they decode, are there copies."""

from __future__ import annotations

import hashlib
import heapq
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from lrcn.data.fingerprints import Fingerprint, alike, cells_of, fingerprint, sampling_times_s
from lrcn.errors import MediaError
from lrcn.video.ahead import num_processors
from lrcn.video.read import open_video
from lrcn.video.sources import image_sequence

_HEAD_BYTES = 2**16
"""Of a file, compared before whole files are."""

_Beginning = tuple[tuple[int, ...], bytes]


@dataclass(frozen=True)
class Finding:
    """One line about the data set."""

    severity: Literal["error", "warning"]
    """An error spoils training or scores; a warning may be as intended."""
    text: str


@dataclass(frozen=True)
class CheckedFile:
    """What was found in a file."""

    path: Path
    digest: str = ""
    """Sha256 of its content; empty where it cannot be read, or no other file begins as it does and is as long."""
    duration_s: float | None = None
    error: str = ""
    warnings: tuple[str, ...] = ()
    fingerprint: Fingerprint | None = None
    """What it looks like; None where it was not decoded."""


class HasPart(Protocol):
    """An example that may be a part of a video."""

    @property
    def path(self) -> Path:
        """Its file."""

    @property
    def start_s(self) -> float:
        """Where it begins."""


def look_at_files(
    paths: Iterable[Path], *, decode: bool, on_progress: Callable[[int, int], None] | None, workers: int | None = None
) -> dict[Path, CheckedFile]:
    """Return what each file holds, decoded to its end if asked; several at a time.

    Args:
        paths: Files, and folders of images; any may be named twice.
        decode: Decode each to its end; without it, only contents are compared.
        on_progress: Called with the number of files done and of all files.
        workers: Files that are looked at side by side; None for one a processor.
    """
    distinct = sorted(set(paths))
    # few files that may be long: the threads of their decoders help; many: they cost more than they bring
    look = partial(_look_at, decode=decode, threads=len(distinct) < num_processors())
    files: dict[Path, CheckedFile] = {}
    beginnings: dict[_Beginning, list[Path]] = defaultdict(list)
    with ThreadPoolExecutor(workers or num_processors()) as pool:
        for file, beginning in pool.map(look, distinct):
            files[file.path] = file
            if beginning is not None:
                beginnings[beginning].append(file.path)
            if on_progress:
                on_progress(len(files), len(distinct))
        doubtful = [path for paths in beginnings.values() if len(paths) > 1 for path in paths]
        for path, hashed in zip(doubtful, pool.map(_with_digest, [files[path] for path in doubtful]), strict=True):
            files[path] = hashed
    return files


def _look_at(path: Path, *, decode: bool, threads: bool) -> tuple[CheckedFile, _Beginning | None]:
    """Return what a file holds, without its digest, and how it begins; None if there is an error."""
    try:
        beginning = _beginning(path)
        return (_decoded(path, threads=threads) if decode else CheckedFile(path)), beginning
    except MediaError as exc:
        return CheckedFile(path, error=str(exc)), None
    except OSError as exc:
        return CheckedFile(path, error=_unread(path, exc)), None


def _unread(path: Path, exc: OSError) -> str:
    return f"{path}: cannot be read: {exc.strerror or exc}"


def _decoded(path: Path, *, threads: bool) -> CheckedFile:
    warnings: list[str] = []
    cells, times_s, end_s = [], [], 0.0
    with open_video(path, threads=threads) as video:
        if path.is_dir():  # images are decoded only if chosen
            chunks = video.chunks(resize=16, on_warning=warnings.append)
        else:  # a frame a second for the reader's complaints, and those of the fingerprint
            wanted_s = heapq.merge(sampling_times_s(video.stated_s or 1.0), map(float, itertools.count(1)))
            chunks = video.chunks_at(wanted_s, resize=16, on_warning=warnings.append)
        for chunk in chunks:
            cells.append(cells_of(chunk.frames))
            times_s.append(chunk.times_s)
            end_s = chunk.end_s
        duration_s = video.stated_s or end_s
    seen = fingerprint(np.concatenate(cells), np.concatenate(times_s), duration_s)
    return CheckedFile(path, duration_s=duration_s, warnings=tuple(warnings), fingerprint=seen)


def _beginning(path: Path) -> _Beginning:
    """Return the sizes of a file, or of the images in a folder, and a digest of the first bytes."""
    parts = _parts(path)
    with parts[0].open("rb", buffering=0) as content:
        head = content.read(_HEAD_BYTES)
    return tuple(part.stat().st_size for part in parts), hashlib.sha256(head).digest()


def _parts(path: Path) -> list[Path]:
    """Return a file alone, or the images of a folder, which may hold something else: who reads it will say so."""
    return (image_sequence(path) if path.is_dir() else []) or [path]


def _with_digest(file: CheckedFile) -> CheckedFile:
    digest = hashlib.sha256()
    try:
        for part in _parts(file.path):
            with part.open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
    except OSError as exc:
        return CheckedFile(file.path, error=_unread(file.path, exc))
    return replace(file, digest=digest.hexdigest())


def unreadable(files: Mapping[Path, CheckedFile]) -> Iterator[Finding]:
    """Yield what could not be decoded, and what its reader complained of."""
    for file in files.values():
        if file.error:
            yield Finding("error", file.error)
        yield from (Finding("warning", text) for text in file.warnings)


def outside(examples: Iterable[tuple[HasPart, str]], files: Mapping[Path, CheckedFile]) -> Iterator[Finding]:
    """Yield the parts that begin past the end of their video.

    Args:
        examples: Each with words that tell which part it is: `of class 'walk'`.
        files: Those of the examples.
    """
    for example, which in examples:
        duration_s = files[example.path].duration_s
        if duration_s is not None and 0 < duration_s <= example.start_s:
            yield Finding(
                "error",
                f"{example.path}: a part {which} starts at {example.start_s:g} s, "
                f"but the video ends at {duration_s:.2f} s",
            )


def same_content(files: Mapping[Path, CheckedFile]) -> Iterator[tuple[list[Path], str]]:
    """Yield the groups of two or more files that hold the same, each with words for it."""
    same: dict[str, list[Path]] = defaultdict(list)
    for file in files.values():
        if file.digest:
            same[file.digest].append(file.path)
    for paths in same.values():
        if len(paths) > 1:
            more = f" ({len(paths) - 2} more)" if len(paths) > 2 else ""
            yield paths, f"same content in {paths[0]} and {paths[1]}{more}"


def same_pictures(files: Mapping[Path, CheckedFile]) -> Iterator[tuple[list[Path], str]]:
    """Yield the groups of two or more files that show the same and do not hold the same, each with words for it."""
    seen = [(file, file.fingerprint) for file in files.values() if file.fingerprint is not None]
    for group in alike([print_ for _, print_ in seen]):
        found = [seen[place][0] for place in group]
        distinct = list({file.digest or str(file.path): file.path for file in reversed(found)}.values())[::-1]
        if len(distinct) > 1:
            more = f" ({len(distinct) - 2} more)" if len(distinct) > 2 else ""
            yield (
                [file.path for file in found],
                f"the same pictures in {distinct[0]} and {distinct[1]}{more}, encoded differently",
            )
