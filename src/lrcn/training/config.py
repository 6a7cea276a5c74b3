"""The settings of a training run, flat, so that each is a flag of `lrcn train` and a key of its YAML.

Standard library only: the command line reads this file without torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from lrcn.config import PACKAGED_BACKBONE, BackboneConfig, PreprocessConfig, RecognitionConfig
from lrcn.errors import ConfigError

FLOW_MEAN = (128.0, 128.0, 128.0)
"""Grey level of a flow image where nothing moves (released mean of the flow nets)."""

RED_MEAN, RELEASED_RED_MEAN = 123.68, 128.68
"""Mean red of Caffe's ImageNet nets, and the typo for it in the released LSTM nets."""

FREE_ON_RESUME = frozenset({"workers", "logger"})
"""Settings that change no result, and may therefore differ between the two parts of a resumed run."""


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True, kw_only=True)
class RecognitionTrainingConfig:
    """How a recognition model is trained. The defaults suit a laptop: frozen packaged backbone, cached features."""

    backbone: str = PACKAGED_BACKBONE
    """`efficientnet_lite0` (packaged), `caffenet`, `hybrid`, a torchvision name, or `timm/<name>`."""
    layer: str = ""
    """Feature layer: `fc6`, `fc7`, `fc8` where the network has them, or any module's name; empty takes the last feature
    before the classifier."""
    grid: int = 1
    """A feature map is averaged to `grid` x `grid` cells and flattened."""
    backbone_weights: str = "auto"
    """`auto` for ImageNet weights (packaged, or fetched by torchvision or timm), `none` for random ones, or a file with
    the network's state dict. What `init_from` holds comes before either."""
    backbone_trainable: bool = False
    """Train the CNN too, on decoded frames, instead of keeping it fixed and caching its features. Batch normalisation
    keeps its pretrained statistics (the frames of a clip are too alike to estimate them from); its scale and shift are
    trained. Only a CNN that starts from random weights updates the statistics."""
    init_from: str | None = None
    """Model file or training folder whose tensors are taken over where name and shape match (two-stage training)."""

    head: Literal["lstm", "frame", "mean"] = "lstm"
    """`lstm` reads the frames in order; `frame` classifies each alone (the paper's single-frame net); `mean` classifies
    the clip's mean feature."""
    readout: Literal["mean", "last"] = "mean"
    """Clip probabilities: mean over the frames (paper), or the last frame's alone."""
    feature_change: bool = False
    """Give the LSTM, beside each feature, its change since the frame before. Not in the paper; helps where the frozen
    CNN shows motion only faintly."""
    hidden_size: int = 256
    """LSTM units (released: 256)."""
    num_layers: int = 1
    """Stacked LSTM layers."""
    input_dropout: float = 0.5
    """Dropout on the backbone feature (released LSTM nets: 0.9)."""
    output_dropout: float = 0.5
    """Dropout before the classifier."""

    stream: Literal["rgb", "flow"] = "rgb"
    """What the network looks at: frames, or the optical flow between neighbouring frames."""
    flow_method: Literal["dis", "farneback", "raft"] = "dis"
    """Optical-flow method, for `stream: flow`."""
    sample_fps: float | None = 10.0
    """Frames per second taken from each video; null takes every frame (paper)."""
    resize: int | tuple[int, int] | None = None
    """Short side in px, or height and width in px; null takes what the backbone's weights were made for."""
    crop: int | None = None
    """Side of the square crop in px; null takes what the backbone's weights were made for."""
    clip_length: int = 16
    """Frames per clip (released: 16)."""
    clip_stride: int = 8
    """Frames between the starts of neighbouring clips in validation and recognition (released: 8)."""

    mirror: bool = True
    """Mirror half of the training clips left to right. Turn it off where classes differ in nothing but left and right
    (`swipe left` against `swipe right`), or they cannot be told apart."""
    jitter: float = 1.0
    """How far the crop of a training clip moves from the centre: 0 never, 1 anywhere in the frame."""
    views: int = 4
    """Looks at each training video that are cached with a frozen backbone: the centre crop, then randomly cropped and
    mirrored ones. The time to extract features grows with it."""

    release_quirks: bool = False
    """Do to the pixels what the authors' released code does by mistake, where a published number may depend on it:
    unmirrored training clips squashed instead of cropped, red mean 128.68, the first RGB frame never trained on,
    mirrored flow not negated."""

    optimizer: Literal["adamw", "sgd"] = "adamw"
    """`adamw`, or `sgd` as in Caffe (momentum on the update, so that it carries over a drop of the learning rate)."""
    lr: float = 1e-3
    """Learning rate (released: 0.001 with `sgd`)."""
    weight_decay: float = 0.01
    """Weight decay (released: 0.005); biases have none, but for the LSTM's (as released), nor has normalisation."""
    momentum: float = 0.9
    """Momentum of `sgd`."""
    head_lr_multiplier: float = 1.0
    """Learning rate of the classifier, relative to `lr` (released: 10)."""
    bias_lr_multiplier: float = 1.0
    """Learning rate of all biases but the LSTM's, relative to their weights' (released: 2)."""
    lr_schedule: Literal["constant", "cosine", "step"] = "cosine"
    """`cosine` warms up over the first 5 % of the steps and falls to 0; `step` multiplies by `lr_gamma` every `lr_step`
    steps (released)."""
    lr_step: int | None = None
    """Optimiser steps between drops, for `lr_schedule: step`."""
    lr_gamma: float = 0.1
    """Factor of each drop, for `lr_schedule: step`."""
    clip_norm: float | None = 5.0
    """Largest L2 norm of all gradients together (released: 5 RGB, 15 flow); null does not clip."""
    label_smoothing: float = 0.0
    """Share of the target spread evenly over all classes, in [0, 1)."""

    batch_size: int = 32
    """Clips per batch and device, at most: an epoch is cut into batches of equal size (released: 24)."""
    accumulate: int = 1
    """Batches whose gradients are added up for one optimiser step."""
    epochs: int = 40
    """Passes over the training videos, one random clip of each video per pass."""
    max_steps: int | None = None
    """Train for this many optimiser steps instead of `epochs` (released: 30000 RGB, 70000 flow)."""
    patience: int | None = None
    """Stop after this many epochs without a better validation accuracy; null trains to the end."""

    seed: int = 0
    """Of the initial weights, the order, the crops and the dropout."""
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    """Arithmetic; the mixed ones are for GPUs and slow on most CPUs."""
    devices: int = 1
    """GPUs (or CPU processes) trained on at once, each with its own batch."""
    workers: int = 0
    """Processes that prepare batches. With cached features 0 is fastest; to train the backbone, about one per core."""
    logger: Literal["none", "tensorboard", "wandb"] = "none"
    """Where to log besides `history.csv`."""

    def __post_init__(self) -> None:
        for name in ("views", "accumulate", "batch_size", "epochs", "devices", "max_steps", "patience", "lr_step"):
            value = getattr(self, name)
            _require(value is None or value >= 1, f"{name} must be at least 1, got {value}")
        for name in ("lr", "lr_gamma", "head_lr_multiplier", "bias_lr_multiplier", "clip_norm"):
            value = getattr(self, name)
            _require(value is None or value > 0, f"{name} must be above 0, got {value}")
        for name in ("weight_decay", "workers", "seed"):
            _require(getattr(self, name) >= 0, f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("momentum", "label_smoothing"):
            _require(0 <= getattr(self, name) < 1, f"{name} must be in [0, 1), got {getattr(self, name)}")
        _require(0 <= self.jitter <= 1, f"jitter must be in [0, 1], got {self.jitter}")
        _require(
            (self.lr_step is not None) == (self.lr_schedule == "step"),
            f"lr_step goes with lr_schedule 'step' and only with it, got lr_step {self.lr_step} and "
            f"lr_schedule {self.lr_schedule!r}",
        )
        # the checks of the stored configuration apply here too; what is null is not known yet and stands back
        self.recognition_config(1)
        self.preprocess_config({"resize": self.crop or 1, "crop": 1})

    def recognition_config(self, num_classes: int) -> RecognitionConfig:
        """Return the network's part, as it is stored in the model file."""
        return RecognitionConfig(
            backbone=BackboneConfig(name=self.backbone, layer=self.layer, grid=self.grid),
            num_classes=num_classes,
            **{
                name: getattr(self, name)
                for name in (
                    "head",
                    "readout",
                    "feature_change",
                    "hidden_size",
                    "num_layers",
                    "input_dropout",
                    "output_dropout",
                )
            },
        )

    def preprocess_config(self, backbone_defaults: Mapping[str, Any]) -> PreprocessConfig:
        """Return the pixels' part, as it is stored in the model file.

        Args:
            backbone_defaults: `models.backbones.default_preprocess` of this backbone: fills in what is null here, and
                the mean (but for a flow stream), scale and order of the channels.
        """
        values = dict(backbone_defaults)
        if self.stream == "flow":
            values["mean"] = FLOW_MEAN
        elif self.release_quirks and "mean" in values:
            values["mean"] = tuple(RELEASED_RED_MEAN if value == RED_MEAN else value for value in values["mean"])
        for name in ("stream", "sample_fps", "clip_length", "clip_stride", "flow_method", "release_quirks"):
            values[name] = getattr(self, name)
        for name in ("resize", "crop"):
            if getattr(self, name) is not None:
                values[name] = getattr(self, name)
        return PreprocessConfig(**values)

    def resolved(self, preprocess: PreprocessConfig) -> RecognitionTrainingConfig:
        """Return this with nothing left to the backbone's defaults."""
        return replace(self, resize=preprocess.resize, crop=preprocess.crop)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as YAML and JSON hold them: tuples are lists."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def changed_fields(saved: Mapping[str, Any], config: RecognitionTrainingConfig) -> list[str]:
    """Name the settings that make another run of it, each as `name (was -> now)`."""
    now = config.to_dict()
    return [
        f"{field.name} ({saved.get(field.name)} -> {now[field.name]})"
        for field in fields(config)
        if field.name not in FREE_ON_RESUME and saved.get(field.name) != now[field.name]
    ]
