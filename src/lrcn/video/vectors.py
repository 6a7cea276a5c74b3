"""Ready vectors in place of pictures: a row of values for each frame of a recording, such as where body parts are.

Shapes: T rows, D values, N sampled frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrcn.video.choosing import CLOCK_TOLERANCE_S

_MOST_MISSING = 0.5
"""Share of values that may be missing before it is said."""


class SampledVectors(NamedTuple):
    """What a network reads of a recording, or of a part of it."""

    values: NDArray[np.float32]
    """`(N, D)`, each a number."""
    times_s: NDArray[np.float64]
    """`(N,)`, from the start of the recording."""
    end_s: float
    """When the last of them gives way to the next, or ends with the recording or the part."""


@dataclass(frozen=True)
class Vectors:
    """The vectors of a recording."""

    values: NDArray[np.float32]
    """`(T, D)`, T and D at least 1; nan where nothing is known."""
    times_s: NDArray[np.float64]
    """When each row begins, `(T,)`: rising, from the start of the recording."""
    end_s: float
    """When the last of them ends."""
    names: tuple[str, ...]
    """D of them, all different."""

    @cached_property
    def held(self) -> NDArray[np.float32]:
        """The values `(T, D)` without gaps.

        What is missing keeps the last value known before it, or the first one where there is none before; 0 where
        nothing is known of a value in the whole recording.
        """
        known = ~np.isnan(self.values)
        rows = np.arange(len(self.values))[:, None]
        last = np.maximum.accumulate(np.where(known, rows, -1), axis=0)
        places = np.where(last >= 0, last, known.argmax(axis=0))
        return np.nan_to_num(np.take_along_axis(self.values, places, axis=0), nan=0.0)

    def sampled(self, sample_fps: float | None, start_s: float = 0.0, end_s: float | None = None) -> SampledVectors:
        """Return the rows that are shown at `start_s`, `start_s + 1 / sample_fps`, ... before the end.

        As in videos, what is shown at a time is the last row that begins no later (to a millisecond), and the first one
        before that. None takes every row once. Where none begins in a part it is the one shown at its start.

        Raises:
            ValueError: If the recording ends before `start_s`.
        """
        last_s = self.end_s if end_s is None else min(end_s, self.end_s)
        if last_s <= start_s:
            raise ValueError(f"nothing between {start_s:g} s and {last_s:g} s; it ends at {self.end_s:g} s")
        if sample_fps is None:
            first, last = np.searchsorted(self.times_s, [start_s - CLOCK_TOLERANCE_S, last_s - CLOCK_TOLERANCE_S])
            if first < last:
                times_s = self.times_s[first:last]
                return SampledVectors(self.held[first:last], times_s, last_s)
        count = 1 if sample_fps is None else math.ceil((last_s - start_s - CLOCK_TOLERANCE_S) * sample_fps)
        times_s = start_s + np.arange(max(1, count)) / (sample_fps or 1.0)
        shown = np.searchsorted(self.times_s, times_s + CLOCK_TOLERANCE_S, side="right") - 1
        return SampledVectors(self.held[np.maximum(shown, 0)], times_s, last_s)

    def select(self, names: tuple[str, ...]) -> Vectors:
        """Return these values, by name and in this order; `KeyError` with the first name that is not there."""
        if names == self.names:
            return self
        place = {name: number for number, name in enumerate(self.names)}
        return Vectors(self.values[:, [place[name] for name in names]], self.times_s, self.end_s, names)

    def complaints(self) -> list[str]:
        """Return what a user would want to know of what is missing."""
        missing: NDArray[np.bool_] = np.isnan(self.values)
        said = []
        if missing.mean() > _MOST_MISSING:
            said.append(f"{missing.mean():.0%} of its values are missing, and stay what they were before")
        if never := [self.names[number] for number in np.flatnonzero(missing.all(axis=0))]:
            more = f" ({len(never) - 1} more)" if len(never) > 1 else ""
            said.append(f"{never[0]!r} is never known{more}, and read as 0")
        return said
