"""Means: over the steps of a padded batch that count, and over the cells of a feature map."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def valid_steps(lengths: Tensor, padded: Tensor) -> Tensor:
    """Which steps of `padded` `(B, T, ...)` are no padding, `(B, T)` bool, for `lengths` `(B,)`."""
    steps = torch.arange(padded.shape[1], device=padded.device)
    return steps < lengths.to(padded.device).unsqueeze(1)


def mean_over_frames(padded: Tensor, lengths: Tensor | None) -> Tensor:
    """The mean over the valid frames of `(B, T, X)`, `(B, X)`; not-a-number in the padding stays out of it."""
    if lengths is None:
        return padded.mean(dim=1)
    kept = torch.where(valid_steps(lengths, padded).unsqueeze(2), padded, 0.0)
    return kept.sum(dim=1) / lengths.to(padded.device).unsqueeze(1)


def cell_means(maps: Tensor, grid: int) -> Tensor:
    """The means of the cells of maps `(N, C, h, w)`, `(N, C, grid, grid)`; cells share a row where they do not fit."""
    if maps.device.type == "mps" and any(side % grid for side in maps.shape[2:]):
        return _means_by_products(maps, grid)  # torch refuses such cells on Apple's GPUs
    return F.adaptive_avg_pool2d(maps, grid)


def _means_by_products(maps: Tensor, grid: int) -> Tensor:
    down, across = (_shares(side, grid).to(maps) for side in maps.shape[2:])
    return down @ maps @ across.T


def _shares(side: int, grid: int) -> Tensor:
    """What each of `side` rows gives to each cell, `(grid, side)`."""
    shares = torch.zeros(grid, side)
    for cell in range(grid):
        start, end = cell * side // grid, -(-(cell + 1) * side // grid)
        shares[cell, start:end] = 1 / (end - start)
    return shares
