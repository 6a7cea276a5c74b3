"""Pair the events that start a behaviour with those that stop it, and count them without pairing."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

from lrcn.annotations.observations import Observed
from lrcn.bouts import Bout, Span

START, STOP, POINT = "START", "STOP", "POINT"


@dataclass(frozen=True)
class Mark:
    """One logged event."""

    time_s: float
    label: str
    subject: str
    modifiers: tuple[str, ...]
    comment: str
    place: str
    status: str = ""
    """`START`, `STOP` or `POINT`; empty where every second event of a behaviour stops it."""

    @property
    def key(self) -> tuple[str, str, tuple[str, ...]]:
        """What start and stop have in common."""
        return self.label, self.subject, self.modifiers


def paired(marks: Iterable[Mark], skip: Callable[[str, str], None]) -> tuple[list[Observed], list[Span]]:
    """Return events with start and end, and the spans in which something is not known.

    Args:
        marks: In the order of time.
        skip: Takes place and reason of an event that has no partner.
    """
    events: list[Observed] = []
    unknown: list[Span] = []
    started: dict[Hashable, Mark] = {}

    def never_stopped(mark: Mark, until_s: float) -> None:
        skip(mark.place, f"{_named(mark)} starts at {mark.time_s:g} s and is never stopped; add its stop event")
        unknown.append((mark.time_s, until_s))

    for mark in marks:
        if mark.status == POINT:
            events.append(Observed(_bout(mark, mark), mark.place))
            continue
        before = started.pop(mark.key, None)
        if mark.status == STOP and before is None:
            skip(mark.place, f"{_named(mark)} stops at {mark.time_s:g} s and was never started; add its start event")
            unknown.append((0.0, mark.time_s))
        elif before is not None and mark.status != START:
            events.append(Observed(_bout(before, mark), before.place))
        else:
            if before is not None:
                never_stopped(before, mark.time_s)
            started[mark.key] = mark
    for mark in started.values():
        never_stopped(mark, math.inf)
    return events, unknown


def num_events(statuses: Iterable[tuple[Hashable, str]]) -> int:
    """Return how many events there are, from key and status of each mark in the order of time, without pairing them.

    A point is one; of the others one begins with each start, and with each stop that follows no start.
    """
    points = 0
    marks: dict[Hashable, str] = defaultdict(str)
    for key, status in statuses:
        if status == POINT:
            points += 1
        else:
            marks[key] += {START: "<", STOP: ">", "": "|"}[status]
    counts = Counter(mark for row in marks.values() for mark in row)
    pairs = sum(row.count("<>") for row in marks.values())
    halves = sum((row.count("|") + 1) // 2 for row in marks.values())
    return points + counts["<"] + counts[">"] - pairs + halves


def _bout(start: Mark, stop: Mark) -> Bout:
    comment = "; ".join(dict.fromkeys(text for text in (start.comment, stop.comment) if text))
    return Bout(start.label, start.time_s, stop.time_s, start.subject, start.modifiers, comment)


def _named(mark: Mark) -> str:
    more = "".join(f" of {mark.subject!r}" if mark.subject else "")
    return f"{mark.label!r}{more}" + (f" ({', '.join(mark.modifiers)})" if mark.modifiers else "")
