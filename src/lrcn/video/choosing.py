"""Which frames of a video are wanted: all in an interval, or those shown at given times."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from lrcn.video.footage import TimedFrame

CLOCK_TOLERANCE_S = 1e-3
"""A frame counts as shown this long before its time stamp, because Matroska rounds stamps to milliseconds."""


class Shown:
    """Frames with the times at which they disappear again: when the next one comes, or the last one's duration ends."""

    def __init__(self, frames: Iterator[TimedFrame], start_s: float = 0.0) -> None:
        self._frames = frames
        self.start_s = start_s
        """From when on frames are asked for."""
        self.end_s = 0.0
        """When the last frame asked for disappears."""
        self.ended = False
        """Whether that is the end of the video."""

    def __iter__(self) -> Iterator[tuple[TimedFrame, float]]:
        frame = next(self._frames, None)
        while frame is not None:
            following = next(self._frames, None)
            self.end_s = following.time_s if following else frame.time_s + frame.duration_s
            self.ended = following is None
            yield frame, self.end_s
            frame = following


class Chosen(NamedTuple):
    """A frame that is wanted."""

    time_s: float
    """The time asked for, or that of the frame itself."""
    until_s: float
    """When the next one follows, or the part asked for ends."""
    frame: TimedFrame
    number: int
    """Frames decoded before it."""


def each_frame(shown: Shown, start_s: float, limit_s: float) -> Iterator[Chosen]:
    """Choose every frame that begins in the interval, or the one that fills it."""
    filling: Chosen | None = None
    for number, (frame, until_s) in enumerate(shown):
        if frame.time_s >= limit_s - CLOCK_TOLERANCE_S and frame.time_s > start_s:
            break
        if frame.time_s >= start_s - CLOCK_TOLERANCE_S:
            filling = None
            yield Chosen(frame.time_s, min(until_s, limit_s), frame, number)
        elif until_s > start_s:
            filling = Chosen(frame.time_s, min(until_s, limit_s), frame, number)
    if filling is not None:
        yield filling


def frames_at(shown: Shown, times_s: Iterator[float], limit_s: float) -> Iterator[Chosen]:
    """Choose the frame shown at each sampling time; these rise without end."""
    clock = itertools.pairwise(times_s)
    first = time_s, following_s = next(clock)
    filling = None  # what is shown at the start, for parts too short for the clock
    empty = True
    for number, (frame, until_s) in enumerate(shown):
        filling = (frame, number) if until_s > first[0] >= frame.time_s else filling
        last_s = min(until_s, limit_s) - CLOCK_TOLERANCE_S
        while time_s < last_s:
            empty = False
            yield Chosen(time_s, min(following_s, limit_s), frame, number)
            time_s, following_s = next(clock)
        if until_s >= limit_s:
            break
    if empty and filling is not None:
        yield Chosen(first[0], min(first[1], limit_s), *filling)
