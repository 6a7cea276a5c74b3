"""From the layers of a caffemodel to tensors under our own names.

What a layer is, follows from the connections in the file, not from its name; its place, settings and shapes must be
those of a network that this package has, so that nothing is imported that would compute something else.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lrcn.caffe.reader import Blob, CaffeLayer, CaffeModel
from lrcn.config import BackboneConfig
from lrcn.errors import ConfigError, ModelFileError
from lrcn.models.backbones import find_spec
from lrcn.models.caffe_nets import CAFFENET_SIZES, HYBRID_SIZES

_TYPES: dict[type[nn.Module], str] = {
    nn.Conv2d: "Convolution",
    nn.ReLU: "ReLU",
    nn.MaxPool2d: "Pooling",
    nn.LocalResponseNorm: "LRN",
    nn.Linear: "InnerProduct",
}

_WITHOUT_EFFECT = ("Dropout", "Flatten", "Reshape", "Split")
"""Layers that change no value when the network is used."""

_BACKBONES_BY_KERNEL = {(7, 7): "hybrid", (11, 11): "caffenet", (3, 3): "vgg16"}
"""The first convolution's kernel tells the three backbones of the release apart."""

_SIZE_NAMES = {"Convolution": ("conv1", "conv2", "conv3", "conv4", "conv5"), "InnerProduct": ("fc6", "fc7", "fc8")}


@dataclass(frozen=True)
class BackboneWeights:
    """A backbone found in a caffemodel."""

    config: BackboneConfig
    input_px: int
    feature_size: int
    tensors: dict[str, Tensor] = field(repr=False)
    """By the names of the network's own state dict, for example `conv1.weight`."""


@dataclass(frozen=True)
class LSTMWeights:
    """The LSTM layers of a caffemodel, as the arguments and the state dict of an `LSTMStack`."""

    hidden_size: int
    num_layers: int
    context_size: int
    """Size of Caffe's static input; 0 for none."""
    context_layer: int
    tensors: dict[str, Tensor] = field(repr=False)


def chain_to(model: CaffeModel, end: CaffeLayer) -> list[CaffeLayer]:
    """The layers with an effect that lead to `end`, first to last, `end` included, along each layer's first input.

    In a file that holds no connections these are the layers with weights in its order.
    """
    before = list(model.layers[: model.layers.index(end)])
    if not any(layer.bottoms for layer in model.layers):
        return [*(layer for layer in before if layer.blobs), end]
    chain = [end]
    while chain[-1].bottoms:
        wanted = chain[-1].bottoms[0]
        while before and wanted not in before[-1].tops:
            before.pop()
        if not before:
            break
        chain.append(before.pop())
    return [layer for layer in reversed(chain) if layer.bottoms and layer.type not in _WITHOUT_EFFECT]


def last_dense(model: CaffeModel) -> CaffeLayer:
    """The layer that gives the logits: the last fully connected one that is connected to anything.

    Raises:
        ModelFileError: If there is none.
    """
    connected = any(layer.bottoms for layer in model.layers)
    for layer in reversed(model.layers):
        if layer.type == "InnerProduct" and (layer.bottoms or not connected):
            return layer
    raise ModelFileError(f"{model.path}: no layer of type InnerProduct, so no classifier; is it cut short?")


def unused_layers(model: CaffeModel, taken: Sequence[str]) -> tuple[str, ...]:
    """Names of the layers with weights that are not among `taken`."""
    return tuple(layer.name for layer in model.layers if layer.blobs and layer.name not in taken)


def writer_of(model: CaffeModel, name: str) -> CaffeLayer | None:
    """The layer that last writes the array `name`, if that layer reads something itself."""
    return next((layer for layer in reversed(model.layers) if name in layer.tops and layer.bottoms), None)


