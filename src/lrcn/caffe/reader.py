"""Reads Caffe's files: a caffemodel (layers with their weights) and a prototxt (the same layers without)."""

from __future__ import annotations

import math
import mmap
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lrcn.caffe.schema import message_class
from lrcn.errors import ModelFileError, require

Blob = npt.NDArray[np.float32]

_V1_TYPES = {
    "CONVOLUTION": "Convolution",
    "DROPOUT": "Dropout",
    "FLATTEN": "Flatten",
    "INNER_PRODUCT": "InnerProduct",
    "POOLING": "Pooling",
    "RELU": "ReLU",
    "SPLIT": "Split",
}
"""Today's names of the old types that the importer tells apart; LRN has kept its name."""


_PIXEL_SETTINGS = {"mean", "python_layer"}
"""Settings of layers that prepare pixels."""


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class CaffeLayer:
    """One layer: how it is connected, what it does, and what it has learnt."""

    name: str
    type: str
    """As in today's prototxt: `Convolution`, `InnerProduct`, `LSTM`, ..."""
    bottoms: tuple[str, ...]
    """Names of the arrays it reads."""
    tops: tuple[str, ...]
    """Names of the arrays it writes."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What the file says about kernel, stride, pad, ...; empty where it says nothing."""
    blobs: tuple[Blob, ...] = ()
    """Weights, then biases, read-only, each in its own shape."""


@dataclass(frozen=True)
class CaffeModel:
    """The layers of a file, in its order."""

    path: Path
    name: str
    layers: tuple[CaffeLayer, ...]
    input_px: int | None = None
    """Side of the square images that it takes, where the file says so."""


def read_net(model_path: str | Path, prototxt: str | Path | None = None) -> CaffeModel:
    """Read a caffemodel and, where a prototxt is given, take layers and connections from there, as Caffe does.

    Weights are matched by layer name; a layer of the caffemodel that the prototxt does not name, and that has weights
    or says how pixels are prepared, comes at the end, cut off from the others.

    Raises:
        ModelFileError: As for `read_caffemodel` and `read_prototxt`.
        MissingExtraError: If protobuf is not installed.
    """
    model = read_caffemodel(model_path)
    if prototxt is None:
        return model
    net = read_prototxt(prototxt)
    blobs = {layer.name: layer.blobs for layer in model.layers if layer.blobs}
    layers = [replace(layer, blobs=blobs.pop(layer.name, ())) for layer in net.layers]
    named = {layer.name for layer in net.layers}
    layers += [
        replace(layer, bottoms=(), tops=())
        for layer in model.layers
        if layer.name in blobs or (layer.name not in named and _PIXEL_SETTINGS & layer.settings.keys())
    ]
    return CaffeModel(model.path, net.name, tuple(layers), net.input_px or model.input_px)


def read_caffemodel(path: str | Path) -> CaffeModel:
    """Read a `.caffemodel`, with layers old (V1) or new.

    The file is mapped, not loaded; at the peak its weights are in memory twice.

    Raises:
        ModelFileError: If the file cannot be opened, is no caffemodel, or is cut short or damaged.
        MissingExtraError: If protobuf is not installed.
    """
    path = Path(path)
    # before the file, so that a missing package is not mistaken for a bad file
    decode_error = require("google.protobuf.message", extra="caffe", wanted_by="reading a caffemodel").DecodeError
    net = message_class("NetParameter")()
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:
                raise ModelFileError(f"{path}: the file is empty; download or copy the caffemodel again")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content, memoryview(content) as view:
                _refuse_foreign(path, bytes(view[:4096]))
                net.ParseFromString(view)
        model = _model(path, net)
    except OSError as exc:
        raise ModelFileError(f"{path}: cannot be read: {exc.strerror}") from exc
    except (decode_error, UnicodeDecodeError) as exc:
        raise ModelFileError(f"{path}: not a caffemodel, or cut short or damaged; download or copy it again") from exc
    if not any(layer.blobs for layer in model.layers):
        raise ModelFileError(f"{path}: not a caffemodel, or cut short: it holds {len(model.layers)} layers, no weights")
    return model


