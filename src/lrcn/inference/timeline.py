"""Turn overlapping segments into one label at every moment, for a table, a chart or a strip under a video."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass

from lrcn.results import RecognitionResult, Segment


@dataclass(frozen=True)
class Stretch:
    """An uninterrupted part of a video that has one label, from `start_s` up to but not including `end_s`."""

    start_s: float
    end_s: float
    label: str
    label_id: int
    prob: float
    """Mean over the stretch, in 0-1."""


def timeline(result: RecognitionResult) -> tuple[Stretch, ...]:
    """Return stretches that follow each other without gap or overlap.

    Windows overlap, so a moment may lie in several segments: its label is the one with the highest mean probability
    over them (a label outside a segment's top list counts as 0 there). Neighbouring moments with one label are joined.
    """
    edges = sorted({time for segment in result.segments for time in (segment.start_s, segment.end_s)})
    segments = sorted(result.segments, key=lambda segment: segment.start_s)
    stretches: list[Stretch] = []
    covering: list[Segment] = []
    upcoming = 0
    for start_s, end_s in itertools.pairwise(edges):
        while upcoming < len(segments) and segments[upcoming].start_s <= start_s:
            covering.append(segments[upcoming])
            upcoming += 1
        covering = [segment for segment in covering if segment.end_s > start_s]
        if covering:
            _append(stretches, _moment(covering, start_s, end_s))
    return tuple(stretches)


def _moment(covering: list[Segment], start_s: float, end_s: float) -> Stretch:
    totals: dict[tuple[int, str], float] = defaultdict(float)
    for segment in covering:
        for entry in segment.top:
            totals[entry.label_id, entry.label] += entry.prob
    label_id, label = min(totals, key=lambda key: (-totals[key], key))
    return Stretch(start_s, end_s, label, label_id, totals[label_id, label] / len(covering))


def _append(stretches: list[Stretch], moment: Stretch) -> None:
    last = stretches[-1] if stretches else None
    if last is None or last.label_id != moment.label_id or last.end_s != moment.start_s:
        stretches.append(moment)
        return
    before, after = last.end_s - last.start_s, moment.end_s - moment.start_s
    prob = (last.prob * before + moment.prob * after) / (before + after)
    stretches[-1] = Stretch(last.start_s, moment.end_s, last.label, last.label_id, prob)
