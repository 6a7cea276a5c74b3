"""Trained weights for a backbone: packaged, downloaded by torchvision or timm, or from a file of the user's."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lrcn.errors import ConfigError
from lrcn.models.backbone_specs import BackboneSpec


def load_weights(
    trunk: nn.Module, weights: str | Path, spec: BackboneSpec, *, name: str, network_keys: frozenset[str]
) -> None:
    """Fill `trunk` with trained weights; float16 ones widen to the trunk's dtype.

    Args:
        trunk: The network, cut at a layer.
        weights: `auto` or a file, as in `build_backbone`.
        spec: Knows where `auto` leads.
        name: Of the backbone, for errors.
        network_keys: State dict keys of the whole network: those that the cut dropped may be in `weights`.

    Raises:
        ConfigError: If the weights cannot be had, or a tensor is missing, unknown or of another shape.
    """
    if weights == "auto":
        state, source = _fetch(spec, name), f"the weights of {name!r}"
    else:
        state, source = _read(Path(weights)), str(weights)
    own = trunk.state_dict()
    missing = [key for key in own if key not in state]
    unknown = [key for key in state if key not in own and key not in network_keys]
    other = [key for key in own if key in state and state[key].shape != own[key].shape]
    for problem, keys in (("lacks", missing), ("has unknown", unknown), ("has another shape for", other)):
        if keys:
            more = f" ({len(keys) - 1} more)" if len(keys) > 1 else ""
            raise ConfigError(f"{source} does not fit backbone {name!r}: it {problem} {keys[0]}{more}")
    trunk.load_state_dict({key: state[key] for key in own})


def _fetch(spec: BackboneSpec, name: str) -> Mapping[str, Tensor]:
    if spec.weights is None:
        raise ConfigError(
            f"backbone {name!r} comes without weights: set backbone_weights to a file (a state dict, or what "
            "lrcn import-caffe wrote), or to 'none' for random ones"
        )
    try:
        with redirect_stdout(sys.stderr):  # torch.hub says there what it downloads
            return spec.weights()
    except Exception as exc:  # each hub client has errors of its own, from URLError to httpx.ConnectError
        reason = str(exc).strip().splitlines() or [type(exc).__name__]
        raise ConfigError(f"cannot fetch the weights of {name!r} ({reason[0]}): {spec.weights_hint}") from exc


_IN_MODELS = "backbone.trunk."
"""Prefix of a backbone's tensors in our model files, whose other tensors are the head's."""


def _read(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise ConfigError(f"weights {path}: no such file; give a .safetensors or .pth file, 'auto' or 'none'")
    if path.suffix == ".caffemodel":
        raise ConfigError(f"weights {path}: in Caffe's format; turn them into a model file first: lrcn import-caffe")
    try:
        state: Any = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except Exception as exc:  # safetensors, zipfile, pickle and torch raise whatever they trip over
        raise ConfigError(f"weights {path}: not a readable state dict ({type(exc).__name__})") from exc
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) and value.layout == torch.strided and not value.is_quantized
        for key, value in state.items()
    ):
        raise ConfigError(f"weights {path}: holds no plain state dict of tensors")
    ours = {key.removeprefix(_IN_MODELS): value for key, value in state.items() if key.startswith(_IN_MODELS)}
    return ours or state