def read_prototxt(path: str | Path) -> CaffeModel:
    """Read a `.prototxt`: the same as `read_caffemodel` gives, without weights.

    Raises:
        ModelFileError: If the file cannot be opened or is no prototxt of a net.
        MissingExtraError: If protobuf is not installed.
    """
    path = Path(path)
    text_format = require("google.protobuf.text_format", extra="caffe", wanted_by="reading a prototxt")
    net = message_class("NetParameter")()
    try:
        text_format.Parse(path.read_text(encoding="utf-8"), net, allow_unknown_field=True)
    except OSError as exc:
        raise ModelFileError(f"{path}: cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ModelFileError(f"{path}: not a prototxt: it is no text file") from exc
    except text_format.ParseError as exc:
        line = f" line {exc.GetLine()}" if exc.GetLine() else ""
        raise ModelFileError(f"{path}{line}: not a prototxt: {str(exc).splitlines()[0]}") from exc
    model = _model(path, net)
    if not model.layers:
        raise ModelFileError(f"{path}: not the prototxt of a net: it holds no layers")
    return model


def _refuse_foreign(path: Path, head: bytes) -> None:
    """Name the files that are commonly taken for a caffemodel."""
    if head.startswith(b"\x89HDF"):
        raise ModelFileError(f"{path}: a caffemodel in HDF5 form; save it with snapshot_format BINARYPROTO")
    if all(byte >= 0x20 or byte in b"\t\n\r" for byte in head) and head.isascii():
        hint = "a prototxt? give it as --prototxt" if b"layer" in head else "did its download fail?"
        raise ModelFileError(f"{path}: a text file, not a caffemodel ({hint})")


def _model(path: Path, net: Any) -> CaffeModel:
    if any(layer.HasField("layer") for layer in net.layers):
        raise ModelFileError(f"{path}: Caffe's format of 2013; convert it with Caffe's upgrade_net_proto_binary")
    layers = [_layer(path, layer, _v1_type(layer)) for layer in net.layers]
    layers += [_layer(path, layer, layer.type) for layer in net.layer]
    return CaffeModel(path, _text(net.name), tuple(layers), _input_px(net))


def _v1_type(layer: Any) -> str:
    name: str = layer.DESCRIPTOR.fields_by_name["type"].enum_type.values_by_number[layer.type].name
    return _V1_TYPES.get(name, name)


def _layer(path: Path, layer: Any, type_name: str) -> CaffeLayer:
    name = _text(layer.name)
    bottoms, tops = (tuple(_text(array) for array in arrays) for arrays in (layer.bottom, layer.top))
    blobs = tuple(_blob(blob, f"{path}: layer {name!r} blob {i}") for i, blob in enumerate(layer.blobs))
    return CaffeLayer(name, _text(type_name), bottoms, tops, _settings(layer), blobs)


def _text(value: str | bytes) -> str:
    """A name, fit to be printed; protobuf gives bytes where it is no UTF-8, which Caffe does not mind."""
    text = value if isinstance(value, str) else value.decode(errors="replace")
    return text if text.isprintable() else "".join(char if char.isprintable() else "\ufffd" for char in text)


def _blob(blob: Any, where: str) -> Blob:
    if any(blob.HasField(name) for name in ("num", "channels", "height", "width")):
        shape = (blob.num, blob.channels, blob.height, blob.width)  # files of before 2014-10
    else:
        shape = tuple(blob.shape.dim)
    packed = b"".join(blob.data)
    count = math.prod(shape) if min(shape, default=0) >= 0 else -1
    if blob.double_data:
        values = np.asarray(blob.double_data, dtype=np.float64).astype(np.float32)
    elif len(packed) == 4 * count:
        values = np.frombuffer(packed, dtype="<f4")
    else:  # the floats are not packed, so that they were skipped as an unknown field
        floats = message_class("UnpackedBlob").FromString(blob.SerializeToString()).data
        values = np.fromiter(floats, dtype=np.float32, count=len(floats))
    if len(values) != count:
        raise ModelFileError(f"{where} holds {len(values)} numbers for shape {shape}: the file is damaged")
    if not np.isfinite(values).all():
        raise ModelFileError(f"{where} holds numbers that are not finite: the file is damaged")
    values = values.reshape(shape)
    values.flags.writeable = False
    return values


def _settings(layer: Any) -> dict[str, Any]:
    """What the layer's parameters say, under names of our own, each size as (height, width)."""
    settings: dict[str, Any] = {}
    names = {name.name for name, _ in layer.ListFields()}
    if "convolution_param" in names:
        conv = layer.convolution_param
        dilation = (*conv.dilation, *conv.dilation)[:2] or (1, 1)
        settings |= _window(conv) | {"group": conv.group if conv.HasField("group") else 1, "dilation": dilation}
    if "pooling_param" in names:
        pool = layer.pooling_param
        method = type(pool).DESCRIPTOR.fields_by_name["pool"].enum_type.values_by_number[pool.pool].name
        settings |= {"pool": "GLOBAL" if pool.global_pooling else method} | _window(pool)
    if "lrn_param" in names:
        lrn = layer.lrn_param
        default = {"local_size": 5, "alpha": 1.0, "beta": 0.75, "k": 1.0}
        settings |= {key: getattr(lrn, key) if lrn.HasField(key) else value for key, value in default.items()}
        settings["within_channel"] = bool(lrn.norm_region)
    if "inner_product_param" in names:
        settings["transpose"] = layer.inner_product_param.transpose
    if "relu_param" in names:
        settings["negative_slope"] = layer.relu_param.negative_slope
    if "transform_param" in names:
        pixels = layer.transform_param
        settings["mean"] = tuple(pixels.mean_value)
        settings["scale"] = pixels.scale if pixels.HasField("scale") else 1.0
        settings |= {"mean_file": _text(pixels.mean_file), "force_gray": pixels.force_gray}
    if "python_param" in names:
        settings["python_layer"] = _text(layer.python_param.layer)
    return settings


def _window(param: Any) -> dict[str, tuple[int, int]]:
    """Kernel, stride and padding as (height, width), given once, twice, or as _h and _w."""
    window = {}
    for name, both, default in (("kernel", "kernel_size", 0), ("stride", "stride", 1), ("pad", "pad", 0)):
        if param.HasField(f"{name}_h") or param.HasField(f"{name}_w"):
            window[name] = (getattr(param, f"{name}_h"), getattr(param, f"{name}_w"))
        else:
            sizes = (*getattr(param, both), *getattr(param, both))[:2] or (default, default)
            window[name] = (sizes[0], sizes[1])
    return window


def _input_px(net: Any) -> int | None:
    """The side of the images, from the net's inputs (deploy) or from the crop of its data layer (training)."""
    shapes = [tuple(shape.dim) for shape in net.input_shape]
    shapes += [tuple(net.input_dim[i : i + 4]) for i in range(0, len(net.input_dim), 4)]
    shapes += [tuple(shape.dim) for layer in net.layer for shape in layer.input_param.shape]
    for shape in shapes:
        if len(shape) == 4 and shape[1] == 3 and shape[2] == shape[3]:
            return int(shape[2])
    crops = [layer.transform_param.crop_size for layer in (*net.layers, *net.layer)]
    return next((int(crop) for crop in crops if crop), None)
