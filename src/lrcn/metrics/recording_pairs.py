"""Two views of one recording, the truth and what is compared with it, and the time in which they can be compared.

Time is **known** where a bout lies or where the annotator looked. What is not known counts neither way: of a bout only
the parts in known time are compared.
"""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrcn.bouts import Bout, Recording, Span, overlap_s, union
from lrcn.errors import DataError

TICK_S = 0.1
"""Length of a tick, in seconds: frame-wise figures look at the middle of each, so that they ask for no frame rate."""

_ROUNDING = 1e-6
"""Of a tick: times that were written in decimals are not off by one tick."""


class Pair(NamedTuple):
    """One recording twice."""

    truth: Recording
    """What an annotator says."""
    other: Recording
    """What a model says of it, or a second annotator."""


class Part(NamedTuple):
    """What of a bout lies in known time, without interruption."""

    label: str
    start_s: float
    end_s: float
    prob: float
    """1 where nobody says how sure they are."""
    doubtful: bool
    """Whether less than half of its bout is in known time: if it matches nothing, nobody knows whether it is wrong."""


def pair_recordings(truths: Iterable[Recording], others: Iterable[Recording]) -> tuple[list[Pair], list[str]]:
    """Put recordings that two annotation files have in common together.

    They belong together where their names are equal, or else the names of their videos, with or without suffix.

    Returns:
        The pairs in the order of `truths`, and the names of those, of either side, that the other one does not have.

    Raises:
        DataError: If a name stands twice on one side.
    """
    truths, others = list(truths), list(others)
    partners: dict[int, int] = {}
    paired: set[int] = set()
    for key in _KEYS:
        ours = _by_key(key, [(place, one) for place, one in enumerate(truths) if place not in partners])
        theirs = _by_key(key, [(place, one) for place, one in enumerate(others) if place not in paired])
        for name in ours.keys() & theirs.keys():
            if len(ours[name]) > 1 or len(theirs[name]) > 1:
                raise DataError(f"{name}: several recordings have this name; give each a name of its own")
            partners[ours[name][0]] = theirs[name][0]
            paired.add(theirs[name][0])
    alone = [one.name for place, one in enumerate(truths) if place not in partners]
    alone += [one.name for place, one in enumerate(others) if place not in paired]
    return [Pair(truths[place], others[partners[place]]) for place in sorted(partners)], alone


_KEYS: tuple[Callable[[Recording], str], ...] = (
    lambda recording: recording.name,
    lambda recording: recording.path.name if recording.path else recording.name,
    lambda recording: recording.path.stem if recording.path else recording.name,
)


def _by_key(key: Callable[[Recording], str], places: list[tuple[int, Recording]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for place, recording in places:
        found.setdefault(key(recording), []).append(place)
    return found


def end_of(*recordings: Recording) -> float:
    """Return where a recording ends, in seconds: as one of its views says, else with the last of bouts and spans."""
    stated = [recording.duration_s for recording in recordings if recording.duration_s is not None]
    if stated:
        return stated[0]
    ends = [bout.end_s for recording in recordings for bout in recording.bouts]
    ends += [end_s for recording in recordings for _, end_s in recording.looked_at or () if math.isfinite(end_s)]
    return max(ends, default=0.0)


def known_time(recording: Recording, end_s: float) -> list[Span]:
    """Return where it is known what a recording shows, in order, up to its end."""
    spans = [*(recording.looked_at or ()), *((bout.start_s, bout.end_s) for bout in recording.bouts)]
    return union((max(0.0, start), min(end, end_s)) for start, end in spans)


def shared(one: Sequence[Span], other: Sequence[Span]) -> list[Span]:
    """Return what lies in both of two lists of spans, each in order and without overlap."""
    found: list[Span] = []
    i = j = 0
    while i < len(one) and j < len(other):
        start, end = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if start < end:
            found.append((start, end))
        if one[i][1] <= other[j][1]:
            i += 1
        else:
            j += 1
    return found


def parts(bouts: Iterable[Bout], known: Sequence[Span]) -> list[Part]:
    """Return what of the bouts lies in known time, by start; events without length have no part.

    Args:
        bouts: In any order.
        known: In order, without overlap.
    """
    ends = [end for _, end in known]
    found = []
    for bout in bouts:
        if bout.is_point:
            continue
        cut = []
        for start_s, end_s in known[bisect.bisect_right(ends, bout.start_s) :]:
            if start_s >= bout.end_s:
                break
            cut.append((max(start_s, bout.start_s), min(end_s, bout.end_s)))
        doubtful = 2 * sum(end - start for start, end in cut) < bout.duration_s
        prob = 1.0 if bout.prob is None else bout.prob
        found += [Part(bout.label, *span, prob, doubtful) for span in cut]
    return sorted(found, key=lambda part: (part.start_s, part.end_s, part.label))


def without_doubtful(found: Sequence[Part], truths: Sequence[Part]) -> list[Part]:
    """Return the parts without those that are doubtful and share no moment with a true one of their label."""
    return [
        part
        for part in found
        if not part.doubtful or any(true.label == part.label and overlap_s(part[1:3], true[1:3]) > 0 for true in truths)
    ]


def presence(spans: Iterable[Span], num_ticks: int, tick_s: float = TICK_S) -> NDArray[np.bool_]:
    """Return for each tick whether its middle lies in one of the spans, `(num_ticks,)`."""
    there = np.zeros(num_ticks, dtype=np.bool_)
    for start, end in spans:
        there[_tick(start, tick_s) : _tick(end, tick_s)] = True
    return there


def number_of_ticks(end_s: float, tick_s: float = TICK_S) -> int:
    """Return how many ticks have their middle before the end."""
    return _tick(end_s, tick_s)


def _tick(time_s: float, tick_s: float) -> int:
    """Return the first tick whose middle is not before a time."""
    return max(0, math.ceil(time_s / tick_s - 0.5 - _ROUNDING))


def label_presence(
    found: Sequence[Part], labels: Sequence[str], num_ticks: int, tick_s: float = TICK_S
) -> NDArray[np.bool_]:
    """Return which labels each tick shows, `(num_ticks, A)`."""
    columns = [presence([part[1:3] for part in found if part.label == label], num_ticks, tick_s) for label in labels]
    return np.stack(columns, axis=1) if columns else np.zeros((num_ticks, 0), dtype=np.bool_)


def all_labels(pairs: Iterable[Pair], labels: Sequence[str] | None) -> tuple[str, ...]:
    """Return the labels given, or those that occur on either side, those of the truth first.

    Raises:
        DataError: If a label is given twice.
    """
    if labels is None:
        pairs = list(pairs)
        said = [bout.label for place in (0, 1) for pair in pairs for bout in pair[place].bouts]
        return tuple(dict.fromkeys(said))
    twice = [label for label, count in Counter(labels).items() if count > 1]
    if twice:
        raise DataError(f"the label {twice[0]!r} is given twice; name each label once")
    return tuple(labels)