def backbone_weights(model: CaffeModel, chain: Sequence[CaffeLayer]) -> BackboneWeights:
    """Match the layers from the pixels to the feature against the backbones of the release.

    Args:
        model: Where they come from.
        chain: The layers, as `chain_to` gives them.

    Raises:
        ModelFileError: If they form none of the backbones; the message names the first layer that differs.
    """
    first = chain[0]
    kernel = _blob(model, first, 0).shape[2:] if first.type == "Convolution" else ()
    if kernel not in _BACKBONES_BY_KERNEL or _blob(model, first, 0).shape[1] != 3:
        found = f"{first.name!r} ({first.type}, reading {first.bottoms[0]!r})" if first.bottoms else repr(first.name)
        raise ModelFileError(
            f"{model.path}: the net begins with layer {found}, not with a 7x7 (hybrid), 11x11 (CaffeNet) or "
            "3x3 (VGG16) convolution of 3 channels; is a layer missing?"
        )
    name = _BACKBONES_BY_KERNEL[kernel]
    num_dense = sum(layer.type == "InnerProduct" for layer in chain)
    if not 1 <= num_dense <= 3:
        raise ModelFileError(
            f"{model.path}: {num_dense} fully connected layers between the convolutions and what reads the feature, "
            "expected fc6, or fc6 and fc7, or fc6 to fc8; is the file cut short?"
        )
    feature = _SIZE_NAMES["InnerProduct"][num_dense - 1]
    config, input_px = BackboneConfig(name=name, layer=feature), model.input_px or find_spec(name).preprocess["crop"]
    if name == "vgg16" and input_px != find_spec(name).preprocess["crop"]:
        raise ModelFileError(
            f"{model.path}: a VGG16 net for images of {input_px} px, where one of 224 px is read: at other sizes Caffe "
            "pools maps of other sizes"
        )
    if name != "vgg16":
        config = replace(config, sizes=_changed_sizes(name, _sizes(model, chain) | {"input_px": input_px}))
    spec = find_spec(name)
    try:
        with torch.device("meta"):  # only its shapes are wanted
            network = spec.build_sized(config.sizes) if config.sizes and spec.build_sized else spec.build()
    except ConfigError as exc:
        raise ModelFileError(f"{model.path}: {exc}") from exc
    modules = _modules_up_to(network, num_dense, only_weights=not first.bottoms)
    tensors: dict[str, Tensor] = {}
    for layer, entry in itertools.zip_longest(chain, modules):
        if layer is None or entry is None or layer.type != _TYPES[type(entry[1])]:
            raise ModelFileError(f"{model.path}: {_difference(layer, entry, name)}")
        path, module = entry
        _check_settings(model, layer, module, name)
        if isinstance(module, nn.Conv2d | nn.Linear):
            tensors |= {f"{path}.{key}": value for key, value in dense_tensors(model, layer, module).items()}
    feature_size = matrix(model, [layer for layer in chain if layer.type == "InnerProduct"][-1], 0).shape[0]
    return BackboneWeights(config, input_px, feature_size, tensors)


def dense_tensors(model: CaffeModel, layer: CaffeLayer, module: nn.Conv2d | nn.Linear) -> dict[str, Tensor]:
    """The `weight` and `bias` of a convolution or fully connected layer, in the shapes that `module` has.

    A layer without a bias gets one of zeros.

    Raises:
        ModelFileError: If the layer has no weights or other shapes.
    """
    weight = checked_tensor(model, layer, 0, tuple(module.weight.shape))
    if len(layer.blobs) > 2:
        raise ModelFileError(f"{model.path}: layer {layer.name!r} has {len(layer.blobs)} blobs, expected 1 or 2")
    if len(layer.blobs) == 1:
        return {"weight": weight, "bias": torch.zeros(weight.shape[0])}
    return {"weight": weight, "bias": checked_tensor(model, layer, 1, (weight.shape[0],))}


