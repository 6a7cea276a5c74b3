"""What every reader of a recognition data set takes and returns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lrcn.data.splits import examples_of


@dataclass(frozen=True)
class RecognitionExample:
    """A video, or a part of one, and its class."""

    path: Path
    """A video file, or a folder that holds its frames as images."""
    label: str
    split: str
    """`train`, `val` or `test`."""
    start_s: float = 0.0
    end_s: float | None = None
    """None for the end of the video."""
    group: str = ""
    """The source video, person or place: no group should lie in two splits. Readers leave it empty where the data
    set does not say; it is then guessed from the file name."""


@dataclass(frozen=True)
class RecognitionData:
    """A recognition data set."""

    labels: tuple[str, ...]
    """Class names; the position is the label id."""
    examples: tuple[RecognitionExample, ...]
    name: str
    warnings: tuple[str, ...] = ()
    """One line each: what a careful user would want to know, such as clips of one video in two splits."""

    def split(self, name: str) -> tuple[RecognitionExample, ...]:
        """Return the examples of one split.

        Raises:
            DataError: If there are none; the message says which splits there are.
        """
        return examples_of(name, self.examples, self.name)


@dataclass(frozen=True)
class ReadOptions:
    """What a reader may need to know besides the path."""

    split_number: int = 1
    """Which of several official train/test lists, from 1."""
    skip_missing: bool = False
    """Leave out listed videos that are not there, instead of raising."""


def sorted_labels(examples: list[RecognitionExample]) -> tuple[str, ...]:
    """Return the class names that occur, in alphabetical order."""
    return tuple(sorted({example.label for example in examples}))
