"""The directions in which values vary most, from as many rows as there are."""

from __future__ import annotations

import torch
from torch import Tensor


class Sample:
    """Rows at equal distances from a sequence of any length."""

    def __init__(self, most: int) -> None:
        """Keep at most so many rows."""
        self._most = most
        self._step = 1
        self._seen = 0
        self._kept: list[Tensor] = []
        self._count = 0

    def push(self, rows: Tensor) -> None:
        """Take the next rows, `(n, D)`."""
        first = -self._seen % self._step
        self._seen += len(rows)
        self._kept.append(rows[first :: self._step])
        self._count += len(self._kept[-1])
        while self._count > self._most:
            joined = torch.cat(self._kept)[::2]
            self._kept, self._count, self._step = [joined], len(joined), 2 * self._step

    def rows(self) -> Tensor:
        """Return the rows that were kept, `(N, D)`."""
        return torch.cat(self._kept)


def principal_directions(rows: Tensor, number: int) -> Tensor:
    """Return orthonormal directions `(number, D)` in which rows `(N, D)` of mean 0 vary most, the first most of all.

    Zeros take the place of directions that there are not. The same rows give the same directions, whatever was drawn
    at random before, and later draws are not changed.
    """
    found = torch.zeros(number, rows.shape[1])
    most = min(number, *rows.shape)
    if most:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            # a few more are sought than wanted: the last ones are not exact
            _, _, directions = torch.svd_lowrank(rows, q=min(most + 16, *rows.shape), niter=3)
        found[:most] = directions[:, :most].T
    return found
