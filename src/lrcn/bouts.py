"""Bouts: what is shown in a recording, from when to when, as annotators write it and models say it.

Standard library only. Times are seconds from the start of the recording's file; a bout lasts from `start_s` up to but
not including `end_s`.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

BACKGROUND = "background"
"""What is shown where the annotator looked and saw no behaviour."""

Span = tuple[float, float]
"""From a time up to but not including another, in seconds."""

Region = tuple[int, int, int, int]
"""Left, top, width and height of a part of the picture, in px, upright as players show it."""

WHOLE: tuple[Span, ...] = ((0.0, math.inf),)
"""From the first frame to the end of the file, however long that is."""


@dataclass(frozen=True)
class Bout:
    """A behaviour without interruption; where `end_s` is `start_s`, an event without length (a point event)."""

    label: str
    start_s: float
    end_s: float
    subject: str = ""
    """Who shows it; empty where the annotation names nobody."""
    modifiers: tuple[str, ...] = ()
    """What the annotator added to the behaviour's name, such as the object it is directed at."""
    comment: str = ""
    prob: float | None = None
    """How sure the model is, in 0-1; None where a person says it."""

    @property
    def duration_s(self) -> float:
        """Seconds from start to end; 0 of a point event."""
        return self.end_s - self.start_s

    @property
    def is_point(self) -> bool:
        """Whether it has no length."""
        return self.end_s <= self.start_s


@dataclass(frozen=True)
class Recording:
    """One recording and what is known of it."""

    name: str
    """As the annotation file calls it: an observation, a task, or the video's file name."""
    path: Path | None
    """The video; None where the annotation names none."""
    bouts: tuple[Bout, ...]
    """In the order of their starts."""
    looked_at: tuple[Span, ...] | None = None
    """The spans that the annotator went through, in order, without overlap: what no bout covers there is
    `BACKGROUND`. None where it is not said that anything was finished: then only the bouts themselves are known, and
    what lies between them is not looked at. An end of `inf` is the end of the file."""
    duration_s: float | None = None
    """Of the video, as the annotation states it."""
    fps: float | None = None
    """Frame rate of the video, as the annotation states it."""
    offset_s: float = 0.0
    """What was subtracted from the annotation's times to make them the video's: writers add it again."""
    split: str = ""
    """`train`, `val` or `test`; empty where the annotation does not say."""
    group: str = ""
    """Animal, person or place: no group should lie in two splits; empty where the annotation does not say."""
    roi: Region | None = None
    """Where in the picture to look; None for all of it."""
    idle_subjects: tuple[str, ...] = ()
    """Who was watched and shows nothing: named by the annotation, or followed by a tracker, without any bout."""

    def watching(self, subjects: Iterable[str]) -> Recording:
        """Return the recording with those of the subjects, beside its own, that have no bout."""
        active = {bout.subject for bout in self.bouts}
        idle = dict.fromkeys((*self.idle_subjects, *subjects))
        return replace(self, idle_subjects=tuple(subject for subject in idle if subject and subject not in active))


@dataclass(frozen=True)
class Skipped:
    """An event of an annotation file that did not become a bout."""

    place: str
    """File and line, row or entry."""
    reason: str
    """What was wrong, and what to do."""


@dataclass(frozen=True)
class Annotations:
    """What an annotation file says, or several do."""

    name: str
    recordings: tuple[Recording, ...]
    labels: tuple[str, ...]
    """Every behaviour that the annotators looked for, also those that never occur; in the file's order."""
    skipped: tuple[Skipped, ...] = ()
    """One entry an event. With the bouts they account for every event of the file: `num_events` is the number of bouts
    without `num_copies`, and of these."""
    num_events: int = 0
    """Events that the file holds, counted on their own while reading; what starts and stops is one event."""
    num_copies: int = 0
    """Bouts beyond the first of an event: where it lies in several files, or several cameras saw it."""
    warnings: tuple[str, ...] = ()
    """What else is wrong: file and entry, what, and what to do."""

    @property
    def num_bouts(self) -> int:
        """Bouts of all recordings."""
        return sum(len(recording.bouts) for recording in self.recordings)

    def counts(self) -> dict[str, int]:
        """Return the number of bouts of each of the labels."""
        counts = Counter(bout.label for recording in self.recordings for bout in recording.bouts)
        return {label: counts[label] for label in self.labels}


