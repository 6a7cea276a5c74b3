"""What the training data of both tasks share: which items make a batch, cached features, batches of unequal length.

Which items make a batch depends on nothing but (seed, number of the batch): a run that goes on after a crash sees
exactly what it would have seen.

Shapes: B items, T frames, D feature size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Sampler


class ClipKey(NamedTuple):
    """Names one training clip: the video, and in which epoch it is drawn."""

    epoch: int
    video: int


@dataclass(frozen=True)
class FeatureVideo:
    """A video, or part of one, whose features are known."""

    label: int
    num_frames: int
    views: tuple[NDArray[Any] | Path, ...]
    """Features `(T, D)` of each view: in memory, or the `.npy` file to map."""
    first: int = 0
    """Row of the first frame, where the features are those of a longer video."""

    def window(self, view: int, start: int, end: int) -> NDArray[Any]:
        """Return the features of the frames `start` up to but not including `end`, `(end - start, D)`."""
        rows = self.views[view]
        if isinstance(rows, Path):
            rows = np.load(rows, mmap_mode="r", allow_pickle=False)
        return rows[self.first + start : self.first + end]


def stacked(rows: Sequence[NDArray[Any]]) -> tuple[Tensor, Tensor]:
    """Return features `(B, T, D)` float32, padded with zeros on the right, and lengths `(B,)`."""
    lengths = [len(clip) for clip in rows]
    longest = max(lengths)
    padded = [np.pad(clip, ((0, longest - len(clip)), (0, 0))) if len(clip) < longest else clip for clip in rows]
    return torch.from_numpy(np.stack(padded)).float(), torch.tensor(lengths)


class StepSampler(Sampler[list[ClipKey]]):
    """The batches of a run, from any one on: each epoch is a new order of all videos, cut into even batches.

    Batches of an epoch differ by one clip at most, and their number is a multiple of `accumulate`, so that every
    optimiser step sees about as many clips. With several processes each takes every `num_ranks`-th video of the order.
    The order is filled up from its start where processes would not get as many, or batches would stay empty.
    """

    def __init__(
        self,
        num_videos: int,
        batch_size: int,
        *,
        seed: int,
        accumulate: int = 1,
        rank: int = 0,
        num_ranks: int = 1,
    ) -> None:
        """Lay out the epochs."""
        self._num_videos = num_videos
        self._seed = seed
        self._rank = rank
        self._num_ranks = num_ranks
        share = -(-num_videos // num_ranks)
        self.batches_per_epoch = -(-share // (batch_size * accumulate)) * accumulate
        self._share = max(share, self.batches_per_epoch)
        self.first_batch = 0
        """Where iteration starts, counted from the start of the run."""
        self.num_batches = self.batches_per_epoch
        """Where it ends."""
        self._epoch = -1
        self._order = np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        return self.num_batches - self.first_batch

    def __iter__(self) -> Iterator[list[ClipKey]]:
        for number in range(self.first_batch, self.num_batches):
            yield self.batch(number)

    def batch(self, number: int) -> list[ClipKey]:
        """Return the clips of a batch, which counts from the start of the run."""
        epoch, position = divmod(number, self.batches_per_epoch)
        if epoch != self._epoch:
            order = np.random.default_rng((self._seed, epoch)).permutation(self._num_videos)
            self._order = np.resize(order, self._share * self._num_ranks)[self._rank :: self._num_ranks]
            self._epoch = epoch
        first, last = (self._share * edge // self.batches_per_epoch for edge in (position, position + 1))
        return [ClipKey(epoch, index) for index in self._order[first:last].tolist()]
