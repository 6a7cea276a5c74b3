"""What readers of annotations share: options, the log of what could not be read, numbers as people write them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from lrcn.annotations.media import MediaFinder
from lrcn.bouts import WHOLE, Annotations, Bout, Recording, Skipped, Span, labels_of, without
from lrcn.errors import DataError, brief

LookedAt = Literal["auto", "whole", "bouts"]
"""What the annotator went through: what the format says, every recording from start to end, or the bouts only."""


@dataclass(frozen=True)
class ReadOptions:
    """How a file is read."""

    media: MediaFinder
    """Finds the videos that the file names."""
    looked_at: LookedAt = "auto"
    fps: float | None = None
    """Frame rate of the videos, for formats that count frames, where neither file nor video tells it."""


@dataclass
class Log:
    """What a reader met in one file, apart from bouts."""

    name: str
    """Of the file, for the places of messages."""
    skipped: list[Skipped] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    num_events: int = 0
    num_copies: int = 0

    def skip(self, place: str, reason: str) -> None:
        """Note an event that does not become a bout; `place` says where in the file."""
        self.skipped.append(Skipped(brief(f"{self.name} {place}"), brief(reason)))

    def warn(self, place: str, text: str) -> None:
        """Note something else that is wrong; `place` may be empty."""
        self.warnings.append(brief(f"{self.name} {place}: {text}" if place else f"{self.name}: {text}"))

    def annotations(self, recordings: Iterable[Recording], labels: Sequence[str] | None = None) -> Annotations:
        """Return what was read.

        Args:
            recordings: Their bouts may be in any order.
            labels: Behaviours that the file lists; None for those that occur.
        """
        recordings = tuple(recordings)
        return Annotations(
            self.name,
            recordings,
            tuple(dict.fromkeys((*(labels or ()), *labels_of(recordings)))),
            tuple(self.skipped),
            self.num_events,
            self.num_copies,
            tuple(self.warnings),
        )


def in_order(bouts: Iterable[Bout]) -> tuple[Bout, ...]:
    """Return bouts by their starts, then ends, then labels and subjects."""
    return tuple(sorted(bouts, key=lambda bout: (bout.start_s, bout.end_s, bout.label, bout.subject)))


def looked_at(
    stated: Sequence[Span] | None, choice: LookedAt, *, unknown: Iterable[Span] = ()
) -> tuple[Span, ...] | None:
    """Return what the annotator went through.

    Args:
        stated: What the format says; None where it does not.
        choice: What the user says.
        unknown: Spans of events that could not be read: what is shown there is not known.
    """
    if choice == "bouts":
        return None
    spans = WHOLE if choice == "whole" else stated
    return None if spans is None else tuple(without(spans, unknown)) or None


_CLOCK = re.compile(r"(-?)(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:[.,]\d*)?)")


def seconds(value: object) -> float:
    """Return a time in seconds; `1:02:03.5` is read too, and a comma for the point.

    Raises:
        DataError: If it is no finite number.
    """
    number = math.nan
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = _float(value)
    elif isinstance(value, str):
        text = value.strip()
        number = _float(text)
        if math.isnan(number) and (match := _CLOCK.fullmatch(text)):
            sign, hours, minutes, rest = match.groups()
            number = 3600.0 * int(hours or 0) + 60.0 * int(minutes) + float(rest.replace(",", "."))
            number = -number if sign else number
        elif math.isnan(number) and text.count(",") == 1 and "." not in text:
            number = _float(text.replace(",", "."))
    if not math.isfinite(number):
        raise DataError(f"{value!r} is no time in seconds; correct it")
    return number


def number(value: object) -> float | None:
    """Return a number that may be missing, such as a frame rate or a length: None where it is none above 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    found = _float(value)
    return found if 0 < found < math.inf else None


def _float(value: int | float | str) -> float:
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def rounded(time_s: float) -> float:
    """Return a time without the noise of sums and differences of decimals, to the microsecond."""
    return round(time_s, 6)


def checked(start: object, end: object) -> tuple[float, float]:
    """Return start and end of a bout.

    Raises:
        DataError: If one is no time, the start lies before zero, or the end before the start.
    """
    start_s, end_s = seconds(start), seconds(end)
    if start_s < 0:
        raise DataError(f"starts at {start_s:g} s, before the recording does; correct the time or the offset")
    if end_s < start_s:
        raise DataError(f"stops at {end_s:g} s, before its start at {start_s:g} s; correct one of them")
    return start_s, end_s
