"""Look at the files of a data set, whatever they are for: do they decode, are there copies."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

from lrcn.errors import MediaError
from lrcn.video.read import probe, read_frames
from lrcn.video.sources import image_sequence


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
    """Sha256 of its content; empty where it cannot be read."""
    duration_s: float | None = None
    error: str = ""
    warnings: tuple[str, ...] = ()


class HasPart(Protocol):
    """An example that may be a part of a video."""

    @property
    def path(self) -> Path:
        """Its file."""

    @property
    def start_s(self) -> float:
        """Where it begins."""


def look_at_files(
    paths: Iterable[Path], *, decode: bool, on_progress: Callable[[int, int], None] | None
) -> dict[Path, CheckedFile]:
    """Return what each file holds, decoded to its end if asked; several at a time."""
    distinct = sorted(set(paths))
    files: dict[Path, CheckedFile] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for file in pool.map(partial(_look_at, decode=decode), distinct):
            files[file.path] = file
            if on_progress:
                on_progress(len(files), len(distinct))
    return files


def _look_at(path: Path, *, decode: bool) -> CheckedFile:
    warnings: list[str] = []
    try:
        digest = _content_digest(path)
        if not decode:
            return CheckedFile(path, digest)
        duration_s = probe(path).duration_s
        # the reader's complaints are what is wanted; a video is decoded whole at any rate, but images only if chosen
        for _ in read_frames(path, sample_fps=None if path.is_dir() else 1, resize=16, on_warning=warnings.append):
            pass
    except MediaError as exc:
        return CheckedFile(path, error=str(exc))
    except OSError as exc:
        return CheckedFile(path, error=f"{path}: cannot be read: {exc.strerror or exc}")
    return CheckedFile(path, digest, duration_s, warnings=tuple(warnings))


def _content_digest(path: Path) -> str:
    digest = hashlib.sha256()
    for file in image_sequence(path) if path.is_dir() else [path]:
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()


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
