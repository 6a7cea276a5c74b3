"""How a reader of a data set reports what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lrcn.errors import DataError, brief


class Problems:
    """Collects everything wrong with a data set, so that the user hears of it all at once."""

    def __init__(self, skip_missing: bool) -> None:
        self._lines: list[str] = []
        self._skip_missing = skip_missing

    def add(self, place: str, what: str) -> None:
        """Note a bad row; `place` names its file and line."""
        self._lines.append(brief(f"{place}: {what}"))

    def add_missing(self, place: str, name: str) -> None:
        """Note a row whose video is not there."""
        self.add(place, f"{name} not found")

    def check(self, num_examples: int, source: Path, what: str = "video") -> tuple[str, ...]:
        """Return warnings, after a reader has gone through everything.

        Args:
            num_examples: Examples that were found.
            source: Where they were looked for.
            what: What one example is.

        Raises:
            DataError: If a row is bad and none may be left out, or no example is left.
        """
        if self._lines and not self._skip_missing:
            what_else = ""
            if all(line.endswith("not found") for line in self._lines):
                what_else = f"; put the {what}s there, or leave such rows out with --skip-missing"
            raise DataError(first_of(self._lines) + what_else, tuple(self._lines))
        if num_examples == 0:
            why = f": {first_of(self._lines)}" if self._lines else ""
            raise DataError(f"{source}: no {what} to read{why}; check that they lie below this folder")
        return (f"left out: {first_of(self._lines)}",) if self._lines else ()


def first_of(lines: Sequence[str]) -> str:
    """Return the first line, with the number of the others."""
    return lines[0] + (f" ({len(lines) - 1} more)" if len(lines) > 1 else "")
