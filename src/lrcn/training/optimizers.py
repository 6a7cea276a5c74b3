"""Optimisers, which parameters they treat alike, and the learning rate at each step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from lrcn.models.network import Network
from lrcn.training.config import TrainingConfig

WARM_UP = 0.05
"""Share of the steps in which the cosine schedule rises to the full learning rate."""


class CaffeSGD(Optimizer):
    """Stochastic gradient descent with momentum as Caffe does it.

        v = momentum v + lr (gradient + weight_decay w);  w = w - v

    `torch.optim.SGD` multiplies the learning rate to v as a whole, where Caffe multiplies it to what is added. Both do
    the same while the learning rate stays; when it drops to a tenth, Caffe's next steps still carry the momentum of
    before, torch's shrink at once.

    Source: SGDSolver::ComputeUpdateValue in solver.cpp of the release.
    """

    def __init__(self, params: Iterable[dict[str, Any]], *, lr: float, momentum: float, weight_decay: float) -> None:
        """Take parameter groups, each of which may state an `lr` and `weight_decay` of its own."""
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:  # type: ignore[override]
        """Update all parameters that have a gradient; the closure, if given, computes the loss and the gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is None:
                    continue
                state = self.state[param]
                if not state:
                    state["velocity"] = torch.zeros_like(param)
                gradient = param.grad.add(param, alpha=group["weight_decay"])
                state["velocity"].mul_(group["momentum"]).add_(gradient, alpha=group["lr"])
                param.sub_(state["velocity"])
        return loss


def make_optimizer(model: Network, config: TrainingConfig) -> Optimizer:
    """Return the configured optimiser over all trainable parameters."""
    groups = parameter_groups(model, config)
    if config.optimizer == "sgd":
        return CaffeSGD(groups, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay)
    # fused takes a third of the time on CPUs; in float16 it would scale gradients back after they were clipped
    fused = config.precision != "16-mixed"
    return AdamW(groups, lr=config.lr, weight_decay=config.weight_decay, fused=fused)


def parameter_groups(model: Network, config: TrainingConfig) -> list[dict[str, Any]]:
    """Return the trainable parameters in groups of one learning rate and weight decay each.

    Each group has a `multiplier`, which stays, and an `lr`, which `set_lr` changes. As in the release, an LSTM's bias
    is treated like its weights; all other biases learn `bias_lr_multiplier` times as fast and without decay, and the
    classifier `head_lr_multiplier` times, the CNN `backbone_lr_multiplier` times as fast. Normalisation has no decay.

    Args:
        model: Says which parameters are its classifier's.
        config: Says which of its parts count as the CNN, and how fast each learns.

    Source: lr_mult and decay_mult in train_test_lstm_RGB.prototxt and train_test_lstm_flow.prototxt.
    """
    multipliers = dict.fromkeys(model.classifier_parameters(), config.head_lr_multiplier)
    for part in config.backbone_parts:
        module = getattr(model, part)
        multipliers |= dict.fromkeys(module.parameters() if module else (), config.backbone_lr_multiplier)
    in_lstms = {p for module in model.modules() if isinstance(module, nn.LSTM) for p in module.parameters()}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, param in model.named_parameters():
        if not param.requires_grad:
            continue
        multiplier, decay = multipliers.get(param, 1.0), config.weight_decay
        if param.ndim == 1 and param not in in_lstms:
            decay = 0.0
            if name.endswith("bias"):
                multiplier *= config.bias_lr_multiplier
        groups.setdefault((multiplier, decay), []).append(param)
    groups = groups or {(1.0, 0.0): []}  # optimisers want one, though there be nothing to train
    return [
        {"params": params, "lr": config.lr * multiplier, "multiplier": multiplier, "weight_decay": decay}
        for (multiplier, decay), params in groups.items()
    ]


def lr_at(step: int, config: TrainingConfig, total_steps: int) -> float:
    """Return the learning rate of optimiser step `step`, counted from 0, for a multiplier of 1."""
    if config.lr_schedule == "step":
        assert config.lr_step is not None
        return config.lr * config.lr_gamma ** (step // config.lr_step)
    if config.lr_schedule == "constant":
        return config.lr
    warm_up = math.ceil(WARM_UP * total_steps)
    if step < warm_up:
        return config.lr * (step + 1) / warm_up
    return config.lr * 0.5 * (1.0 + math.cos(math.pi * (step - warm_up) / max(1, total_steps - warm_up)))


def set_lr(optimizer: Optimizer, lr: float) -> None:
    """Give each group its share of the learning rate of this step."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["multiplier"]
