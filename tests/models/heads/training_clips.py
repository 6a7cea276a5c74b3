"""Clips that heads learn from at once."""

from __future__ import annotations

import numpy as np
import torch

from lrcn.models.heads import TrainingClips


def clips(seed: int = 0, number: int = 24) -> TrainingClips:
    """Clips of two classes that differ in nothing but how fast one of three features changes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(number) % 2
    features = rng.normal(size=(number, 8, 3)).astype(np.float32) * 5 + 20
    calm = np.sort(features[:, :, 0], axis=1)
    features[:, :, 0] = np.where(labels[:, None] == 0, calm, features[:, :, 0])
    return TrainingClips(*(torch.from_numpy(part) for part in (features, np.full(number, 8), labels, np.ones(number))))
