"""Find the videos that a list names, wherever below a folder they lie."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from lrcn.data.recognition.examples import Problems
from lrcn.data.recognition.grouping import video_stem
from lrcn.errors import MediaError
from lrcn.video.sources import expand_sources


class VideoIndex:
    """All videos and folders of frames below a folder, by name without suffix.

    A list may name `x.avi` where the user keeps `x.mp4`, or a folder `x` of frames.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._paths: dict[str, list[Path]] = defaultdict(list)
        try:
            paths = expand_sources([root])
        except MediaError:  # nothing there: every row will say so
            paths = []
        for path in paths:
            self._paths[video_stem(path)].append(path)

    def __contains__(self, stem: str) -> bool:
        return stem in self._paths

    def find(self, stem: str, *, label: str, place: str, problems: Problems) -> Path | None:
        """Return the video of that name; of several, the one in a folder named like its class.

        What is not found, or found twice, goes to `problems`.
        """
        found = self._paths.get(stem, [])
        if len(found) > 1:
            found = [path for path in found if label in path.parts] or found
        if not found:
            problems.add_missing(place, f"{label}/{stem}.* below {self._root}")
        elif len(found) > 1:
            problems.add(place, f"two videos of this name: {found[0]} and {found[1]}; keep one")
        else:
            return found[0]
        return None
