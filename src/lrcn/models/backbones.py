"""Backbones by name: a CNN cut at a feature layer, giving one vector for each frame."""

from __future__ import annotations

import contextlib
import difflib
import io
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lrcn.config import PACKAGED_BACKBONE, BackboneConfig
from lrcn.errors import ConfigError, ShapeError, UnknownNameError
from lrcn.models.backbone_cut import cut, cut_plainly
from lrcn.models.backbone_specs import (
    CAFFENET,
    EFFICIENTNET_LITE0,
    HYBRID,
    TIMM_PREFIX,
    BackboneSpec,
    timm_spec,
    torchvision_names,
    torchvision_spec,
)
from lrcn.models.backbone_weights import load_weights
from lrcn.models.pooling import cell_means

BACKBONES: dict[str, BackboneSpec] = {
    PACKAGED_BACKBONE: EFFICIENTNET_LITE0,
    "caffenet": CAFFENET,
    "hybrid": HYBRID,
}
"""The networks that have a name of their own, beside every torchvision name and `timm/<name>`."""


def register_backbone(name: str, spec: BackboneSpec) -> None:
    """Add a backbone, so that `BackboneConfig(name=name)` and the command line know it.

    Raises:
        ConfigError: If the name is taken.
    """
    if name in BACKBONES or name in torchvision_names() or name.startswith(TIMM_PREFIX):
        raise ConfigError(f"backbone name {name!r} is taken: register another name")
    BACKBONES[name] = spec


def find_spec(name: str) -> BackboneSpec:
    """The spec of a backbone; `UnknownNameError` if neither the table, torchvision nor timm knows the name."""
    if name in BACKBONES:
        return BACKBONES[name]
    if name in torchvision_names():
        return torchvision_spec(name)
    import timm

    if name.startswith(TIMM_PREFIX) and timm.is_model(name.removeprefix(TIMM_PREFIX)):
        return timm_spec(name.removeprefix(TIMM_PREFIX))
    known = [*BACKBONES, *torchvision_names(), *(TIMM_PREFIX + model for model in timm.list_models())]
    near = difflib.get_close_matches(name, known, n=3)
    hint = f" did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise UnknownNameError(
        f"unknown backbone {name!r};{hint} choices: {', '.join(sorted(BACKBONES))}, "
        "any torchvision classification network, timm/<name>"
    )


def default_preprocess(name: str) -> dict[str, Any]:
    """The fields of `PreprocessConfig` (resize, crop, mean, std, channel_order) that a backbone's weights go with.

    Empty where nothing is known. Sizes in px, mean and std in units of 0-255.

    Raises:
        UnknownNameError: If there is no such backbone.
    """
    return dict(find_spec(name).preprocess)


class Backbone(nn.Module):
    """A network cut at a layer: frames `(N, 3, H, W)` to features `(N, D)`.

    Holds only the modules and weights that the feature needs.
    """

    feature_size: int
    """D"""
    frozen: bool = False
    """Whether `freeze` was called."""

    def __init__(self, trunk: nn.Module, *, grid: int = 1, input_px: int = 224, description: str = "backbone") -> None:
        """Wrap a network.

        Args:
            trunk: Gives a vector `(N, D)` or a map `(N, C, h, w)`; or a dictionary of several, which are joined.
            grid: A map is averaged to `(C, grid, grid)` and flattened, channel by channel.
            input_px: Side of the square frame with which the size of the feature is found.
            description: Names the network and its layer in errors.

        Raises:
            ConfigError: If the output is neither, or no map, or too small a map, where `grid` is above 1.
        """
        super().__init__()
        # convolutions run 12 to 20 % faster on CPUs with the channels last (measured: lite0, AlexNet, ResNet-18, the
        # hybrid net), and faster on GPUs; here is the one place that says so, for weights and, below, for frames
        self.trunk = trunk.to(memory_format=torch.channels_last)
        self.grid = grid
        self.description = description
        self.feature_size = self._feature_size(input_px)

    def forward(self, frames: Tensor) -> Tensor:
        """The features `(N, D)` of preprocessed frames `(N, 3, H, W)`.

        Raises:
            ShapeError: If the frames have another shape.
        """
        if frames.dim() != 4 or frames.shape[1] != 3:
            raise ShapeError(f"frames must be (frames, 3, height, width), got {tuple(frames.shape)}")
        return self.joined(self.outputs(frames))

    def outputs(self, frames: Tensor) -> list[Tensor]:
        """What the layers give of frames, before it is pooled and joined: vectors `(N, D)` or maps `(N, C, h, w)`."""
        return _outputs(self.trunk(frames.contiguous(memory_format=torch.channels_last)))

    def joined(self, outputs: list[Tensor]) -> Tensor:
        """The features `(N, D)` of what the layers give."""
        parts = [cell_means(part, self.grid).flatten(1) if part.dim() == 4 else part for part in outputs]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def check_input(self, px: int) -> None:
        """Make sure that square frames of `px` can be taken, before any video is read.

        Raises:
            ConfigError: If the network fails on them or gives a feature of another size.
        """
        size = self._feature_size(px)
        if size != self.feature_size:
            raise ConfigError(f"{self.description} gives {size} values for {px} px frames, not {self.feature_size}")

    def _feature_size(self, px: int) -> int:
        try:
            shapes = _output_shapes(self.trunk, px)
        except (RuntimeError, ValueError, AssertionError, TypeError, IndexError) as exc:
            reason = (str(exc).strip() or type(exc).__name__).splitlines()[0]
            raise ConfigError(f"{self.description} cannot take {px} px frames: set another crop ({reason})") from exc
        return sum(self._values_of(shape, px) for shape in shapes)

    def _values_of(self, shape: tuple[int, ...], px: int) -> int:
        if len(shape) not in (1, 3):
            raise ConfigError(
                f"{self.description} gives {shape} for a frame, no vector and no (C, H, W) map: name another layer"
            )
        if self.grid > 1 and (len(shape) == 1 or min(shape[1:]) < self.grid):
            raise ConfigError(
                f"{self.description} gives {shape} for a {px} px frame, no map for a grid of {self.grid}: "
                "use grid 1 or name another layer"
            )
        return shape[0] * self.grid**2 if len(shape) == 3 else shape[0]

    def freeze(self) -> None:
        """Stop training for good: no gradient, and evaluation mode (batch-norm statistics too) through `.train()`."""
        self.frozen = True
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> Backbone:
        """Set the training mode; a frozen backbone stays in evaluation mode."""
        super().train(mode and not self.frozen)
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Backbone:
        # a network cut by torchvision comes back from copying in training mode, whatever mode it was in
        copied = type(self).__new__(type(self))
        memo[id(self)] = copied
        copied.__dict__ = deepcopy(self.__dict__, memo)
        copied.trunk.train(self.trunk.training)
        return copied