def classifier_tensors(model: CaffeModel, layer: CaffeLayer, in_features: int) -> dict[str, Tensor]:
    """The `weight` (A, in_features) and `bias` (A,) of the layer that gives the class or word logits.

    Raises:
        ModelFileError: If the layer has no weights or other shapes.
    """
    num_outputs = matrix(model, layer, 0).shape[0]
    with torch.device("meta"):
        module = nn.Linear(in_features, num_outputs)
    _check_settings(model, layer, module, "classifier")
    return dense_tensors(model, layer, module)


def lstm_weights(model: CaffeModel, layers: Sequence[CaffeLayer], *, input_size: int) -> LSTMWeights:
    """The weights of Caffe's LSTM layers, each reading the one before, for an `LSTMStack`.

    Caffe keeps W_xc `(4K, D)`, b `(4K,)`, with a static input W_s `(4K, S)`, and W_hc `(4K, K)`, rows in gate order
    i, f, o, g; torch's order is i, f, g, o, and the static input's columns follow those of the input.

    Args:
        model: Where they come from.
        layers: Bottom layer first.
        input_size: Size D of what the first one reads.

    Raises:
        ModelFileError: If the layers have other shapes, different widths, or more than one static input.

    Source: lstm_layer.cpp, lstm_unit_layer.cpp and recurrent_layer.cpp of BVLC Caffe; the LRCN forks compute the same.
    """
    tensors: dict[str, Tensor] = {}
    below, hidden_size = input_size, matrix(model, layers[0], -1).shape[1]
    context_size, context_layer = 0, 0
    for i, layer in enumerate(layers):
        if len(layer.blobs) not in (3, 4):
            raise ModelFileError(f"{model.path}: layer {layer.name!r} has {len(layer.blobs)} blobs, expected 3 or 4")
        rows = 4 * hidden_size
        from_input = checked_tensor(model, layer, 0, (rows, below))
        bias = checked_tensor(model, layer, 1, (rows,))
        if len(layer.blobs) == 4:
            if context_size:
                raise ModelFileError(
                    f"{model.path}: layer {layer.name!r} is the second with a static input, expected one"
                )
            context_size, context_layer = matrix(model, layer, 2).shape[1], i
            from_input = torch.cat([from_input, checked_tensor(model, layer, 2, (rows, context_size))], dim=1)
        from_hidden = checked_tensor(model, layer, -1, (rows, hidden_size))
        tensors |= {
            f"layers.{i}.weight_ih_l0": _torch_gates(from_input),
            f"layers.{i}.weight_hh_l0": _torch_gates(from_hidden),
            f"layers.{i}.bias_ih_l0": _torch_gates(bias),
            f"layers.{i}.bias_hh_l0": torch.zeros(rows),  # Caffe has one bias
        }
        below = hidden_size
    return LSTMWeights(hidden_size, len(layers), context_size, context_layer, tensors)


def matrix(model: CaffeModel, layer: CaffeLayer, index: int) -> Blob:
    """A blob of two dimensions; old files write them as (1, 1, rows, columns).

    Raises:
        ModelFileError: If there is no such blob, or it has more dimensions.
    """
    blob = _blob(model, layer, index)
    if blob.ndim > 2 and set(blob.shape[:-2]) == {1}:
        blob = blob.reshape(blob.shape[-2:])
    if blob.ndim != 2:
        raise _wrong_shape(model, layer, index, "(rows, columns)")
    return blob


def _torch_gates(rows: Tensor) -> Tensor:
    input_gate, forget_gate, output_gate, candidate = rows.chunk(4)
    return torch.cat([input_gate, forget_gate, candidate, output_gate])


def _blob(model: CaffeModel, layer: CaffeLayer, index: int) -> Blob:
    if not layer.blobs:
        raise ModelFileError(f"{model.path}: layer {layer.name!r} ({layer.type}) has no weights in the file")
    return layer.blobs[index]


