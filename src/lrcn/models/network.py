"""What networks of every task have: a CNN that looks at frames, and what reads its features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Protocol

from torch import Tensor, nn

from lrcn.config import BackboneConfig
from lrcn.errors import ConfigError
from lrcn.models.backbones import Backbone


class NetworkConfig(Protocol):
    """What a network was built from."""

    @property
    def backbone(self) -> BackboneConfig | None:
        """The CNN's part; None where there is none."""


class Network(nn.Module, ABC):
    """A network; `forward` is its task's own."""

    config: NetworkConfig
    backbone: Backbone | None
    """None in a model that reads ready vectors."""

    @abstractmethod
    def classifier_parameters(self) -> Iterable[nn.Parameter]:
        """Those of the last layer, which learn `head_lr_multiplier` times as fast."""

    def freeze_backbone(self) -> None:
        """Keep the backbone as it is: no gradient, evaluation mode (batch-norm statistics too) through `.train()`."""
        if self.backbone is not None:
            self.backbone.freeze()

    def encode(self, frames: Tensor) -> Tensor:
        """The backbone's features `(N, D)` of preprocessed frames `(N, 3, H, W)`.

        Raises:
            ConfigError: If the model has no backbone.
        """
        if self.backbone is None:
            raise ConfigError("this model has no backbone: it reads ready vectors, not pictures")
        features: Tensor = self.backbone(frames)
        return features