def labels_of(recordings: Iterable[Recording]) -> tuple[str, ...]:
    """Return the labels that occur, in the order in which they first do."""
    return tuple(dict.fromkeys(bout.label for recording in recordings for bout in recording.bouts))


def union(spans: Iterable[Span]) -> list[Span]:
    """Return the spans in order, those that touch or overlap joined, those without length left out."""
    joined: list[Span] = []
    for start_s, end_s in sorted(spans):
        if end_s <= start_s:
            continue
        if joined and start_s <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end_s))
        else:
            joined.append((start_s, end_s))
    return joined


def without(spans: Iterable[Span], holes: Iterable[Span]) -> list[Span]:
    """Return what is left of the spans outside the holes, as `union` does."""
    left = union(spans)
    for hole_start_s, hole_end_s in union(holes):
        left = [
            part
            for start_s, end_s in left
            for part in ((start_s, min(end_s, hole_start_s)), (max(start_s, hole_end_s), end_s))
            if part[0] < part[1]
        ]
    return left


def overlap_s(one: Span, other: Span) -> float:
    """Return the seconds that two spans share."""
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0]))


def pieces(bouts: Sequence[Bout], looked_at: Sequence[Span] | None) -> list[tuple[float, float, tuple[str, ...]]]:
    """Cut a recording at every start and end of a bout: what is shown in each piece.

    Args:
        bouts: Those with a length count; in any order, overlapping or not.
        looked_at: As in `Recording`.

    Returns:
        Start, end and the labels shown, in alphabetical order, each once; of pieces without a label only those that
        were looked at. Pieces lie in order and do not overlap; neighbours that touch differ in their labels.
    """
    known = union(looked_at if looked_at is not None else [(bout.start_s, bout.end_s) for bout in bouts])
    borders = sorted(
        {time_s for bout in bouts for time_s in (bout.start_s, bout.end_s)}
        | {time_s for span in known for time_s in span}
    )
    waiting = sorted((bout for bout in bouts if not bout.is_point), key=lambda bout: bout.start_s)
    shown: list[Bout] = []
    cut: list[tuple[float, float, tuple[str, ...]]] = []
    place = 0
    for start_s, end_s in itertools.pairwise(borders):
        shown = [bout for bout in shown if bout.end_s > start_s]
        while place < len(waiting) and waiting[place].start_s <= start_s:
            shown.append(waiting[place])
            place += 1
        labels = tuple(sorted({bout.label for bout in shown}))
        if not labels and not any(span[0] <= start_s < span[1] for span in known):
            continue
        if cut and cut[-1][1] == start_s and cut[-1][2] == labels:
            cut[-1] = (cut[-1][0], end_s, labels)
        else:
            cut.append((start_s, end_s, labels))
    return cut


def overlap_each_other(bouts: Sequence[Bout], *, tolerance_s: float = 0.0) -> list[tuple[Bout, Bout]]:
    """Return the pairs of bouts of different labels that share more than `tolerance_s` seconds, by start."""
    found: list[tuple[Bout, Bout]] = []
    open_bouts: list[Bout] = []
    for bout in sorted(bouts, key=lambda bout: (bout.start_s, bout.end_s)):
        open_bouts = [other for other in open_bouts if other.end_s > bout.start_s]
        found += [
            (other, bout)
            for other in open_bouts
            if other.label != bout.label
            and overlap_s((other.start_s, other.end_s), (bout.start_s, bout.end_s)) > tolerance_s
        ]
        open_bouts.append(bout)
    return found
