"""Who did what, how often and for how long: time budgets and transitions, as BORIS counts them.

Of any bouts, whoever found them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, stdev

from lrcn.bouts import Bout, Recording, Span, labels_of, overlap_s, union
from lrcn.errors import ConfigError


@dataclass(frozen=True)
class BudgetRow:
    """What a subject did of one behaviour in a stretch of a recording; None where there is nothing to count.

    Of a bout that reaches beyond a time bin only what lies inside counts. What lies past the end that the recording is
    said to have counts nevertheless, as in BORIS: no bout is lost.
    """

    recording: str
    subject: str
    """Empty where the annotation names nobody."""
    label: str
    start_s: float
    """Of the stretch: the whole recording, or a time bin."""
    end_s: float | None
    """None where nobody says how long the recording is."""
    count: int
    """Bouts and events without length."""
    total_s: float | None
    """Time spent; None where all are events without length."""
    mean_s: float | None
    """Mean duration; 0 where there is no bout, as BORIS says."""
    deviation_s: float | None
    """Standard deviation of the durations, with one less in the denominator; of two bouts or more."""
    between_mean_s: float | None
    """Mean of the times from the end of one to the start of the next; of two bouts or more."""
    between_deviation_s: float | None
    """Standard deviation of those times; of three bouts or more."""
    latency_s: float | None
    """From the start of what was looked at in the stretch to the first."""
    percent: float | None
    """Time spent as a share of what was looked at in the stretch; None where it is not known how much that is."""


@dataclass(frozen=True)
class TransitionRow:
    """How often a subject went over from one behaviour to another, or started the same one again."""

    recording: str
    subject: str
    """Empty where the annotation names nobody."""
    before: str
    after: str
    count: int
    """Times that a bout of `after` was the next to start after one of `before`."""
    share: float | None
    """Of all transitions from `before`, in 0-1; None where there is none."""


def time_budget(
    recordings: Iterable[Recording], labels: Sequence[str] | None = None, *, bin_s: float | None = None
) -> list[BudgetRow]:
    """Return a row for each recording, subject of it, time bin and label, also for what never occurs.

    Examples:
        >>> from lrcn.bouts import Bout, Recording
        >>> bouts = (Bout("groom", 2.0, 6.0), Bout("groom", 8.0, 10.0))
        >>> (row,) = time_budget([Recording("mouse1", None, bouts, looked_at=((0.0, 20.0),))])
        >>> row.count, row.total_s, row.mean_s, row.between_mean_s, row.latency_s, row.percent
        (2, 6.0, 3.0, 2.0, 2.0, 30.0)

    Args:
        recordings: With bouts by anybody.
        labels: The behaviours; None for those that occur in any of the recordings.
        bin_s: Length of time bins, in seconds, from the start of the recording; None for one row over all of it. A bout
            that reaches into several bins counts in each of them, with its part.

    Raises:
        ConfigError: If `bin_s` is not above 0.
    """
    if bin_s is not None and not (bin_s > 0 and math.isfinite(bin_s)):
        raise ConfigError(f"a time bin must be longer than 0 seconds, got {bin_s}")
    recordings = list(recordings)
    labels = labels_of(recordings) if labels is None else labels
    return [
        _row(recording, subject, label, stretch)
        for recording in recordings
        for subject in _subjects(recording)
        for stretch in _stretches(recording, bin_s)
        for label in labels
    ]


def transitions(recordings: Iterable[Recording], labels: Sequence[str] | None = None) -> list[TransitionRow]:
    """Return the transition matrix of each recording and subject, a cell a row: as many rows as pairs of labels.

    What counts is the order of the starts; of two that start together the one that ends first comes first. Where the
    recording says what was looked at, nothing goes over from one of its spans to the next.

    Args:
        recordings: With bouts by anybody.
        labels: The behaviours, others are passed over; None for those that occur in any of the recordings.
    """
    recordings = list(recordings)
    labels = labels_of(recordings) if labels is None else labels
    rows = []
    for recording in recordings:
        for subject in _subjects(recording):
            counts = _transitions(recording, subject, labels)
            for before in labels:
                total = sum(counts[before, after] for after in labels)
                for after in labels:
                    count = counts[before, after]
                    share = count / total if total else None
                    rows.append(TransitionRow(recording.name, subject, before, after, count, share))
    return rows


def _subjects(recording: Recording) -> list[str]:
    """Return the subjects in alphabetical order, also idle ones; one without a name where none is named."""
    return sorted({*(bout.subject for bout in recording.bouts), *recording.idle_subjects}) or [""]


def _end(recording: Recording) -> float | None:
    if recording.duration_s is not None:
        return recording.duration_s
    end_s = max((end for _, end in recording.looked_at or ()), default=math.inf)
    return end_s if math.isfinite(end_s) else None


def _stretches(recording: Recording, bin_s: float | None) -> list[tuple[float, float | None]]:
    end_s = _end(recording)
    if bin_s is None:
        return [(0.0, end_s)]
    last_s = max((bout.end_s for bout in recording.bouts), default=0.0) if end_s is None else end_s
    count = max(1, math.ceil(last_s / bin_s - 1e-9))
    ends = [bin_s * number for number in range(1, count)] + [bin_s * count if end_s is None else end_s]
    return [(bin_s * number, end) for number, end in enumerate(ends)]


def _row(recording: Recording, subject: str, label: str, stretch: tuple[float, float | None]) -> BudgetRow:
    start_s, stated_end_s = stretch
    end_s = math.inf if stated_end_s is None or stated_end_s == _end(recording) else stated_end_s
    inside = sorted(
        (
            Bout(label, max(start_s, bout.start_s), min(end_s, bout.end_s))
            for bout in recording.bouts
            if (bout.label, bout.subject) == (label, subject) and _reaches_into(bout, start_s, end_s)
        ),
        key=lambda bout: (bout.start_s, bout.end_s),
    )
    durations = [bout.duration_s for bout in inside]
    between = [after.start_s - before.end_s for before, after in pairwise(inside)]
    only_points = bool(inside) and all(bout.is_point for bout in inside)
    total_s = None if only_points else math.fsum(durations)
    looked_at = _looked_at(recording, start_s, math.inf if stated_end_s is None else stated_end_s)
    looked_at_s = None if looked_at is None else math.fsum(end - start for start, end in looked_at)
    first_s = looked_at[0][0] if looked_at else start_s
    return BudgetRow(
        recording=recording.name,
        subject=subject,
        label=label,
        start_s=start_s,
        end_s=stated_end_s,
        count=len(inside),
        total_s=total_s,
        mean_s=None if only_points else fmean(durations or [0.0]),
        deviation_s=stdev(durations) if len(durations) > 1 and not only_points else None,
        between_mean_s=fmean(between) if between else None,
        between_deviation_s=stdev(between) if len(between) > 1 else None,
        latency_s=max(0.0, inside[0].start_s - first_s) if inside else None,
        percent=100 * total_s / looked_at_s if total_s is not None and looked_at_s else None,
    )


def _reaches_into(bout: Bout, start_s: float, end_s: float) -> bool:
    if bout.is_point:
        return start_s <= bout.start_s < end_s
    return overlap_s((bout.start_s, bout.end_s), (start_s, end_s)) > 0


def _looked_at(recording: Recording, start_s: float, end_s: float) -> list[Span] | None:
    """Return what was looked at in a stretch; None where it is not said, or has no end."""
    if recording.looked_at is None:
        return None
    spans = union((max(start_s, start), min(end_s, end)) for start, end in recording.looked_at)
    return None if spans and math.isinf(spans[-1][1]) else spans


def _transitions(recording: Recording, subject: str, labels: Sequence[str]) -> Counter[tuple[str, str]]:
    bouts = sorted(
        (bout for bout in recording.bouts if bout.subject == subject and bout.label in labels),
        key=lambda bout: (bout.start_s, bout.end_s),
    )
    spans = union(recording.looked_at) if recording.looked_at is not None else [(-math.inf, math.inf)]
    counts: Counter[tuple[str, str]] = Counter()
    for before, after in pairwise(bouts):
        if any(start <= before.start_s and after.start_s <= end for start, end in spans):
            counts[before.label, after.label] += 1
    return counts
