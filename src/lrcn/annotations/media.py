"""Find the videos that an annotation file names: as named, beside the file, or by file name below a folder."""

from __future__ import annotations

import functools
import os
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lrcn.errors import MediaError
from lrcn.video.read import VideoInfo, probe
from lrcn.video.sources import VECTOR_SUFFIXES, VIDEO_SUFFIXES

_RATE_TOLERANCE = 0.01
"""Share by which a stated frame rate may differ from the video's: 30 stands for 29.97 too."""


_DEEPLABCUT = "dlc_"
"""Stands in DeepLabCut's names between that of the video and that of the network, in lower case."""

NOT_THERE = "is not there, nor below"
"""In the warning of a video that is not found."""


class MediaFinder:
    """The videos around an annotation file, or the files of ready vectors that stand in for them.

    Names may be those of another computer: a Windows path, a `file:` address, other capitals, another folder. A name
    without the suffix of a video stands for the video of that name.
    """

    def __init__(self, file: Path, videos: Path | None = None, *, vectors: bool = False) -> None:
        """Look below a folder when something is not where it should be.

        Args:
            file: The annotation file.
            videos: Folder in which the videos lie; None for the file's own.
            vectors: A video's name stands for the file of its ready vectors: `mouse.mp4` for `mouse.csv`,
                `mouse.safetensors`, or else for `mouseDLC_....csv`, as DeepLabCut calls its own.
        """
        self.folder = file.parent
        self.videos = videos if videos is not None else file.parent
        self._file = file
        self._vectors = vectors
        self._suffixes = VECTOR_SUFFIXES if vectors else VIDEO_SUFFIXES
        self._missing: set[str] = set()
        self._probed: dict[Path, VideoInfo | None] = {}

    def find(self, name: str, warn: Callable[[str], None] | None = None) -> Path | None:
        """Return the video of a name; where it is not there, the path where it should be; None for an empty name.

        Args:
            name: As the annotation file has it.
            warn: Takes what is wrong, once for each name: nothing there, or several of that name; None tells nobody.
        """
        parts = name_parts(name)
        if not parts:
            return None
        named = Path(*parts)
        is_stem = named.suffix.lower() not in self._suffixes
        found: list[Path] = []
        if not (self._vectors and is_stem):
            for folder in (self.folder, self.videos):
                if exists(folder / named):
                    return folder / named
            found = self._below.get(named.name.casefold(), [])
        if not found and is_stem:
            stem = (named.stem if named.suffix.lower() in VIDEO_SUFFIXES else named.name).casefold()
            found = self._stems.get(stem, []) or (self._deeplabcut.get(stem, []) if self._vectors else [])
        if len(found) > 1:
            found = _best(found, parts)
        if len(found) == 1:
            return found[0]
        if warn is not None and name not in self._missing:
            self._missing.add(name)
            if found:
                what = "two files of vectors are of" if self._vectors else "two videos are called"
                warn(f"{what} {named.name}: {found[0]} and {found[1]}; keep one, or use --videos")
            else:
                what = f"the vectors of {name}: a file of that name" if self._vectors else name
                warn(f"{what} {NOT_THERE} {self.videos}; put it there, or name its folder: --videos")
        if self._vectors and named.suffix.lower() in VIDEO_SUFFIXES:
            named = named.with_suffix(".csv")
        return self.videos / (named.name if named.is_absolute() or ":" in parts[0] else named)

    def info(self, path: Path | None) -> VideoInfo | None:
        """Return what a video says about itself, None if it is not there or cannot be read."""
        if path is None or self._vectors or not exists(path):
            return None
        if path not in self._probed:
            try:
                self._probed[path] = probe(path)
            except (MediaError, OSError):  # who decodes it will say what is wrong with it
                self._probed[path] = None
        return self._probed[path]

    def rate(self, path: Path | None, stated: float | None, warn: Callable[[str], None]) -> float | None:
        """Return a recording's frame rate: the stated one, else the video's; warns where they differ."""
        info = self.info(path)
        if info is None:
            return stated
        if stated is not None and abs(stated - info.fps) > _RATE_TOLERANCE * info.fps:
            warn(
                f"says {stated:g} frames a second, and {path} has {info.fps:g}: is it the same video? "
                "If it was converted, check a few times"
            )
        return stated or info.fps

    @functools.cached_property
    def _below(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = defaultdict(list)
        for folder, subfolders, files in os.walk(self.videos):
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            for name in sorted([*files, *subfolders]):
                found[name.casefold()].append(Path(folder, name))
        return found

    @functools.cached_property
    def _stems(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = defaultdict(list)
        for paths in self._below.values():
            for path in paths:
                if path.suffix.lower() in self._suffixes and path != self._file:
                    found[path.stem.casefold()].append(path)
        return found

    @functools.cached_property
    def _deeplabcut(self) -> dict[str, list[Path]]:
        """What DeepLabCut found in videos, by their names without suffix."""
        found: dict[str, list[Path]] = defaultdict(list)
        for stem, paths in self._stems.items():
            video, mark, _ = stem.partition(_DEEPLABCUT)
            if mark:
                found[video] += paths
        return found


def name_parts(name: str) -> tuple[str, ...]:
    """Return folders and file name of a path of any system, or of an address."""
    text = name.strip()
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+:/", text):
        address = urlsplit(text)
        text = unquote(address.path)
        if re.match(r"/[a-zA-Z]:/", text):  # file:///C:/videos/a.mp4
            text = text[1:]
    windows = ("\\" in text and "/" not in text) or re.match(r"[a-zA-Z]:\\", text)
    if windows and not exists(Path(text)):
        text = text.replace("\\", "/")
    root = ("/",) if text.startswith("/") else ()
    return (*root, *(part for part in text.split("/") if part and part != "."))


def file_name(name: str) -> str:
    """Return the file name at the end of such a path."""
    parts = name_parts(name)
    return parts[-1] if parts else ""


def _best(found: list[Path], parts: tuple[str, ...]) -> list[Path]:
    """Return those whose folders agree longest with the name's, from the file upwards."""

    def agreeing(path: Path) -> int:
        named = path.with_name(parts[-1])  # what was found may have another suffix
        pairs = zip(reversed(named.parts), reversed(parts), strict=False)
        return next((i for i, (one, other) in enumerate(pairs) if one.casefold() != other.casefold()), len(parts))

    most = max(agreeing(path) for path in found)
    return [path for path in found if agreeing(path) == most]


def exists(path: Path | None) -> bool:
    """Whether a file is there, whatever an annotation may hold for a name."""
    try:
        return path is not None and path.exists()
    except (OSError, ValueError):  # a name too long, or with a NUL
        return False
