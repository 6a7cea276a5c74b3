"""Which steps of a padded batch count, and their mean."""

from __future__ import annotations

import torch
from torch import Tensor


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
