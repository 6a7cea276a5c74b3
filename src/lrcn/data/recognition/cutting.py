"""Recordings to examples: pieces in which the same is shown, and the frames that windows of each may see."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lrcn.bouts import BACKGROUND, Bout, Recording, Span, pieces, union
from lrcn.data.recognition.examples import TOGETHER, RecognitionExample
from lrcn.data.splits import SPLITS
from lrcn.errors import MediaError

TICK_S = 0.1
"""What overlaps by no more does so because borders are set by hand: a frame of the ten a second that are sampled."""

_LONGEST_S = 10.0
"""Longer pieces become several examples: each gives one random clip to a pass over the training examples."""

_LEAST_BACKGROUND_S = 0.5
"""A shorter pause between two bouts is no example of nothing: its windows show the bouts."""

_REACH = 0.25
"""How far windows reach over the borders of what they are examples of, in lengths of a window.

Of 0, a quarter and a half a quarter is best on recordings joined from the training clips of two real sets, people held
out: F1@50 of bouts 0.69, 0.72, 0.70 and 0.51, 0.57, 0.49.
"""

_CLOCK_TOLERANCE_S = 1e-3


@dataclass(frozen=True)
class Stretch:
    """A recording, or the part of one that lies in one split."""

    recording: Recording
    """Its bouts and the spans looked at lie in the stretch; its split is filled in."""
    within: Span
    """From when to when, in seconds."""
    group: str


def clipped(recording: Recording, within: Span, split: str) -> Recording:
    """Return what of a recording lies in a stretch of it; bouts across its borders are cut there."""
    start_s, end_s = within
    bouts = (
        replace(bout, start_s=max(bout.start_s, start_s), end_s=min(bout.end_s, end_s))
        for bout in recording.bouts
        if bout.start_s < end_s and (bout.end_s > start_s or bout.start_s >= start_s)
    )
    looked_at = recording.looked_at
    if looked_at is not None:
        looked_at = tuple(union((max(span[0], start_s), min(span[1], end_s)) for span in looked_at))
    return replace(recording, bouts=tuple(bouts), looked_at=looked_at, split=split)


def known_spans(recording: Recording) -> list[Span]:
    """Return the spans of which it is known what they show."""
    if recording.looked_at is not None:
        return list(recording.looked_at)
    return union((bout.start_s, bout.end_s) for bout in recording.bouts)


def shown_pieces(
    bouts: Sequence[Bout], looked_at: Sequence[Span] | None, *, several: bool
) -> Iterator[tuple[float, float, tuple[str, ...]]]:
    """Yield start, end and labels of the pieces of a recording that teach something; no label is background.

    Args:
        bouts: Of the recording.
        looked_at: As in `Recording`.
        several: Whether bouts of different labels may be shown at once; else what they share is left out.
    """
    whole = {(bout.start_s, bout.end_s) for bout in bouts}
    for start_s, end_s, labels in pieces(bouts, looked_at):
        labels = tuple(label for label in labels if label != BACKGROUND)
        if not labels and end_s - start_s < _LEAST_BACKGROUND_S:
            continue
        if len(labels) > 1 and not several:
            continue
        if labels and several and end_s - start_s < TICK_S and (start_s, end_s) not in whole:
            continue  # two borders that were meant to be one
        yield start_s, end_s, labels


def examples_of(stretches: Sequence[Stretch], *, several: bool) -> list[RecognitionExample]:
    """Return the examples of recordings, split by split, in the order of the stretches and of time.

    Long pieces become several examples of equal length. In each split there are about as many examples of background as
    of everything else, at most: where there is more of it they are the longer, and nothing is thrown away.
    """
    examples: list[RecognitionExample] = []
    for split in SPLITS:
        own = [stretch for stretch in stretches if stretch.recording.split == split]
        found = [
            (stretch, piece)
            for stretch in own
            for piece in shown_pieces(stretch.recording.bouts, stretch.recording.looked_at, several=several)
        ]
        num_shown = sum(_num_parts(piece, _LONGEST_S) for _, piece in found if piece[2])
        background_s = sum(piece[1] - piece[0] for _, piece in found if not piece[2])
        longest_s = max(_LONGEST_S, background_s / max(1, num_shown))
        for stretch, piece in found:
            start_s, end_s, labels = piece
            label = TOGETHER.join(labels) if several else labels[0] if labels else BACKGROUND
            path = stretch.recording.path
            assert path is not None
            borders = np.linspace(start_s, end_s, _num_parts(piece, _LONGEST_S if labels else longest_s) + 1)
            examples += [
                RecognitionExample(
                    path, label, split, first_s, last_s, stretch.group, stretch.within, stretch.recording.roi
                )
                for first_s, last_s in itertools.pairwise(borders.tolist())
            ]
    return examples


def _num_parts(piece: tuple[float, float, tuple[str, ...]], longest_s: float) -> int:
    return max(1, math.ceil((piece[1] - piece[0]) / longest_s - 1e-9))


def frames_of(example: RecognitionExample, times_s: NDArray[np.float64], clip_length: int) -> tuple[int, int]:
    """Return which frames of a recording, from the first up to but not including the last, clips are drawn from.

    They have the example in their middle: its own frames and a quarter of a clip before and after, or one clip where
    the example is shorter. At the border of the stretch that the example lies in, they are moved into it.

    Args:
        example: A piece of a recording.
        times_s: When each sampled frame of the recording is shown, `(T,)`.
        clip_length: Frames of a clip.

    Raises:
        MediaError: If the recording ends before the stretch or the example begins.
    """
    assert example.within is not None
    assert example.end_s is not None
    borders = np.array([example.start_s, example.end_s, *example.within]) - _CLOCK_TOLERANCE_S
    first, last, low, high = np.searchsorted(times_s, borders).tolist()
    step_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else TICK_S
    # the file may be cut short, and hold less than it says
    if high <= low or example.start_s > times_s[-1] + step_s + _CLOCK_TOLERANCE_S:
        ends_s = times_s[-1] if len(times_s) else 0.0
        raise MediaError(f"{example.path}: ends at {ends_s:g} s, and {example.label!r} is said to be after that")
    length = min(max(clip_length, last - first + 2 * int(_REACH * clip_length)), high - low)
    start = max(low, min((first + last - length) // 2, high - length))
    return start, start + length
