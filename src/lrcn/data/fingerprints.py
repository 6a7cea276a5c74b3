"""Find videos that show the same though their bytes differ: encoded anew, or scaled.

A fingerprint is a few frames of 8 x 8 cells. What changes between them is compared apart from what stays: recordings of
one arena by one camera look alike, and only the animal in it tells them apart.
"""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrcn.video.resize import Frames

NUM_FRAMES = 8
"""Frames of a fingerprint."""

_SIDE = 8
"""Cells a side: coarse enough that neither codecs nor sizes show."""

_GREY = np.array([0.299, 0.587, 0.114], np.float32)

_SAME_CHANGE = 0.8
"""Least correlation of what changes. Copies at a quarter of the bits or at another frame rate reach 0.87 and more;
different rendered clips reach 0.66 where cameras move, and 0.2 where they stand."""

_SAME_LOOK = 8.0
"""Largest difference of what stays, root mean square in levels of 0-255: colours may be off by a matrix."""

_STILL = 0.15
"""A video whose cells change by less, in levels as above, is still: what changes is the codec's noise."""

_SAME_STILL = 3.0
"""Largest difference of stills, as `_SAME_LOOK`: nothing else tells them apart."""

_BLOCK = 512


@dataclass(frozen=True)
class Fingerprint:
    """What a video looks like."""

    duration_s: float
    frames: dict[int, NDArray[np.float32]]
    """Power of two -> cells `(NUM_FRAMES, 8, 8, 3)` in 0-255, that many seconds apart from the first frame on."""


def powers(duration_s: float) -> set[int]:
    """Return the powers of two by which the frames of a video lie apart.

    Two videos that are equally long, but for `tolerance_s`, have one in common. The eight frames span half of the
    video at least.
    """
    ends_s = (duration_s, duration_s + tolerance_s(duration_s))
    return {math.floor(math.log2(end_s / NUM_FRAMES)) for end_s in ends_s}


def sampling_times_s(duration_s: float) -> list[float]:
    """Return the times, from 0 on, of the frames that the fingerprint of a video needs."""
    return sorted({count * 2.0**power for power in powers(duration_s) for count in range(NUM_FRAMES)})


def tolerance_s(duration_s: float) -> float:
    """Return by how much a copy may be longer: programs state lengths differently and drop last frames."""
    return max(0.25, 0.02 * duration_s)


def cells_of(frames: Frames) -> NDArray[np.float32]:
    """Return the mean colours of 8 x 8 cells, `(T, 8, 8, 3)` in 0-255, of frames `(T, H, W, 3)`."""
    count, height, width, colours = frames.shape
    bands = _shares(height) @ frames.reshape(count, height, width * colours).astype(np.float32)
    return _shares(width) @ bands.reshape(count, _SIDE, width, colours)


@functools.lru_cache(maxsize=64)
def _shares(length: int) -> NDArray[np.float32]:
    """Return the share that each of `length` px has in each cell, `(8, length)`."""
    borders = np.arange(_SIDE + 1) * length / _SIDE
    pixels = np.arange(length)
    inside = np.minimum(borders[1:, None], pixels + 1) - np.maximum(borders[:-1, None], pixels)
    shares: NDArray[np.float32] = (np.maximum(inside, 0) * _SIDE / length).astype(np.float32)
    return shares


def fingerprint(cells: NDArray[np.float32], times_s: NDArray[np.float64], duration_s: float) -> Fingerprint:
    """Return the fingerprint of a video.

    Args:
        cells: Of frames from the first to the last, `(T, 8, 8, 3)`; T at least 1.
        times_s: When each is shown, `(T,)`.
        duration_s: Of the video, above 0.
    """
    frames = {}
    for power in powers(duration_s):
        wanted = np.arange(NUM_FRAMES) * 2.0**power
        frames[power] = cells[np.maximum(np.searchsorted(times_s, wanted + 1e-3, side="right") - 1, 0)]
    return Fingerprint(duration_s, frames)


def alike(prints: Sequence[Fingerprint]) -> list[list[int]]:
    """Return the groups of two or more videos that show the same, by their places, in order."""
    first = list(range(len(prints)))  # the first video of the group that each is in

    def root(place: int) -> int:
        while first[place] != place:
            place = first[place]
        return place

    of_power: dict[int, list[int]] = defaultdict(list)
    for place, each in enumerate(prints):
        for power in each.frames:
            of_power[power].append(place)
    for power, places in of_power.items():
        for one, other in _matches([prints[place] for place in places], power):
            low, high = sorted((root(places[one]), root(places[other])))
            first[high] = low
    groups: dict[int, list[int]] = defaultdict(list)
    for place in range(len(prints)):
        groups[root(place)].append(place)
    return [group for group in groups.values() if len(group) > 1]


def _matches(prints: Sequence[Fingerprint], power: int) -> list[tuple[int, int]]:
    """Return each video that looks like an earlier one, and that one: the first that is like none before it."""
    described = _describe(prints, power)
    leaders: list[int] = []
    found: list[tuple[int, int]] = []
    for start in range(0, len(prints), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(prints)))
        known = np.array(leaders, int)
        same_as_known, same_within = described.match(block, known), described.match(block, block)
        for row, place in enumerate(block.tolist()):
            if same_as_known[row].any():
                found.append((leaders[int(same_as_known[row].argmax())], place))
                continue
            own = [leader for leader in leaders[len(known) :] if same_within[row, leader - start]]
            if own:
                found.append((own[0], place))
            else:
                leaders.append(place)
    return found


@dataclass(frozen=True)
class _Described:
    """Fingerprints of N videos, for products of many with many."""

    durations_s: NDArray[np.float64]
    looks: NDArray[np.float32]
    """What stays, `(N, 8 * 8 * 3)`."""
    changes: NDArray[np.float32]
    """What changes, as vectors of length 1, `(N, 8 * 8 * 8)`; zeros where nothing does."""
    still: NDArray[np.bool_]

    def match(self, ones: NDArray[np.int_], others: NDArray[np.int_]) -> NDArray[np.bool_]:
        """Return which of the ones are like which of the others."""
        durations_s = self.durations_s[ones][:, None], self.durations_s[others]
        close = np.abs(durations_s[0] - durations_s[1]) <= np.maximum(0.25, 0.02 * np.minimum(*durations_s))
        squares = np.square(self.looks).sum(1)
        products = self.looks[ones] @ self.looks[others].T
        apart = np.sqrt(np.maximum(squares[ones][:, None] + squares[others] - 2 * products, 0) / self.looks.shape[1])
        moving = (self.changes[ones] @ self.changes[others].T >= _SAME_CHANGE) & (apart <= _SAME_LOOK)
        both_still = self.still[ones][:, None] & self.still[others]
        same: NDArray[np.bool_] = close & np.where(both_still, apart <= _SAME_STILL, moving)
        return same


def _describe(prints: Sequence[Fingerprint], power: int) -> _Described:
    cells = np.stack([each.frames[power] for each in prints]).reshape(len(prints), NUM_FRAMES, -1, 3)
    looks = cells.mean(1)
    changes = (cells - looks[:, None]) @ _GREY
    changes -= changes.mean(2, keepdims=True)  # lamps and shutters change everything alike
    changes = changes.reshape(len(prints), -1)
    strength = np.sqrt(np.square(changes).mean(1))
    unit = changes / np.maximum(np.sqrt(changes.shape[1]) * strength, 1e-6)[:, None]
    durations_s = np.array([each.duration_s for each in prints])
    return _Described(durations_s, looks.reshape(len(prints), -1), unit, strength < _STILL)
