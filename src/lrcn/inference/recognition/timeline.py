"""Turn overlapping segments into one label at every moment, for a table, a chart or a strip under a video."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from lrcn.bouts import Bout, pieces
from lrcn.results import RecognitionResult


@dataclass(frozen=True)
class Stretch:
    """An uninterrupted part of a video that has one label, from `start_s` up to but not including `end_s`."""

    start_s: float
    end_s: float
    label: str
    label_id: int
    prob: float
    """Mean over the stretch, in 0-1."""
    known: bool = True
    """Whether the model can tell that it shows this class."""


def timeline(result: RecognitionResult) -> tuple[Stretch, ...]:
    """Return stretches that follow each other without gap or overlap.

    Windows overlap, so a moment may lie in several segments: it gets the label of the one whose middle is nearest.
    Neighbouring moments with one label are joined, if all of them are known or none is.
    """
    segments = result.segments
    middles = [(segment.start_s + segment.end_s) / 2 for segment in segments]
    borders = [segments[0].start_s, *((a + b) / 2 for a, b in itertools.pairwise(middles)), segments[-1].end_s]
    stretches: list[Stretch] = []
    for segment, (start_s, end_s) in zip(segments, itertools.pairwise(borders), strict=True):
        best = segment.top[0]
        last = stretches[-1] if stretches else None
        if last is None or (last.label_id, last.known) != (best.label_id, segment.known):
            stretches.append(Stretch(start_s, end_s, best.label, best.label_id, best.prob, segment.known))
            continue
        before, here = last.end_s - last.start_s, end_s - start_s
        prob = (last.prob * before + best.prob * here) / (before + here)
        stretches[-1] = Stretch(last.start_s, end_s, last.label, last.label_id, prob, last.known)
    return tuple(stretches)


NO_BOUT = -1
"""`label_id` of a stretch in which there is no bout, or several at once."""


def bout_timeline(bouts: Sequence[Bout], labels: Sequence[str], duration_s: float) -> tuple[Stretch, ...]:
    """Return stretches that follow each other without gap or overlap, cut at the borders of bouts.

    Where several are shown at once the label names all, and the probability is that of the least sure. Where none is,
    the label is empty.
    """
    stretches = []
    waiting = sorted(bouts, key=lambda bout: bout.start_s, reverse=True)
    now: list[Bout] = []
    for start_s, end_s, shown in pieces(bouts, [(0.0, duration_s)]):
        while waiting and waiting[-1].start_s < end_s:
            now.append(waiting.pop())
        now = [bout for bout in now if bout.end_s > start_s]
        probs = [bout.prob or 0.0 for bout in now]
        label_id = labels.index(shown[0]) if len(shown) == 1 else NO_BOUT
        stretches.append(Stretch(start_s, end_s, " + ".join(shown), label_id, min(probs, default=0.0)))
    return tuple(stretches)
