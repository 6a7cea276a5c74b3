"""What every reader of a caption data set takes and returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lrcn.data.splits import examples_of


@dataclass(frozen=True)
class CaptionExample:
    """An image or a video, or a part of one, and what people said about it."""

    path: Path
    """An image, a video, or a folder that holds a video's frames as images. Where ready vectors stand in for pictures,
    no file need be there."""
    captions: tuple[str, ...]
    """As the data set has them, not tokenised; one at least, none of them empty."""
    split: str
    """`train`, `val` or `test`."""
    start_s: float = 0.0
    end_s: float | None = None
    """None for the end of the video."""
    key: str = ""
    """What the data set calls it, and what a file of ready vectors calls its row: the COCO image id, the video id; a
    CSV's first column as it is written. Different for all examples of a data set."""


@dataclass(frozen=True)
class CaptionData:
    """A caption data set."""

    examples: tuple[CaptionExample, ...]
    name: str
    warnings: tuple[str, ...] = ()
    """One line each: what a careful user would want to know."""

    def split(self, name: str) -> tuple[CaptionExample, ...]:
        """Return the examples of one split.

        Raises:
            DataError: If there are none; the message says which splits there are.
        """
        return examples_of(name, self.examples, self.name)


@dataclass(frozen=True)
class CaptionReadOptions:
    """What a reader of captions may need to know besides the path."""

    skip_missing: bool = False
    """Leave out listed files that are not there, instead of raising."""
    need_files: bool = True
    """Whether the pictures and videos must be there."""
