"""Gather captions row by row, from any layout, into examples; everything wrong with them is found on the way."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrcn.data.captioning.examples import CaptionExample
from lrcn.data.named_files import composed
from lrcn.data.problems import Problems
from lrcn.text.tokenise import tokenise


@dataclass
class _Item:
    key: str
    name: str
    split: str
    start_s: float
    end_s: float | None
    place: str
    captions: list[str] = field(default_factory=list)


class CaptionRows:
    """Examples in the making: one for each picture, video or part of a video, in order of first appearance."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._items: dict[str, _Item] = {}
        self._keys: dict[tuple[str, float, float | None], str] = {}

    def declare(
        self, key: str, name: str, split: str, place: str, *, start_s: float = 0.0, end_s: float | None = None
    ) -> bool:
        """Say that there is a picture or video; again only if everything is the same.

        Args:
            key: What the data set calls it.
            name: Of its file, as the data set has it.
            split: `train`, `val` or `test`.
            place: File and line, or entry, for messages.
            start_s: Where the part of a video begins.
            end_s: Where it ends.

        Returns:
            Whether it agrees with what was said before.
        """
        part = (name, start_s, end_s)
        other = self._items.get(key) or self._items.get(self._keys.get(part, key))
        if other is None:
            self._items[key] = _Item(key, name, split, start_s, end_s, place)
            self._keys[part] = key
            return True
        if other.name != name:
            self._problems.add(place, f"{key} is {name} here, but {other.name} in {other.place}; keep one")
        elif other.split != split:
            self._problems.add(
                place, f"{name} is in {split} here, but in {other.split} in {other.place}; keep one split"
            )
        elif other.key != key:
            self._problems.add(place, f"{name} is {key} here, but {other.key} in {other.place}; keep one")
        else:
            return True
        return False

    def __contains__(self, key: str) -> bool:
        return key in self._items

    def add(self, key: str, caption: Any, place: str) -> None:
        """Add a caption of something declared."""
        if not isinstance(caption, str):
            self._problems.add(place, f"the caption is {caption!r}; expected text")
        elif not caption.strip():
            self._problems.add(place, "the caption is empty")
        elif any("\ud800" <= letter <= "\udfff" for letter in caption):
            self._problems.add(place, f"the caption {caption.strip()!r} holds half a character; write it as one")
        elif not tokenise(caption):
            self._problems.add(place, f"the caption {caption.strip()!r} holds no word")
        else:
            self._items[key].captions.append(composed(" ".join(caption.split())))

    def examples(self, find: Callable[[str, str], Path | None]) -> tuple[list[CaptionExample], tuple[str, ...]]:
        """Return the examples whose files are there, and warnings about what is left out.

        Args:
            find: From name and place to the file, or None after noting the problem.
        """
        examples, silent = [], []
        first: dict[tuple[str, float, float | None], _Item] = {}
        for item in self._items.values():
            if not item.captions:
                silent.append(item.name)
            elif path := find(item.name, item.place):
                other = first.setdefault((os.path.normpath(path), item.start_s, item.end_s), item)
                if other.split != item.split:
                    self._problems.add(
                        item.place, f"{item.name} is in {item.split}, but {path} is in {other.split} in {other.place}"
                    )
                    continue
                examples.append(
                    CaptionExample(path, tuple(item.captions), item.split, item.start_s, item.end_s, item.key)
                )
        warnings = (f"{len(silent)} without captions left out, the first is {silent[0]}",) if silent else ()
        return examples, warnings