def checked_tensor(model: CaffeModel, layer: CaffeLayer, index: int, shape: tuple[int, ...]) -> Tensor:
    """A blob as a tensor of its own; old files write ones before its dimensions, which are dropped.

    Raises:
        ModelFileError: If there is no such blob, or it has another shape.
    """
    blob = _blob(model, layer, index)
    found = blob.shape
    while len(found) > len(shape) and found[0] == 1:
        found = found[1:]
    if found != shape:
        raise _wrong_shape(model, layer, index, str(shape))
    return torch.from_numpy(np.array(blob.reshape(shape)))


def _wrong_shape(model: CaffeModel, layer: CaffeLayer, index: int, expected: str) -> ModelFileError:
    number = index % len(layer.blobs)
    found = layer.blobs[index].shape
    hint = "" if model.input_px or layer.type != "InnerProduct" else "; --prototxt states the size of the images"
    return ModelFileError(f"{model.path}: layer {layer.name!r} blob {number} is {found}, expected {expected}{hint}")


def _sizes(model: CaffeModel, chain: Sequence[CaffeLayer]) -> dict[str, int]:
    """Outputs of each convolution and fully connected layer, by the names that `CaffeSizes` has."""
    sizes = {}
    for kind, names in _SIZE_NAMES.items():
        layers = [layer for layer in chain if layer.type == kind]
        for name, layer in zip(names, layers, strict=False):
            outputs = matrix(model, layer, 0) if kind == "InnerProduct" else _blob(model, layer, 0)
            if not outputs.shape:
                raise _wrong_shape(model, layer, 0, "(outputs, ...)")
            sizes[name] = outputs.shape[0]
    return sizes


def _changed_sizes(name: str, sizes: dict[str, int]) -> dict[str, int]:
    released = CAFFENET_SIZES if name == "caffenet" else HYBRID_SIZES
    return {key: value for key, value in sizes.items() if value != getattr(released, key)}


def _modules_up_to(network: nn.Module, num_dense: int, *, only_weights: bool) -> list[tuple[str, nn.Module]]:
    """The modules with an effect up to the given fully connected layer and, but for the last one, its ReLU."""
    modules = [(path, module) for path, module in network.named_modules() if type(module) in _TYPES]
    dense = [i for i, (_, module) in enumerate(modules) if isinstance(module, nn.Linear)]
    modules = modules[: dense[num_dense] if num_dense < len(dense) else None]
    return [entry for entry in modules if not only_weights or isinstance(entry[1], nn.Conv2d | nn.Linear)]


def _difference(layer: CaffeLayer | None, entry: tuple[str, nn.Module] | None, name: str) -> str:
    expected = f"has {entry[0]} ({_TYPES[type(entry[1])]})" if entry else "ends"
    found = f"layer {layer.name!r} ({layer.type}) stands" if layer else "the layers end"
    return f"{found} where the {name} net {expected}"


def _check_settings(model: CaffeModel, layer: CaffeLayer, module: nn.Module, name: str) -> None:
    for key, expected in _settings_of(module).items():
        found = layer.settings.get(key, expected)
        same = math.isclose(found, expected, rel_tol=1e-5) if isinstance(expected, float) else found == expected
        if not same:
            raise ModelFileError(
                f"{model.path}: layer {layer.name!r} has {key} {found}, expected {expected} as in the {name} net"
            )


def _settings_of(module: nn.Module) -> dict[str, Any]:
    """What a file must say about a layer, where it says anything, for the module to compute the same."""
    match module:
        case nn.Conv2d():
            pad, group, dilation = module.padding, module.groups, module.dilation
            return {"stride": module.stride, "pad": pad, "group": group, "dilation": dilation}
        case nn.MaxPool2d():
            sizes = {"kernel": module.kernel_size, "stride": module.stride, "pad": module.padding}
            return {"pool": "MAX"} | {key: (size, size) for key, size in sizes.items()}
        case nn.LocalResponseNorm():
            norm = {"local_size": module.size, "alpha": module.alpha, "beta": module.beta, "k": float(module.k)}
            return norm | {"within_channel": False}
        case nn.ReLU():
            return {"negative_slope": 0.0}
        case nn.Linear():
            return {"transpose": False}
    return {}
