"""The settings of a captioning training run, flat, so that each is a flag of `lrcn train` and a key of its YAML.

Imports no torch: the command line reads this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

from lrcn.config import PACKAGED_BACKBONE, RESERVED_TOKENS, CaptioningConfig, PreprocessConfig
from lrcn.errors import ConfigError
from lrcn.tasks import CAPTIONING
from lrcn.training.config import TrainingConfig, require_setting

DEFAULT_LAYER = "blocks.6"
"""Of the packaged backbone: on a 2x2 grid as good as its last feature on none, in as many values."""

DEFAULT_PX = 224
"""Side of what the packaged backbone looks at, which was trained on 224: a sentence names small things too."""


@dataclass(frozen=True, kw_only=True)
class CaptioningTrainingConfig(TrainingConfig):
    """How a captioning model is trained. The defaults suit a laptop: frozen packaged backbone, cached features."""

    task: ClassVar[str] = CAPTIONING.name

    layer: str | None = None  # type: ignore[assignment]
    """Feature layer: `fc6`, `fc7`, `fc8` where the network has them, or any module's name; several with a + between
    them are joined. Null takes blocks.6 of the packaged backbone where it is frozen; else the last feature before the
    classifier, as an empty name does."""
    grid: int = 2
    """A feature map is averaged to `grid` x `grid` cells and flattened: above 1, the model knows what is where."""
    backbone_trainable: bool = False
    """Train the CNN too, on decoded pictures, instead of keeping it fixed and caching its features. Batch normalisation
    keeps its pretrained statistics; its scale and shift are trained. Only a CNN that starts from random weights updates
    the statistics. All sampled frames of a video are decoded: memory grows with their number."""
    backbone_lr_multiplier: float = 0.1
    """Learning rate of the CNN, where it is trained, relative to `lr` (released: 0.1)."""
    init_from: str | None = None
    """Captioning model file or training folder whose tensors are taken over where name and shape match: for training in
    stages, after `objective: sentences`, or before `objective: cider_d`. What belongs to a word is matched by word."""
    vectors: str | None = None
    """`.safetensors` or `.csv` file of ready vectors that stand in for pictures, one vector or a sequence of them for
    each key of the data set; no backbone is used then."""

    objective: Literal["captions", "sentences", "cider_d"] = "captions"
    """What is learnt. `captions`: each next word of the captions (cross-entropy). `sentences`: the same without looking
    at pictures, a language model to start from; the data may be a `.txt` file of a sentence a line. `cider_d`:
    self-critical training, which raises CIDEr-D itself; start it with `init_from` a model trained on captions, and a
    tenth of its `lr`."""
    reward_draws: int = 5
    """Captions drawn for each picture with `objective: cider_d`. Each is measured against the mean of the others; a
    lone one against the greedy caption, as self-critical training was published."""
    variant: Literal["1u", "2u", "2f"] = "2f"
    """Where the context joins: the input of the only LSTM layer (`1u`), of the first of two (`2u`), or of the second
    (`2f`, the paper's best)."""
    context: Literal["mean", "lstm"] = "mean"
    """How the frames of a video become one vector: their mean, or an LSTM layer that reads them in order. An image is a
    video of one frame."""
    resize: int | tuple[int, int] | None = None
    """Short side in px, or height and width in px; null takes `crop`, or 224, for the packaged backbone where it is
    frozen, else what the backbone's weights were made for."""
    crop: int | None = None
    """Side of the square crop in px; null as for `resize`, whose short side it then takes."""
    feature_norm: bool = True
    """Bring each feature to mean 0 and deviation 1 over its values before the projection (released: no). The layers of
    a CNN differ widely in scale; the LSTM learns from the picture sooner when its values are about 1."""
    projection_size: int = 256
    """Units of a linear layer that each feature passes first; 0 for none (released: the CNN's own fc8)."""
    projection_init: Literal["random", "fc8"] = "random"
    """`fc8` starts the projection from the fc8 of the CNN whose fc7 it reads, and lets it learn as the CNN does, at
    `backbone_lr_multiplier` (released)."""
    embedding_size: int = 128
    """Size of a word's vector (released: 1000)."""
    hidden_size: int = 256
    """Units of every LSTM layer (released: 1000)."""
    feature_dropout: float = 0.2
    """Dropout on the features (released: 0.5)."""
    embedding_dropout: float = 0.1
    """Dropout on the words' vectors (released: 0, in the language model 0.5)."""
    output_dropout: float = 0.3
    """Dropout before the word logits (released: as `embedding_dropout`)."""

    min_count: int = 5
    """A word of the vocabulary occurs at least so often in the training captions (released: 5)."""
    max_length: int = 20
    """Most words of a caption, its end counted; longer ones are cut (released: 20)."""

    sample_fps: float | None = 5.0
    """Frames per second taken from each video; null takes every frame."""
    mirror: bool = False
    """Mirror half of the training examples left to right (released: yes). Only for captions that never say `left` or
    `right`, and pictures without writing."""
    views: int = 1
    """Looks at each training example that are cached with a frozen backbone: the centre crop, its mirror image where
    `mirror` allows, then randomly cropped and mirrored ones. The time to extract features grows with it."""

    lr: float = 3e-3
    """Learning rate (released: 0.01 with `sgd` and a `loss_weight` of 20)."""
    weight_decay: float = 0.01
    """Weight decay (released: 0); biases have none, but for the LSTM's, nor has normalisation."""
    loss_weight: float = 1.0
    """Factor of the loss, where `lr` and `clip_norm` were chosen for it (released: 20)."""
    batch_size: int = 64
    """Captions per batch and device, at most: an epoch is cut into batches of equal size (released: 100). With
    `objective: cider_d`, pictures."""
    epochs: int = 8
    """Passes over the training captions: each caption of each picture comes once a pass. With `objective: cider_d`,
    passes over the pictures."""
    epoch_steps: int = 40
    """Fewest optimiser steps of an epoch: where a pass over the captions takes fewer, an epoch is several passes."""
    max_steps: int | None = None
    """Train for this many optimiser steps instead of `epochs` (released: 110000, then 50000)."""
    clip_norm: float | None = 5.0
    """Largest L2 norm of all gradients together (released: 10, then 25); null does not clip."""
    patience: int | None = None
    """Stop after this many epochs without a better validation CIDEr-D; null trains to the end."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("min_count", 1), ("max_length", 2), ("reward_draws", 1)):
            value = getattr(self, name)
            require_setting(value >= least, f"{name} must be at least {least}, got {value}")
        require_setting(self.loss_weight > 0, f"loss_weight must be above 0, got {self.loss_weight}")
        if self.vectors is not None and self.backbone_trainable:
            raise ConfigError("backbone_trainable cannot be with vectors: there is no backbone")
        if self.objective == "sentences" and self.backbone_trainable:
            raise ConfigError("backbone_trainable cannot be with objective 'sentences': no picture is looked at")
        if self.projection_init == "fc8" and (self.layer, bool(self.projection_size)) != ("fc7", True):
            raise ConfigError("projection_init 'fc8' goes with layer 'fc7' and a projection_size")
        self.captioning_config(len(RESERVED_TOKENS) + 1, vector_size=1 if self.vectors else None)

    @property
    def _chooses(self) -> bool:
        """Whether the CNN is the one that the defaults were chosen for."""
        return self.backbone == PACKAGED_BACKBONE and not self.backbone_trainable

    def resolved(self, preprocess: PreprocessConfig) -> Self:
        """See `TrainingConfig`: the layer is chosen, too."""
        layer = self.layer if self.layer is not None else DEFAULT_LAYER if self._chooses else ""
        return replace(super().resolved(preprocess), layer=layer)

    def _pixels(self, backbone_defaults: Mapping[str, Any]) -> dict[str, Any]:
        if self._chooses:
            resize = self.resize or DEFAULT_PX
            short = resize if isinstance(resize, int) else min(resize)
            backbone_defaults = {**backbone_defaults, "resize": self.crop or DEFAULT_PX, "crop": short}
        return super()._pixels(backbone_defaults)

    @property
    def score_columns(self) -> tuple[str, ...]:
        """See `TrainingConfig`."""
        reward = ("train_cider_d",) if self.objective == "cider_d" else ()
        return (*reward, "val_loss", "val_perplexity", "val_cider_d")

    def title_of(self, column: str) -> str:
        """See `TrainingConfig`."""
        return "val CIDEr-D" if column == "val_cider_d" else super().title_of(column)

    @property
    def looks_at_pictures(self) -> bool:
        """Whether the pictures and videos of the data set must be there."""
        return self.vectors is None and self.objective != "sentences"

    @property
    def backbone_parts(self) -> tuple[str, ...]:
        """See `TrainingConfig`."""
        return ("backbone", "projection") if self.projection_init == "fc8" else ("backbone",)

    def captioning_config(self, vocabulary_size: int, *, vector_size: int | None = None) -> CaptioningConfig:
        """Return the network's part, as it is stored in the model file; with `vector_size` it has no backbone."""
        return CaptioningConfig(
            backbone=self.backbone_config() if vector_size is None else None,
            vector_size=vector_size,
            vocabulary_size=vocabulary_size,
            **{
                name: getattr(self, name)
                for name in (
                    "feature_norm",
                    "projection_size",
                    "context",
                    "variant",
                    "embedding_size",
                    "hidden_size",
                    "feature_dropout",
                    "embedding_dropout",
                    "output_dropout",
                )
            },
        )
