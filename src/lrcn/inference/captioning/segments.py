"""What is kept of a video's features while they arrive: a bounded number for the whole, and the parts of a long one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class ThinnedFeatures:
    """Keeps at most `limit` of the features pushed, evenly spaced: every one, every second, every fourth, ..."""

    def __init__(self, limit: int) -> None:
        self.num_pushed = 0
        self._limit = limit
        self._step = 1
        self._kept: list[Tensor] = []

    def push(self, features: Tensor) -> None:
        """Add the features `(n, D)` of the next frames."""
        for one in features:
            if self.num_pushed % self._step == 0:
                self._kept.append(one)
                if len(self._kept) > self._limit:
                    self._kept = self._kept[::2]
                    self._step *= 2
            self.num_pushed += 1

    def features(self) -> Tensor:
        """Return what was kept, `(at most limit, D)`."""
        return torch.stack(self._kept)


class SegmentCutter:
    """Cuts features into parts of `length_s`; the last one joins the part before if it is below half that long."""

    def __init__(self, length_s: float | None) -> None:
        self._length_s = length_s
        self._begun: list[tuple[float, list[Tensor]]] = []  # one or two parts
        self._origin_s: float | None = None

    def push(self, features: Tensor, times_s: NDArray[np.float64]) -> Iterator[tuple[float, Tensor]]:
        """Add features and yield the parts that can no longer change."""
        if self._length_s is None:
            return
        for one, time_s in zip(features, times_s.tolist(), strict=True):
            if self._origin_s is None:
                self._origin_s = time_s
            # a frame that begins a part a rounding error early belongs to it
            start_s = self._origin_s + self._length_s * int((time_s - self._origin_s + 1e-6) / self._length_s)
            if not self._begun or start_s > self._begun[-1][0] + 1e-6:
                if len(self._begun) == 2:
                    yield self._pop()
                self._begun.append((start_s, []))
            self._begun[-1][1].append(one)

    def finish(self, duration_s: float) -> Iterator[tuple[float, Tensor]]:
        """Yield the parts that are left."""
        if len(self._begun) == 2 and self._length_s and duration_s - self._begun[1][0] < self._length_s / 2:
            self._begun[0][1].extend(self._begun.pop()[1])
        while self._begun:
            yield self._pop()

    def _pop(self) -> tuple[float, Tensor]:
        start_s, kept = self._begun.pop(0)
        return start_s, torch.stack(kept)
