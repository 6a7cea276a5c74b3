"""Find the files that a list names, wherever below a folder they lie."""

from __future__ import annotations

import functools
import os
import unicodedata
from collections import defaultdict
from pathlib import Path

from lrcn.data.problems import Problems
from lrcn.errors import MediaError
from lrcn.video.sources import IMAGE_SUFFIXES, VIDEO_SUFFIXES, expand_sources, is_clutter


class NamedFiles:
    """The files below a folder, by the names that a list has for them.

    A name with folders, `cats/1.jpg`, stands for `pictures/cats/1.jpg`, but never for `dogs/1.jpg`. A list may also
    name `x.avi` where the user keeps `x.mp4`, or a folder `x` of frames.
    """

    def __init__(self, root: Path, problems: Problems, *, need_files: bool = True, pictures: bool = False) -> None:
        """Look below `root` when first asked.

        Args:
            root: A folder.
            problems: Where it goes that a file is not found, or found twice.
            need_files: Whether files must be there; else names are taken as they are.
            pictures: Whether a single picture will do where a name without suffix stands for no video.
        """
        self._root = root
        self._problems = problems
        self._need_files = need_files
        self._pictures = pictures

    def by_name(self, name: str, place: str) -> Path | None:
        """Return the file of this name, where it says or anywhere below; None, and a problem noted, if none is."""
        path = located(self._root, name)
        if not self._need_files or exists(path):
            return path
        parts = _parts(name.replace("\\", "/"))
        below = (
            [found for found in self._files.get(parts[-1], []) if _parts(found)[-len(parts) :] == parts]
            if parts
            else []
        )
        return self._one_of(below, name, place)

    def by_stem(self, stem: str, place: str, *, label: str = "") -> Path | None:
        """Return the video of this name, whatever its suffix; of several, the one in a folder named like its class."""
        if not self._need_files:
            return self._root / stem
        found = self._videos.get(composed(stem)) or self._single_pictures.get(composed(stem), [])
        if len(found) > 1:
            found = [path for path in found if composed(label) in _parts(path)] or found
        return self._one_of(found, f"{label}{'/' if label else ''}{stem}.* below {self._root}", place)

    def has_video(self, stem: str) -> bool:
        """Whether there is a video of this name."""
        return composed(stem) in self._videos

    def _one_of(self, found: list[Path], name: str, place: str) -> Path | None:
        if not found:
            self._problems.add_missing(place, name)
        elif len(found) > 1:
            self._problems.add(place, f"two files of this name: {found[0]} and {found[1]}; keep one")
        else:
            return found[0]
        return None

    @functools.cached_property
    def _files(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = defaultdict(list)
        for folder, subfolders, files in os.walk(self._root):
            subfolders[:] = sorted(name for name in subfolders if not is_clutter(name))
            for name in sorted(files):
                found[composed(name)].append(Path(folder, name))
        return found

    @functools.cached_property
    def _videos(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = defaultdict(list)
        try:
            paths = expand_sources([self._root])
        except MediaError:  # nothing there: every row will say so
            paths = []
        for path in paths:
            found[composed(video_stem(path))].append(path)
        return found

    @functools.cached_property
    def _single_pictures(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = defaultdict(list)
        for paths in self._files.values() if self._pictures else ():
            for path in paths:
                if path.suffix.lower() in IMAGE_SUFFIXES:
                    found[composed(path.stem)].append(path)
        return found


def video_stem(path: Path) -> str:
    """Return a video's name without its suffix; a folder of frames keeps its whole name."""
    return path.stem if path.suffix.lower() in VIDEO_SUFFIXES or path.suffix.lower() == ".webp" else path.name


def composed(name: str) -> str:
    """Return a name with letters and their accents as one character each, however it was typed.

    Of two spellings that look alike, macOS writes one and everything else the other: they are one name.
    """
    return unicodedata.normalize("NFC", name)


def _parts(path: str | Path) -> tuple[str, ...]:
    return tuple(map(composed, Path(path).parts))


def located(root: Path, name: str) -> Path:
    """Return the path below `root` that a list names, as it is spelt on the disk; as named where nothing is there.

    Lists that were made on Windows have backslashes between folders; names with accents have two spellings.
    """
    slashed = name.replace("\\", "/")
    forms = [
        form for text in (name, slashed) for form in (text, *(unicodedata.normalize(f, text) for f in ("NFC", "NFD")))
    ]
    return next((root / form for form in dict.fromkeys(forms) if exists(root / form)), root / name)


def exists(path: Path) -> bool:
    """Whether a file is there, whatever a list may hold for a name."""
    try:
        return path.exists()
    except (OSError, ValueError):  # a name too long, or with a NUL
        return False
