"""The recognition model: a backbone looks at every frame, and a head reads the sequence of its features."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lrcn.config import RecognitionConfig
from lrcn.errors import ShapeError
from lrcn.models.backbones import Backbone, build_backbone
from lrcn.models.heads import build_head
from lrcn.models.network import Network

_HEAD = "head."


class RecognitionModel(Network):
    """Frames -> backbone -> features -> head -> class logits.

    In files the tensors of the head have no prefix (`classifier.weight`), those of the backbone have one.
    """

    config: RecognitionConfig
    backbone: Backbone | None
    feature_size: int
    """Values of a frame's feature, or of the ready vector that stands in for it."""

    def __init__(self, config: RecognitionConfig, *, backbone_weights: str | Path = "none") -> None:
        """Make the network.

        Args:
            config: What to build.
            backbone_weights: As `weights` of `build_backbone`. The default suits loading a model file, which holds
                all weights; training starts from `auto`.

        Raises:
            ConfigError: If the backbone, its layer or its weights cannot be had.
            UnknownNameError: If there is no such head.
        """
        super().__init__()
        self.config = config
        self.backbone = None
        if config.backbone is not None:
            self.backbone = build_backbone(config.backbone, weights=backbone_weights)
            self.feature_size = self.backbone.feature_size
        else:
            assert config.vector_size is not None  # the configuration has checked it
            self.feature_size = config.vector_size
        self.head = build_head(config, self.feature_size)
        self.register_state_dict_post_hook(_without_prefix)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_with_prefix)  # type: ignore[no-untyped-call]

    def classifier_parameters(self) -> Iterable[nn.Parameter]:
        """Those that learn `head_lr_multiplier` times as fast."""
        return self.head.classifier_parameters()

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Class logits from frame features, as `Head.forward`.

        Raises:
            ShapeError: If `features` is not `(B, T, D)` with at least one frame.
        """
        self._check_clips(features)
        logits: Tensor = self.head(features, lengths)
        return logits

    def loss(
        self, features: Tensor, targets: Tensor, lengths: Tensor | None = None, *, label_smoothing: float = 0.0
    ) -> Tensor:
        """What training lowers, a scalar, as `Head.loss`; errors as for `forward`."""
        self._check_clips(features)
        return self.head.loss(features, targets, lengths, label_smoothing=label_smoothing)

    def clip_probs(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Class probabilities `(B, A)` of each clip, at least float32; arguments and errors as for `forward`."""
        self._check_clips(features)
        return self.head.clip_probs(features, lengths)

    def initial_state(self, batch_size: int) -> dict[str, Tensor]:
        """What `step` starts from, as `Head.initial_state`."""
        return self.head.initial_state(batch_size)

    def step(self, features: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Read one more frame, as `Head.step`.

        Raises:
            ShapeError: If `features` is not `(B, D)`.
            ConfigError: If the head looks at clips as a whole.
        """
        if features.dim() != 2 or features.shape[1] != self.feature_size:
            raise ShapeError(f"features of a step must be (clips, {self.feature_size}), got {tuple(features.shape)}")
        return self.head.step(features, state)

    def _check_clips(self, features: Tensor) -> None:
        if features.dim() != 3 or features.shape[2] != self.feature_size or features.shape[1] == 0:
            expected = f"(clips, frames, {self.feature_size})"
            raise ShapeError(f"features must be {expected} with at least one frame, got {tuple(features.shape)}")


def _without_prefix(model: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Name the head's tensors as files do."""
    for name in [name for name in state if name.startswith(prefix + _HEAD)]:
        state[prefix + name.removeprefix(prefix + _HEAD)] = state.pop(name)


def _with_prefix(model: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Undo `_without_prefix`."""
    for name in [name for name in state if name.startswith(prefix) and not name.startswith(prefix + "backbone.")]:
        state[prefix + _HEAD + name.removeprefix(prefix)] = state.pop(name)
