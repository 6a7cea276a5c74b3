"""What every reader of a recognition data set returns, and how it reports what is wrong with one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lrcn.errors import DataError, unknown_name_message

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "restval": "train",
    "val": "val",
    "valid": "val",
    "validate": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
"""How data sets spell the three splits."""


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
        chosen = tuple(example for example in self.examples if example.split == name)
        if chosen:
            return chosen
        counts = Counter(example.split for example in self.examples)
        known = ", ".join(f"{split} ({count} clips)" for split, count in sorted(counts.items()))
        raise DataError(f"{self.name}: no {name!r} split; there is {known}: add one, or choose another --split")


@dataclass(frozen=True)
class ReadOptions:
    """What a reader may need to know besides the path."""

    split_number: int = 1
    """Which of several official train/test lists, from 1."""
    skip_missing: bool = False
    """Leave out listed videos that are not there, instead of raising."""


class Problems:
    """Collects everything wrong with a data set, so that the user hears of it all at once."""

    def __init__(self, skip_missing: bool) -> None:
        self._lines: list[str] = []
        self._missing: list[str] = []
        self._skip_missing = skip_missing

    def add(self, place: str, what: str) -> None:
        """Note a bad row; `place` names its file and line."""
        self._lines.append(f"{place}: {what}")

    def add_missing(self, place: str, name: str) -> None:
        """Note a row whose video is not there."""
        (self._missing if self._skip_missing else self._lines).append(f"{place}: {name} not found")

    def check(self, num_examples: int, source: Path, what: str = "video") -> tuple[str, ...]:
        """Return warnings, after a reader has gone through everything.

        Args:
            num_examples: Examples that were found.
            source: Where they were looked for.
            what: What one example is.

        Raises:
            DataError: If a row is bad, or no example is left.
        """
        if self._lines:
            what_else = ""
            if all(line.endswith("not found") for line in self._lines):
                what_else = f"; put the {what}s there, or leave such rows out with --skip-missing"
            raise DataError(first_of(self._lines) + what_else, tuple(self._lines))
        if num_examples == 0:
            why = f": {first_of(self._missing)}" if self._missing else ""
            raise DataError(f"{source}: no {what} to read{why}; check that they lie below this folder")
        return (f"left out: {first_of(self._missing)}",) if self._missing else ()


def first_of(lines: list[str]) -> str:
    """Return the first line, with the number of the others."""
    return lines[0] + (f" ({len(lines) - 1} more)" if len(lines) > 1 else "")


def split_of(text: str) -> str:
    """Return `train`, `val` or `test` for one of its spellings.

    Raises:
        DataError: If it is none of them.
    """
    try:
        return SPLIT_NAMES[text.strip().lower()]
    except KeyError:
        raise DataError(unknown_name_message("split", text, ["train", "val", "test"])) from None


def sorted_labels(examples: list[RecognitionExample]) -> tuple[str, ...]:
    """Return the class names that occur, in alphabetical order."""
    return tuple(sorted({example.label for example in examples}))
