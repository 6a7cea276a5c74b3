"""Models as Lightning trains them: batches to losses, one optimiser step after the other."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.rnn import pad_sequence
from torch.optim import Optimizer
from torch.utils.checkpoint import checkpoint

from lrcn.config import PreprocessConfig
from lrcn.errors import ConfigError, DataError
from lrcn.models.network import Network
from lrcn.training.config import TrainingConfig
from lrcn.training.optimizers import lr_at, make_optimizer, set_lr
from lrcn.training.run_state import RunState
from lrcn.video.transforms import Preprocess
from lrcn.video.views import View


class FrameBatch(Protocol):
    """What the CNN sees of a batch of examples whose frames were decoded; sizes may differ before cropping."""

    @property
    def frames(self) -> Sequence[Tensor]:
        """B clips, each `(T, H, W, 3)` uint8."""

    @property
    def views(self) -> Sequence[View]:
        """How each is to be cropped and mirrored."""

    @property
    def failures(self) -> Sequence[str]:
        """Why examples of this batch are missing."""


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """What is known of a run before its first step."""

    total_steps: int
    """Optimiser steps of the whole run."""
    fixed_statistics: bool
    """Keep the backbone's batch-norm statistics."""
    optimizer_state: dict[str, Any] | None = None
    """To go on from."""


class TrainingModule(LightningModule, ABC):
    """Loss, optimiser and learning rate of a model.

    Nothing here depends on what happened before but through `RunState.step`, the weights and the optimiser: dropout is
    drawn anew from (seed, batch, rank) for each batch, the learning rate follows from the step.
    """

    def __init__(
        self,
        model: Network,
        preprocess: PreprocessConfig,
        config: TrainingConfig,
        state: RunState,
        plan: RunPlan,
    ) -> None:
        """Take what is trained and where it stands.

        Args:
            model: The network.
            preprocess: For batches of frames.
            config: How to train.
            state: Where the run stands; `training_step` adds up there what the history shows the means of.
            plan: How long it is, and what it goes on from.

        Raises:
            ConfigError: If batch-norm statistics would be learned from activations that are computed twice.
        """
        super().__init__()
        normalises = any(isinstance(module, _BatchNorm) for module in model.modules())
        if config.gradient_checkpointing and normalises and not plan.fixed_statistics:
            raise ConfigError(
                "gradient_checkpointing would count batch-norm statistics twice: start from trained weights "
                "(backbone_weights, init_from), or do without it"
            )
        self.model = model
        self.preprocess = Preprocess(preprocess)
        self.state = state
        self._config = config
        self._plan = plan
        self.failures: set[str] = set()
        """Videos that could not be decoded so far, and why."""

    @abstractmethod
    def loss(self, batch: Any) -> Tensor:
        """Return the loss of a batch, a scalar; `DataError` if nothing in the batch can be decoded."""

    @property
    def loss_weight(self) -> float:
        """Factor of the loss that the optimiser sees; the history has the loss without it."""
        return 1.0

    def configure_optimizers(self) -> Optimizer:
        """Return the optimiser, as it was when the run was interrupted."""
        optimizer = make_optimizer(self.model, self._config)
        if self._plan.optimizer_state is not None:
            optimizer.load_state_dict(self._plan.optimizer_state)
        return optimizer

    def train(self, mode: bool = True) -> Self:
        """Set the training mode; pretrained batch-norm statistics stay as they are."""
        super().train(mode)
        if self._plan.fixed_statistics and self.model.backbone is not None:
            for module in self.model.backbone.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move a batch as it knows best."""
        return batch.to(device)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Set the learning rate and draw the randomness of this batch."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, Optimizer)
        set_lr(optimizer, lr_at(self.state.step, self._config, self._plan.total_steps))
        number = self.state.step * self._config.accumulate + batch_idx % self._config.accumulate
        seed_dropout(batch_seed(self._config.seed, number, self.global_rank), self.device)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor | None:
        """Return the weighted loss of the batch; None where nothing learns from it.

        Raises:
            ConfigError: If the loss is no longer a number.
            DataError: If nothing in the batch can be decoded.
        """
        loss = self.loss(batch)
        value = loss.item()
        if not math.isfinite(value):
            raise lost_number("loss", value, self.state.step + 1, self._config, self._plan.total_steps)
        self.state.add("train_loss", value)
        self.state.num_batches += 1
        return loss * self.loss_weight if loss.requires_grad else None

    def encode(self, batch: FrameBatch) -> tuple[Tensor, Tensor]:
        """Return the features `(B, T, D)` and lengths `(B,)` of clips of frames: one pass of the CNN for the batch.

        With `gradient_checkpointing` it is one pass for each clip, and another in the backward pass.

        Raises:
            DataError: If there is no clip.
        """
        self.failures.update(batch.failures)
        if not batch.frames:
            raise DataError(f"nothing of a whole batch can be decoded; the first: {batch.failures[0]}")
        lengths = [len(frames) for frames in batch.frames]
        images = [self.preprocess(frames, view) for frames, view in zip(batch.frames, batch.views, strict=True)]
        if self._config.gradient_checkpointing and torch.is_grad_enabled():
            # one example after the other: a checkpoint around all of them would compute all again at once
            parts = [checkpoint(self.model.encode, each, use_reentrant=False) for each in images]
            return pad_sequence(parts, batch_first=True), torch.tensor(lengths)
        features = self.model.encode(torch.cat(images))
        return pad_sequence(list(torch.split(features, lengths)), batch_first=True), torch.tensor(lengths)


def lost_number(name: str, value: float, step: int, config: TrainingConfig, total_steps: int) -> ConfigError:
    """Return the error for a loss that is no longer a finite number, at a step counted from 1."""
    lr = lr_at(step - 1, config, total_steps)
    return ConfigError(f"{name} became {value} at step {step} (learning rate {lr:.3g}): set a lower lr, or clip_norm")


def seed_dropout(seed: int, device: torch.device) -> None:
    """Seed the generators that dropout draws from on this device.

    `torch.manual_seed` does so for all devices, at 5 ms a call where CUDA is installed and not in use.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


def batch_seed(seed: int, number: int, rank: int) -> int:
    """Return the seed of a batch's dropout, different for every batch of a run and every process."""
    return int(np.random.SeedSequence((seed, number, rank)).generate_state(1, np.uint64)[0] >> np.uint64(1))