def build_backbone(config: BackboneConfig, *, weights: str | Path = "auto") -> Backbone:
    """Make a backbone cut at the configured layer.

    Args:
        config: Network, layer and grid.
        weights: `auto` for the packaged weights or those that torchvision or timm download; `none` for random ones;
            else a `.safetensors`, `.pth` or `.pt` file with the state dict of the network (never unpickled).

    Raises:
        UnknownNameError: If the network or the layer does not exist; the message names near matches.
        ConfigError: If the weights cannot be had or do not fit, or the layer gives no vector or map.
    """
    spec = find_spec(config.name)
    network = _built(spec, config)
    network_keys = frozenset(network.state_dict())
    layers = [spec.layers.get(layer, layer) for layer in config.layer.split("+")]
    if not config.layer:
        layers = [spec.default_layer if isinstance(spec.default_layer, str) else spec.default_layer(network)]
    if spec.is_plain and set(layers) <= {path for path, _ in network.named_modules(remove_duplicate=False)} - {""}:
        trunk = cut_plainly(network, layers)
    else:
        trunk = cut(network, layers, name=config.name, short_names=spec.layers) if any(layers) else network
    if weights != "none":
        load_weights(trunk, weights, spec, name=config.name, network_keys=network_keys)
    where = f"layer {config.layer!r} of backbone {config.name!r}" if config.layer else f"backbone {config.name!r}"
    input_px = config.sizes.get("input_px", int(spec.preprocess.get("crop", 224)))
    return Backbone(trunk, grid=config.grid, input_px=input_px, description=where)


def _built(spec: BackboneSpec, config: BackboneConfig) -> nn.Module:
    if not config.sizes:
        return spec.build()
    if spec.build_sized is None:
        raise ConfigError(f"backbone {config.name!r} comes in one size only: leave sizes empty")
    return spec.build_sized(config.sizes)


def _outputs(output: Any) -> list[Tensor]:
    return list(output.values()) if isinstance(output, dict) else [output]


_RUN_UP_TO = 10**8
"""Values in the weights of a network that is run to find its shapes. On `meta` nothing is computed, but torch imports
for two seconds to compute nothing."""


def _output_shapes(trunk: nn.Module, px: int) -> list[tuple[int, ...]]:
    """The shapes of what the network gives for one frame, found with zeros for weights: none is read or copied."""
    tensors = dict((*trunk.named_parameters(), *trunk.named_buffers()))
    device = "cpu" if sum(tensor.numel() for tensor in tensors.values()) <= _RUN_UP_TO else "meta"
    zeros = {
        name: torch.zeros((), dtype=_computed_in(tensor.dtype), device=device).expand(tensor.shape)
        for name, tensor in tensors.items()
    }
    training = trunk.training
    trunk.eval()
    try:
        # a traced network prints a traceback of its own before it raises
        with torch.no_grad(), contextlib.redirect_stderr(io.StringIO()):
            frames = torch.zeros(1, 3, px, px, device=device)
            return [tuple(part.shape[1:]) for part in _outputs(functional_call(trunk, zeros, (frames,)))]
    finally:
        trunk.train(training)


def _computed_in(dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if dtype.is_floating_point else dtype
