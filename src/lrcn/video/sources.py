"""What the user names on the command line, as a list of things to read: files, folders, globs."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from lrcn.errors import MediaError

_Kind = Literal["videos", "pictures", "vectors"]

# fmt: off
VIDEO_SUFFIXES = frozenset({
    ".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".h264", ".h265", ".hevc", ".ivf", ".m2ts",
    ".m2v", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogg", ".ogv", ".ts", ".vob",
    ".webm", ".wmv", ".y4m",
})
"""Suffixes by which videos are found in folders. A file that is named itself may have any suffix."""

IMAGE_SUFFIXES = frozenset({
    ".avif", ".bmp", ".heic", ".heif", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp",
})
# fmt: on
"""Suffixes by which images are found in folders."""


VECTOR_SUFFIXES = frozenset({".csv", ".safetensors"})
"""Of files of ready vectors, which some models read in place of videos."""


_CLUTTER = frozenset({
    "$recycle.bin", "@eadir", "#recycle", "__macosx", "desktop.ini", "lost+found", "system volume information",
    "thumbs.db",
})  # fmt: skip
"""Beside hidden names, what Windows, macOS, Linux and network drives put among the files of their users, in lower case:
small copies in `@eaDir` are videos and pictures, too, and some of these folders may not be read."""


def natural_key(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key under which `frame2` comes before `frame10`."""
    parts = re.findall(r"\d+|\D+", str(path))
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part.casefold()) for part in parts)


def image_sequence(folder: Path) -> list[Path]:
    """Return the images of a folder that holds only images, in natural order; an empty list for any other folder.

    What `is_clutter` names does not count.
    """
    entries = [entry for entry in folder.iterdir() if not is_clutter(entry.name)]
    if any(entry.suffix.lower() not in IMAGE_SUFFIXES or not entry.is_file() for entry in entries):
        return []
    return sorted(entries, key=natural_key)


def expand_sources(sources: Sequence[str | Path], *, pictures: bool = False, vectors: bool = False) -> list[Path]:
    """Return what the sources name, each once: files, and folders that are one image sequence.

    A file stands for itself. A folder stands for itself if it holds only images, otherwise for all videos and image
    sequences below it, found by suffix, in natural order. Anything else is a glob (`**` descends); the shell need not
    have expanded it.

    Args:
        sources: Files, folders and globs.
        pictures: Images are pictures: a folder stands for every picture and every video below it.
        vectors: Files of ready vectors are wanted: a folder stands for those below it, and for nothing else.

    Raises:
        MediaError: For a source that names nothing.
    """
    kind: _Kind = "vectors" if vectors else "pictures" if pictures else "videos"
    found: dict[Path, None] = {}
    for source in sources:
        try:
            matches = list(_expand(source, kind))
        except OSError as exc:  # a name too long, a folder that may not be read
            raise MediaError(f"{exc.filename or source}: {exc.strerror}") from exc
        if not matches:
            raise MediaError(f"{source}: {_why_nothing(source, kind)}")
        found.update(dict.fromkeys(matches))
    return list(found)


_SUFFIXES: dict[_Kind, frozenset[str]] = {
    "videos": VIDEO_SUFFIXES,
    "pictures": VIDEO_SUFFIXES | IMAGE_SUFFIXES,
    "vectors": VECTOR_SUFFIXES,
}


def _expand(source: str | Path, kind: _Kind) -> Iterator[Path]:
    path = Path(source)
    named = [path] if path.exists() else sorted(map(Path, glob.glob(str(source), recursive=True)), key=natural_key)
    for match in named:
        if match.is_dir():
            yield from _below(match, kind, set())
        else:
            yield match


def _below(folder: Path, kind: _Kind, seen: set[str]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in seen:  # a link that leads back up
        return
    seen.add(real)
    if kind == "videos" and image_sequence(folder):
        yield folder
        return
    for entry in sorted(folder.iterdir(), key=natural_key):
        if is_clutter(entry.name):
            continue
        if entry.is_dir():
            yield from _below(entry, kind, seen)
        elif entry.suffix.lower() in _SUFFIXES[kind] or (kind != "vectors" and _is_animation(entry)):
            yield entry


def _is_animation(path: Path) -> bool:
    if path.suffix.lower() != ".webp":
        return False
    try:
        with path.open("rb") as file:
            head = file.read(21)
    except OSError:
        return True  # who reads it will say what is wrong with it
    return head[12:16] == b"VP8X" and bool(head[20] & 2)  # RIFF header, then the animation flag of the WebP container


def is_clutter(name: str) -> bool:
    """Whether a file or folder of this name was put there by a system, not by the user: previews, bins, indexes."""
    return name.startswith(".") or name.lower() in _CLUTTER


def passed_over(folder: Path, found: Iterable[Path]) -> list[Path]:
    """Return the files below a folder that are none of those found, nor in a folder that is; and no clutter.

    Folders of clutter are named themselves where there is something in them.
    """
    taken = set(found)
    left: list[Path] = []
    for place, subfolders, files in os.walk(folder):
        here = Path(place)
        if here in taken:
            subfolders.clear()
            continue
        left += [here / name for name in subfolders if name.lower() in _CLUTTER]
        subfolders[:] = sorted(name for name in subfolders if not is_clutter(name))
        left += [here / name for name in files if not is_clutter(name) and here / name not in taken]
    return sorted(left, key=natural_key)


def why_no_file(source: str | Path) -> str:
    """Say why a source that names no file or folder cannot be read, and what to do."""
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+:/", str(source)):  # Path() makes one slash of two
        return "addresses are not opened; download the video and name the file"
    return "no regular file" if Path(source).exists() else "no such file or folder"


def _why_nothing(source: str | Path, kind: _Kind) -> str:
    if Path(source).is_dir() and kind == "vectors":
        return f"no file of ready vectors ({', '.join(sorted(VECTOR_SUFFIXES))}) in this folder"
    if Path(source).is_dir() and kind == "pictures":
        return "no picture and no video in this folder"
    if Path(source).is_dir():
        return "no video and no folder of images in this folder; name a file to have it read whatever its suffix"
    if glob.has_magic(str(source)):
        return "nothing matches this pattern"
    return why_no_file(source)
