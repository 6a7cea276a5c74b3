"""A CNN of a few weights, and videos of a bright bar that moves left or right or stays: order decides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lrcn.data.recognition.examples import RecognitionData, RecognitionExample
from lrcn.models.backbone_specs import BackboneSpec
from lrcn.models.backbones import BACKBONES, register_backbone
from lrcn.training.fit import TrainResult, train
from lrcn.training.recognition.config import RecognitionTrainingConfig

TINY = "tiny_for_training_tests"
LABELS = ("left", "right", "still")


def _network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 12, 3, stride=2),
        nn.ReLU(),
    )


if TINY not in BACKBONES:
    pixels = {"resize": 36, "crop": 32, "mean": (127.0,) * 3, "std": (128.0,) * 3}
    register_backbone(TINY, BackboneSpec(build=_network, preprocess=pixels))


def tiny_config(**changes: Any) -> RecognitionTrainingConfig:
    """Return settings under which a run takes a second or two."""
    settings = {
        "backbone": TINY,
        "backbone_weights": "none",
        "grid": 3,
        "layer": "",
        "head": "lstm",
        "standardise": False,
        "embedding_size": None,
        "embedding_kind": "learnt",
        "change_memory": (),
        "epoch_steps": 1,
        "refit": False,
        "runtime": "torch",
        "hidden_size": 16,
        "clip_length": 6,
        "clip_stride": 3,
        "batch_size": 8,
        "epochs": 3,
        "views": 2,
        "mirror": False,
        "lr": 0.01,
    }
    return RecognitionTrainingConfig(**{**settings, **changes})


def bar_frames(label: str, num_frames: int, seed: int) -> np.ndarray:
    """Return frames `(T, 36, 48, 3)` uint8 of a bar on noise."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 60, (num_frames, 36, 48, 3)).astype(np.uint8)
    speed = {"left": -3, "right": 3, "still": 0}[label]
    start = int(rng.integers(48))
    for t in range(num_frames):
        columns = (np.arange(8) + start + speed * t) % 48
        frames[t, 10:26, columns] = 255
    return frames


def tiny_data(folder: Path, make_clip: Any, *, num_train: int = 6, num_val: int = 3) -> RecognitionData:
    """Write a few videos of each class, some shorter than a clip, and return them as a data set."""
    examples = []
    for split, count in (("train", num_train), ("val", num_val)):
        for label in LABELS:
            for i in range(count):
                seed = 100 * LABELS.index(label) + i + 1000 * (split == "val")
                path = folder / f"{split}_{label}_{i}.avi"
                make_clip(path, bar_frames(label, 4 + (5 * i) % 14, seed), 10)
                examples.append(RecognitionExample(path, label, split))
    return RecognitionData(LABELS, tuple(examples), "bars")


def train_quietly(config: Any, data: Any, **where: Any) -> TrainResult:
    """Train on one thread: the sums of several depend on how they share the work."""
    torch.set_num_threads(1)
    return train(config, data, device="cpu", quiet=True, **where)
