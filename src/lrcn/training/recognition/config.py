"""The settings of a recognition training run, flat, so that each is a flag of `lrcn train` and a key of its YAML.

Imports no torch: the command line reads this file.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

from lrcn.config import PACKAGED_BACKBONE, HeadSettings, PreprocessConfig, RecognitionConfig, VectorConfig
from lrcn.tasks import RECOGNITION
from lrcn.training.config import TrainingConfig, require_setting

DEFAULT_LAYERS = "blocks.4+blocks.5"
"""Of the packaged backbone: with few clips worth 5 points more than its last feature, at three quarters of the time."""

MULTI_LABEL_COLUMNS = ("val_loss", "val_f1", "val_average_precision")
"""In place of `score_columns` where several behaviours are shown at once."""

FLOW_MEAN = (128.0, 128.0, 128.0)
"""Grey level of a flow image where nothing moves (released mean of the flow nets)."""

RED_MEAN, RELEASED_RED_MEAN = 123.68, 128.68
"""Mean red of Caffe's ImageNet nets, and the typo for it in the released LSTM nets."""


@dataclass(frozen=True, kw_only=True)
class RecognitionTrainingConfig(TrainingConfig, HeadSettings):
    """How a recognition model is trained. The defaults suit a laptop: frozen packaged backbone, cached features."""

    task: ClassVar[str] = RECOGNITION.name

    layer: str | None = None  # type: ignore[assignment]
    """Feature layer: `fc6`, `fc7`, `fc8` where the network has them, or any module's name; several with a + between
    them are joined. Null takes, of the packaged backbone where it is frozen, blocks.4+blocks.5: layers that still know
    where limbs are; else the last feature before the classifier, as an empty name does."""
    grid: int | None = None  # type: ignore[assignment]
    """A feature map is averaged to `grid` x `grid` cells and flattened. Null takes 3 where it
    chooses the layer, else 1."""
    head: str | None = None  # type: ignore[assignment]
    """What reads the features: `lstm` reads the frames in order; `frame` classifies each frame alone (the paper's
    single-frame net); `mean` classifies the mean feature of the clip; `statistics` its mean, spread and change; or one
    that `register_head` made known. Several with a + between them are averaged. Null takes lstm+statistics on a frozen
    CNN, lstm where the CNN is trained."""
    standardise: bool = True
    """Bring each value of the feature to mean 0 and deviation 1 over the training frames first (paper: no). Needs a
    frozen CNN; where it is trained, nothing is done."""
    embedding_size: int | None = 128
    """Values that a linear layer makes of each feature before the LSTM reads it; null lets the LSTM read the feature
    itself, as in the paper."""
    embedding_kind: Literal["learnt", "principal"] = "principal"
    """Whether that layer is trained with all else (`learnt`), or is the directions in which features and, the other
    half, their changes from frame to frame vary most over the training frames: found at once and fixed. With few clips
    a learnt one learns the scene by heart. Where the CNN is trained, or without an `embedding_size`, it is learnt."""
    change_memory: tuple[float, ...] = (0.0, 0.9)
    """Give the LSTM, beside each feature (or its embedding), its change against running averages of the frames before,
    one for each number: 0 compares with the frame before, 0.9 with about the last ten; empty: none (paper)."""
    hidden_size: int = 64
    """LSTM units (released UCF-101 nets: 256; the paper also tried 512 and 1024)."""
    views: int = 2
    """Looks at each training video that are cached with a frozen backbone: the centre crop, its mirror image unless
    `mirror` forbids, then randomly cropped and mirrored ones. The time to extract features grows with it."""

    head_init: Literal["default", "release"] = "default"
    """Random weights above the backbone: torch's, or the released nets' (LSTM uniform in +-0.01, classifier Gaussian of
    deviation 0.01, biases 0)."""

    stream: Literal["rgb", "flow", "vectors"] = "rgb"
    """What the network looks at: frames, the optical flow between neighbouring frames, or ready `vectors` in place of
    what a CNN says of them, such as where body parts are: the clips are then files of DeepLabCut, SLEAP or others, CSV
    or .safetensors, and what is said of CNNs and pixels does nothing."""
    vector_fps: float | None = None
    """Rows, or frames, a second in files of ready vectors that do not tell it, as most do not."""
    flow_method: Literal["dis", "farneback", "raft"] = "dis"
    """Optical-flow method, for `stream: flow`."""
    clip_length: int = 16
    """Frames per clip (released: 16)."""
    clip_stride: int = 8
    """Frames between the starts of neighbouring clips in validation and recognition (released: 8)."""

    release_quirks: bool = False
    """Do to the pixels what the authors' released code does by mistake, where a published number may depend on it:
    unmirrored training clips squashed instead of cropped, red mean 128.68, the first RGB frame never trained on,
    mirrored flow not negated."""
    refit: bool = True
    """Once a model is scored on the validation clips, train another with the same settings, from the start, on training
    and validation clips together, and keep that one. With few clips it is worth the time; what it would score is not
    measured. On one device only."""
    epoch_steps: int = 15
    """Fewest optimiser steps of an epoch: where a pass over the clips takes fewer, an epoch is several passes. An LSTM
    that reads few clips needs hundreds of steps all the same."""
    label_smoothing: float = 0.0
    """Share of the target spread evenly over all classes, in [0, 1)."""

    balance_classes: bool | None = None
    """Let all classes count alike, however many clips each has: those of smaller classes come more often. Null does so
    where the largest class has five times the training clips of the smallest, or more, but not in recordings."""
    score: Literal["accuracy", "mean_class_accuracy"] = "accuracy"
    """What the best epoch is the best in, on the validation clips: the share of clips named rightly, or the mean of
    that share over the classes. Where several behaviours are shown at once it is their mean average precision."""

    def __post_init__(self) -> None:
        for name in ("resize", "change_memory"):
            if isinstance(getattr(self, name), list):  # YAML has no tuples
                object.__setattr__(self, name, tuple(getattr(self, name)))
        TrainingConfig.__post_init__(self)
        HeadSettings.__post_init__(self)
        if self.vectors is not None:
            require_setting(not self.backbone_trainable, "backbone_trainable trains a CNN, and ready vectors need none")
            require_setting(self.runtime in ("auto", "torch"), f"runtime {self.runtime!r} is for CNNs: leave it out")
        require_setting(
            self.vector_fps is None or self.vectors is not None,
            "vector_fps goes with stream 'vectors' alone",
        )
        require_setting(0 <= self.label_smoothing < 1, f"label_smoothing must be in [0, 1), got {self.label_smoothing}")

    def resolved(self, preprocess: PreprocessConfig) -> Self:
        """See `TrainingConfig`: layer, grid and head are chosen, too."""
        chooses = self.layer is None and not self.backbone_trainable and self.backbone == PACKAGED_BACKBONE
        chooses = chooses and self.vectors is None
        layer = self.layer if self.layer is not None else DEFAULT_LAYERS if chooses else ""
        grid = self.grid if self.grid is not None else 3 if chooses else 1
        head = self.head or ("lstm" if self.backbone_trainable else "lstm+statistics")
        return replace(super().resolved(preprocess), layer=layer, grid=grid, head=head)

    def head_settings(self) -> dict[str, Any]:
        """See `HeadSettings`; what needs a frozen CNN is left out where it is trained."""
        settings = super().head_settings()
        if self.backbone_trainable:
            settings |= {"standardise": False, "embedding_kind": "learnt"}
        return settings

    @property
    def score_columns(self) -> tuple[str, ...]:
        """See `TrainingConfig`."""
        columns = ("val_mean_class_accuracy", "val_accuracy")
        return ("val_loss", *(columns if self.score == "accuracy" else columns[::-1]))

    def columns_among(self, found: Collection[str]) -> tuple[str, ...]:
        """See `TrainingConfig`."""
        return MULTI_LABEL_COLUMNS if MULTI_LABEL_COLUMNS[-1] in found else self.score_columns

    @property
    def vectors(self) -> VectorConfig | None:
        """How files of ready vectors are read; None where pictures are looked at."""
        return VectorConfig(fps=self.vector_fps) if self.stream == "vectors" else None

    def recognition_config(
        self, num_classes: int, *, multi_label: bool = False, vector_size: int | None = None
    ) -> RecognitionConfig:
        """Return the network's part, as it is stored in the model file; of ready vectors it must be told their size."""
        settings = self.head_settings()
        if vector_size is not None and settings["embedding_size"] and settings["embedding_kind"] == "principal":
            # half of them are directions of values, half of changes: there are no more of either than values
            settings["embedding_size"] = min(settings["embedding_size"], 2 * vector_size)
        return RecognitionConfig(
            backbone=self.backbone_config() if vector_size is None else None,
            vector_size=vector_size,
            num_classes=num_classes,
            multi_label=multi_label,
            **settings,
        )

    def preprocess_config(self, backbone_defaults: Mapping[str, Any]) -> PreprocessConfig:
        """See `TrainingConfig`; a flow stream has a mean of its own, and quirks change that of red."""
        values = self._pixels(backbone_defaults)
        if self.stream == "flow":
            values["mean"] = FLOW_MEAN
        elif self.release_quirks and "mean" in values:
            values["mean"] = tuple(RELEASED_RED_MEAN if value == RED_MEAN else value for value in values["mean"])
        for name in ("stream", "vectors", "clip_length", "clip_stride", "flow_method", "release_quirks"):
            values[name] = getattr(self, name)
        return PreprocessConfig(**values)
