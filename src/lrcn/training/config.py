"""The settings that every training run has, whatever its task.

Standard library only: the command line reads this file without torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, Literal, Self

from lrcn.config import PACKAGED_BACKBONE, BackboneConfig, PreprocessConfig
from lrcn.errors import ConfigError

FREE_ON_RESUME = frozenset({"workers", "logger"})
"""Settings that change no result, and may therefore differ between the two parts of a resumed run."""


def require_setting(condition: bool, message: str) -> None:
    """Raise `ConfigError` unless the condition holds."""
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(ABC):
    """How a model is trained; what only one task has stands in its own class."""

    task: ClassVar[str]
    """Name of a row of `lrcn.tasks`."""

    backbone: str = PACKAGED_BACKBONE
    """`efficientnet_lite0` (packaged), `caffenet`, `hybrid`, a torchvision name, or `timm/<name>`."""
    layer: str = ""
    """Feature layer: `fc6`, `fc7`, `fc8` where the network has them, or any module's name; several with a + between
    them are joined; empty takes the last feature before the classifier."""
    grid: int = 1
    """A feature map is averaged to `grid` x `grid` cells and flattened."""
    backbone_weights: str = "auto"
    """`auto` for ImageNet weights (packaged, or fetched by torchvision or timm), `none` for random ones, or a file with
    the network's state dict. What `init_from` holds comes before either."""
    backbone_trainable: bool = False
    """Train the CNN too, on decoded frames, instead of keeping it fixed and caching its features. Batch normalisation
    keeps its pretrained statistics (the frames of a clip are too alike to estimate them from); its scale and shift are
    trained. Only a CNN that starts from random weights updates the statistics."""
    runtime: str = "auto"
    """What computes the features of a frozen backbone: `torch`, `torch-bf16`, `onnxruntime`, `openvino`,
    `openvino-bf16`, or `auto` for the fastest that is installed and gives torch's features of a packaged clip."""
    init_from: str | None = None
    """Model file or training folder whose tensors are taken over where name and shape match (two-stage training)."""

    sample_fps: float | None = 10.0
    """Frames per second taken from each video; null takes every frame (paper)."""
    resize: int | tuple[int, int] | None = None
    """Short side in px, or height and width in px; null takes what the backbone's weights were made for."""
    crop: int | None = None
    """Side of the square crop in px; null takes what the backbone's weights were made for."""
    mirror: bool = True
    """Mirror half of the training examples left to right. Turn it off where classes differ in nothing but left and
    right, or they cannot be told apart; where the name of a class says so (`swipe left`), it is off."""
    jitter: float = 1.0
    """How far the crop of a training example moves from the centre: 0 never, 1 anywhere in the frame."""
    views: int = 4
    """Looks at each training example that are cached with a frozen backbone: the centre crop, its mirror image unless
    `mirror` forbids, then randomly cropped and mirrored ones. The time to extract features grows with it."""

    optimizer: Literal["adamw", "sgd"] = "adamw"
    """`adamw`, or `sgd` as in Caffe (momentum on the update, so that it carries over a drop of the learning rate)."""
    lr: float = 1e-3
    """Learning rate (released: 0.001 with `sgd`)."""
    weight_decay: float = 0.01
    """Weight decay (released: 0.005); biases have none, but for the LSTM's (as released), nor has normalisation."""
    momentum: float = 0.9
    """Momentum of `sgd`."""
    head_lr_multiplier: float = 1.0
    """Learning rate of the last layer, relative to `lr` (released: 10)."""
    bias_lr_multiplier: float = 1.0
    """Learning rate of all biases but the LSTM's, relative to their weights' (released: 2)."""
    backbone_lr_multiplier: float = 1.0
    """Learning rate of the CNN, where it is trained, relative to `lr`."""
    lr_schedule: Literal["constant", "cosine", "step"] = "cosine"
    """`cosine` warms up over the first 5 % of the steps and falls to 0; `step` multiplies by `lr_gamma` every `lr_step`
    steps (released)."""
    lr_step: int | None = None
    """Optimiser steps between drops, for `lr_schedule: step`."""
    lr_gamma: float = 0.1
    """Factor of each drop, for `lr_schedule: step`."""
    clip_norm: float | None = 5.0
    """Largest L2 norm of all gradients together (released: 5 RGB, 15 flow); null does not clip."""
    batch_size: int = 32
    """Examples per batch and device, at most: an epoch is cut into batches of equal size (released: 24)."""
    accumulate: int = 1
    """Batches whose gradients are added up for one optimiser step."""
    epoch_steps: int = 1
    """Fewest optimiser steps of an epoch: where a pass over the examples takes fewer, an epoch is several passes."""
    epochs: int = 40
    """Passes over the training examples; of each video a pass takes one random clip."""
    max_steps: int | None = None
    """Train for this many optimiser steps instead of `epochs` (released: 30000 RGB, 70000 flow)."""
    refit: bool = False
    """Once a model is scored on the validation examples, train another with the same settings, from the start, on
    training and validation examples together, and keep that one. With few examples it is worth the time; what it would
    score is not measured. On one device only."""
    patience: int | None = None
    """Stop after this many epochs without a better validation score; null trains to the end."""

    seed: int = 0
    """Of the initial weights, the order, the crops and the dropout."""
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    """Arithmetic; the mixed ones are for GPUs and slow on most CPUs."""
    gradient_checkpointing: bool = False
    """With a trained CNN: keep the activations of one example at a time and compute the others again for the gradient.
    Memory no longer grows with `batch_size`; a step takes about a third longer."""
    devices: int = 1
    """GPUs (or CPU processes) of a machine trained on at once, each with its own batch; the gradient is the mean of
    theirs."""
    num_nodes: int = 1
    """Machines trained on at once, with as many devices each; torchrun or SLURM starts the command on them."""
    strategy: Literal["auto", "ddp", "ddp_find_unused_parameters_true"] = "auto"
    """How devices share gradients, by Lightning's name; the last one where parts of the network take no part in some
    steps."""
    workers: int = 0
    """Processes that prepare batches. With cached features 0 is fastest; to train the backbone, about one per core."""
    logger: Literal["none", "tensorboard", "wandb"] = "none"
    """Where to log besides `history.csv`."""

    def __post_init__(self) -> None:
        counts = ("views", "accumulate", "batch_size", "epoch_steps", "epochs", "max_steps", "patience")
        for name in (*counts, "devices", "num_nodes", "lr_step"):
            value = getattr(self, name)
            require_setting(value is None or value >= 1, f"{name} must be at least 1, got {value}")
        multipliers = ("head_lr_multiplier", "bias_lr_multiplier", "backbone_lr_multiplier")
        for name in ("lr", "lr_gamma", *multipliers, "clip_norm"):
            value = getattr(self, name)
            require_setting(value is None or value > 0, f"{name} must be above 0, got {value}")
        for name in ("weight_decay", "workers", "seed"):
            require_setting(getattr(self, name) >= 0, f"{name} must not be negative, got {getattr(self, name)}")
        require_setting(self.seed < 2**63, f"seed must be below 2**63, got {self.seed}")
        require_setting(0 <= self.momentum < 1, f"momentum must be in [0, 1), got {self.momentum}")
        require_setting(0 <= self.jitter <= 1, f"jitter must be in [0, 1], got {self.jitter}")
        require_setting(
            (self.lr_step is not None) == (self.lr_schedule == "step"),
            f"lr_step goes with lr_schedule 'step' and only with it, got lr_step {self.lr_step} and "
            f"lr_schedule {self.lr_schedule!r}",
        )
        require_setting(
            self.backbone_trainable or not self.gradient_checkpointing,
            "gradient_checkpointing goes with backbone_trainable: a frozen backbone keeps no activations",
        )
        require_setting(
            not self.backbone_trainable or self.runtime in ("torch", "auto"),
            f"runtime {self.runtime!r} goes with a frozen backbone: a CNN is trained in torch",
        )
        # the checks of the stored configuration apply here too; what is null is not known yet and stands back
        self.preprocess_config({"resize": self.crop or 1, "crop": 1})

    @property
    def num_ranks(self) -> int:
        """Processes that train at once, one a device, on all machines."""
        return self.devices * self.num_nodes

    @property
    @abstractmethod
    def score_columns(self) -> tuple[str, ...]:
        """Columns of `history.csv` between the training loss and the seconds."""

    def columns_among(self, found: Collection[str]) -> tuple[str, ...]:
        """Return `score_columns`, or those of another kind of validation, by what is found.

        The last is the score: the best epoch is the best in it; of two alike, the one with the lower `val_loss`.

        Args:
            found: Columns that the validation gives, or that a row of the history has; none where there is none.
        """
        return self.score_columns

    def title_of(self, column: str) -> str:
        """Return what people call a column."""
        return column.replace("_", " ")

    @property
    def backbone_parts(self) -> tuple[str, ...]:
        """Modules of the network that count as the CNN: for their learning rate, and where weights come from."""
        return ("backbone",)

    def backbone_config(self) -> BackboneConfig:
        """Return the CNN's part, as it is stored in the model file."""
        return BackboneConfig(name=self.backbone, layer=self.layer, grid=self.grid)

    def preprocess_config(self, backbone_defaults: Mapping[str, Any]) -> PreprocessConfig:
        """Return the pixels' part, as it is stored in the model file.

        Args:
            backbone_defaults: `models.backbones.default_preprocess` of this backbone: fills in what is null here, and
                the mean, scale and order of the channels.
        """
        return PreprocessConfig(**self._pixels(backbone_defaults))

    def _pixels(self, backbone_defaults: Mapping[str, Any]) -> dict[str, Any]:
        values = {**backbone_defaults, "sample_fps": self.sample_fps}
        return values | {name: getattr(self, name) for name in ("resize", "crop") if getattr(self, name) is not None}

    def resolved(self, preprocess: PreprocessConfig) -> Self:
        """Return this with nothing left to the backbone's defaults."""
        return replace(self, resize=preprocess.resize, crop=preprocess.crop)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as YAML and JSON hold them: tuples are lists."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def changed_fields(saved: Mapping[str, Any], config: TrainingConfig) -> list[str]:
    """Name the settings that make another run of it, each as `name (was -> now)`.

    A setting that `saved` lacks is newer than that run, which therefore did what the default does.
    """
    was, now = type(config)().to_dict() | dict(saved), config.to_dict()
    return [
        f"{field.name} ({was[field.name]} -> {now[field.name]})"
        for field in fields(config)
        if field.name not in FREE_ON_RESUME and was[field.name] != now[field.name]
    ]
