"""The three splits of a data set, however it spells them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol, TypeVar

from lrcn.errors import DataError, unknown_name_message

SPLITS = ("train", "val", "test")

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


class HasSplit(Protocol):
    """An example that lies in a split."""

    @property
    def split(self) -> str:
        """One of `SPLITS`."""


E = TypeVar("E", bound=HasSplit)


def split_of(text: str) -> str:
    """Return `train`, `val` or `test` for one of its spellings; `DataError` if it is none of them."""
    try:
        return SPLIT_NAMES[text.strip().lower()]
    except KeyError:
        raise DataError(unknown_name_message("split", text, list(SPLITS))) from None


def examples_of(split: str, examples: Sequence[E], data: str) -> tuple[E, ...]:
    """Return the examples of one split of the data set of this name.

    Raises:
        DataError: If there are none; the message says which splits there are.
    """
    chosen = tuple(example for example in examples if example.split == split)
    if chosen:
        return chosen
    counts = Counter(example.split for example in examples)
    there = ", ".join(f"{name} ({count} examples)" for name, count in sorted(counts.items()))
    raise DataError(f"{data}: no {split!r} split; there is {there}: add one, or choose another --split")
