"""The settings of a recognition training run, flat, so that each is a flag of `lrcn train` and a key of its YAML.

Standard library only: the command line reads this file without torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lrcn.config import PreprocessConfig, RecognitionConfig
from lrcn.training.config import TrainingConfig, require_setting

FLOW_MEAN = (128.0, 128.0, 128.0)
"""Grey level of a flow image where nothing moves (released mean of the flow nets)."""

RED_MEAN, RELEASED_RED_MEAN = 123.68, 128.68
"""Mean red of Caffe's ImageNet nets, and the typo for it in the released LSTM nets."""


@dataclass(frozen=True, kw_only=True)
class RecognitionTrainingConfig(TrainingConfig):
    """How a recognition model is trained. The defaults suit a laptop: frozen packaged backbone, cached features."""

    head_init: Literal["default", "release"] = "default"
    """Random weights above the backbone: torch's, or the released nets' (LSTM uniform in +-0.01, classifier Gaussian of
    deviation 0.01, biases 0)."""
    head: Literal["lstm", "frame", "mean"] = "lstm"
    """`lstm` reads the frames in order; `frame` classifies each alone (the paper's single-frame net); `mean` classifies
    the clip's mean feature."""
    readout: Literal["mean", "last"] = "mean"
    """Clip probabilities: mean over the frames (paper), or the last frame's alone."""
    embedding_size: int | None = None
    """Values that a linear layer makes of each feature before the LSTM reads it; null: none (paper). Helps where
    features are long (a `grid` above 1) and clips are few."""
    change_memory: tuple[float, ...] = ()
    """Give the LSTM, beside each feature, its change against running averages of the frames before, one for each
    number: 0 compares with the frame before, 0.9 with about the last ten; empty: none (paper). Helps where the frozen
    CNN shows motion faintly."""
    hidden_size: int = 256
    """LSTM units (released: 256)."""
    num_layers: int = 1
    """Stacked LSTM layers."""
    input_dropout: float = 0.5
    """Dropout on the backbone feature (released LSTM nets: 0.9)."""
    output_dropout: float = 0.5
    """Dropout before the classifier."""
    dropout_mask: Literal["clip", "frame"] = "clip"
    """Whether dropout takes away the same values in all frames of a clip, or others in each frame (released)."""

    stream: Literal["rgb", "flow"] = "rgb"
    """What the network looks at: frames, or the optical flow between neighbouring frames."""
    flow_method: Literal["dis", "farneback", "raft"] = "dis"
    """Optical-flow method, for `stream: flow`."""
    sample_fps: float | None = 10.0
    """Frames per second taken from each video; null takes every frame (paper)."""
    clip_length: int = 16
    """Frames per clip (released: 16)."""
    clip_stride: int = 8
    """Frames between the starts of neighbouring clips in validation and recognition (released: 8)."""

    mirror: bool = True
    """Mirror half of the training clips left to right. Turn it off where classes differ in nothing but left and right
    (`swipe left` against `swipe right`), or they cannot be told apart."""
    views: int = 4
    """Looks at each training video that are cached with a frozen backbone: the centre crop, then randomly cropped and
    mirrored ones. The time to extract features grows with it."""

    release_quirks: bool = False
    """Do to the pixels what the authors' released code does by mistake, where a published number may depend on it:
    unmirrored training clips squashed instead of cropped, red mean 128.68, the first RGB frame never trained on,
    mirrored flow not negated."""
    lr: float = 1e-3
    """Learning rate (released: 0.001 with `sgd`)."""
    weight_decay: float = 0.01
    """Weight decay (released: 0.005); biases have none, but for the LSTM's (as released), nor has normalisation."""
    head_lr_multiplier: float = 1.0
    """Learning rate of the classifier, relative to `lr` (released: 10)."""
    clip_norm: float | None = 5.0
    """Largest L2 norm of all gradients together (released: 5 RGB, 15 flow); null does not clip."""
    label_smoothing: float = 0.0
    """Share of the target spread evenly over all classes, in [0, 1)."""
    batch_size: int = 32
    """Clips per batch and device, at most: an epoch is cut into batches of equal size (released: 24)."""
    epochs: int = 40
    """Passes over the training videos, one random clip of each video per pass."""
    max_steps: int | None = None
    """Train for this many optimiser steps instead of `epochs` (released: 30000 RGB, 70000 flow)."""
    patience: int | None = None
    """Stop after this many epochs without a better validation accuracy; null trains to the end."""

    def __post_init__(self) -> None:
        for name in ("resize", "change_memory"):
            if isinstance(getattr(self, name), list):  # YAML has no tuples
                object.__setattr__(self, name, tuple(getattr(self, name)))
        super().__post_init__()
        require_setting(0 <= self.label_smoothing < 1, f"label_smoothing must be in [0, 1), got {self.label_smoothing}")
        self.recognition_config(1)

    @property
    def score_columns(self) -> tuple[str, ...]:
        """See `TrainingConfig`."""
        return ("val_loss", "val_accuracy")

    def recognition_config(self, num_classes: int) -> RecognitionConfig:
        """Return the network's part, as it is stored in the model file."""
        return RecognitionConfig(
            backbone=self.backbone_config(),
            num_classes=num_classes,
            **{
                name: getattr(self, name)
                for name in (
                    "head",
                    "readout",
                    "embedding_size",
                    "change_memory",
                    "hidden_size",
                    "num_layers",
                    "input_dropout",
                    "output_dropout",
                    "dropout_mask",
                )
            },
        )

    def preprocess_config(self, backbone_defaults: Mapping[str, Any]) -> PreprocessConfig:
        """See `TrainingConfig`; a flow stream has a mean of its own, and quirks change that of red."""
        values = self._pixels(backbone_defaults)
        if self.stream == "flow":
            values["mean"] = FLOW_MEAN
        elif self.release_quirks and "mean" in values:
            values["mean"] = tuple(RELEASED_RED_MEAN if value == RED_MEAN else value for value in values["mean"])
        for name in ("stream", "clip_length", "clip_stride", "flow_method", "release_quirks"):
            values[name] = getattr(self, name)
        return PreprocessConfig(**values)
