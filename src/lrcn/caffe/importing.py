"""Turns the nets of the LRCN release, in Caffe's format, into model files of this package."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from lrcn import model_file
from lrcn.caffe.caption_file import caption_header, caption_tensors, read_words
from lrcn.caffe.captions import caption_weights, is_caption_net
from lrcn.caffe.reader import CaffeModel, read_net
from lrcn.caffe.weights import (
    backbone_weights,
    chain_to,
    classifier_tensors,
    last_dense,
    lstm_weights,
    unused_layers,
)
from lrcn.config import ModelHeader, PreprocessConfig, RecognitionConfig, RecognitionHeader
from lrcn.errors import DataError, ModelFileError, TaskMismatchError

Stream = Literal["rgb", "flow"]

_MEANS = {"rgb": (103.939, 116.779, 123.68), "flow": (128.0, 128.0, 128.0)}
"""BGR, from the prototxts of the released single-frame nets."""

_QUIRKY_RGB_MEAN = (103.939, 116.779, 128.68)
"""Of sequence_input_layer.py and classify_video.py: red is a slip of the pen (pull request 13 of the release)."""


@dataclass(frozen=True)
class ImportReport:
    """What an import wrote, and where it came from."""

    path: Path
    header: ModelHeader
    """Of the written file, digest included."""
    taken: tuple[str, ...]
    """Layers of the caffemodel whose weights are in the file."""
    ignored: tuple[str, ...]
    """Layers with weights that the network does not use."""
    net: str
    """What it is, in words."""
    stream: str = ""
    """`rgb` or `flow`, and why it was taken for a model of that; empty for a captioning net."""
    warnings: tuple[str, ...] = ()
    """What the user may want otherwise, a line each."""


@dataclass(frozen=True)
class _Network:
    config: RecognitionConfig
    input_px: int
    tensors: dict[str, Tensor]
    taken: tuple[str, ...]


def import_caffe(
    model_path: str | Path,
    *,
    labels: str | Path | None,
    output: str | Path,
    prototxt: str | Path | None = None,
    stream: Stream | None = None,
    release_quirks: bool = False,
) -> ImportReport:
    """Write the model file of a released model: single frame or LSTM, RGB or flow; or captioning, 1u, 2u or 2f.

    The kind follows from the layers: an LSTM that reads fc6 or fc7, or none, or one that reads words. Widths may differ
    from the release's.

    Args:
        model_path: The `.caffemodel`.
        labels: Text file of the classes: one a line in the order of the outputs, or as UCF-101's `classInd.txt`. For a
            captioning net its words: the release's `vocabulary.txt`. None numbers the classes: enough for a net that is
            wanted as a backbone.
        output: The model file to write; its folder must exist.
        prototxt: The net's description, where the one inside the caffemodel is missing or lists layers too many.
        stream: What the pixels are, for activity nets; None takes it from the data layer or, failing that, from the
            names of net and file.
        release_quirks: Prepare pixels with the mistakes of the released code, a red mean of 128.68 among them, as the
            published numbers of the released weights were made; see `PreprocessConfig.release_quirks`.

    Raises:
        ModelFileError: If a file is damaged or foreign, or a layer is missing, unknown or of another shape; nothing
            is written.
        TaskMismatchError: If it is a language model, or `stream` is flow and it is a captioning net.
        DataError: If the labels do not fit.
        MissingExtraError: If protobuf is not installed.
    """
    model = read_net(model_path, prototxt)
    warnings = _check_pixels(model)
    if is_caption_net(model):
        if labels is None:
            raise DataError(f"{model.path}: a captioning net: name its words, the release's vocabulary.txt")
        return _import_captions(model, labels, Path(output), stream)
    network = _network(model)
    stream, reason = (stream, "as given") if stream else _find_stream(model)
    header = RecognitionHeader(
        model=network.config,
        preprocess=_preprocess(stream, _mean(model, stream, release_quirks), network.input_px, release_quirks),
        labels=_numbered(network.config.num_classes)
        if labels is None
        else read_labels(labels, num_classes=network.config.num_classes),
        provenance=_provenance(model, network.taken),
    )
    digest = model_file.save(output, header, network.tensors)
    ignored = unused_layers(model, network.taken)
    config = network.config
    assert config.backbone is not None  # nets of the release look at pictures
    kind = "single-frame net" if config.head == "frame" else f"LSTM of {config.hidden_size} units"
    net = f"{kind} on {config.backbone.layer} of {config.backbone.name}, {config.num_classes} labels"
    if config.head == "lstm" and stream == "rgb" and not release_quirks:
        warnings += (
            "LSTM nets of the release were trained with a red mean of 128.68: --release-quirks prepares pixels so",
        )
    return ImportReport(
        Path(output), replace(header, sha256=digest), network.taken, ignored, net, f"{stream} ({reason})", warnings
    )


def _check_pixels(model: CaffeModel) -> tuple[str, ...]:
    """Return warnings about how the net's data layers prepare pixels.

    Raises:
        ModelFileError: If they do what is not done here.
    """
    warnings: tuple[str, ...] = ()
    for layer in model.layers:
        scale, mean_file = layer.settings.get("scale", 1.0), layer.settings.get("mean_file", "")
        if scale != 1.0:
            raise ModelFileError(
                f"{model.path}: layer {layer.name!r} multiplies pixels by {scale:g}; nets that take pixels of 0 to 255 "
                "are read"
            )
        if layer.settings.get("force_gray"):
            raise ModelFileError(f"{model.path}: layer {layer.name!r} takes grey images; only nets of colour are read")
        if mean_file and not layer.settings["mean"]:
            warnings += (
                f"layer {layer.name!r} subtracts the mean image {mean_file}, which is not read: a number for each "
                "channel is subtracted instead",
            )
    return warnings


def _numbered(num_classes: int) -> tuple[str, ...]:
    return tuple(f"class {number}" for number in range(num_classes))


def _import_captions(model: CaffeModel, labels: str | Path, output: Path, stream: Stream | None) -> ImportReport:
    if stream == "flow":
        raise TaskMismatchError(f"{model.path}: a captioning net, which looks at RGB images: leave out --stream flow")
    weights = caption_weights(model)
    words = read_words(labels, num_words=weights.num_words)
    provenance = _provenance(model, weights.taken)
    header = caption_header(weights, words, mean=_stated_mean(model), provenance=provenance)
    digest = model_file.save(output, header, caption_tensors(weights, words))
    backbone = header.model.backbone
    source = f"{backbone.layer} of {backbone.name}" if backbone else f"vectors of {header.model.vector_size} values"
    kind = f"captioning net {header.model.variant} of {header.model.hidden_size} units"
    net = f"{kind} on {source}, {len(header.vocabulary)} words"
    return ImportReport(output, replace(header, sha256=digest), weights.taken, weights.ignored, net)


def read_labels(path: str | Path, *, num_classes: int) -> tuple[str, ...]:
    """The class names of a text file, in label order.

    Either one a line, or `1 ApplyEyeMakeup` as in UCF-101's `classInd.txt`, numbered from 0 or 1 in any order.

    Raises:
        DataError: If it cannot be read, or does not hold `num_classes` different names.
    """
    path = Path(path)
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except OSError as exc:
        raise DataError(f"{path}: cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise DataError(f"{path}: not a text file of labels") from exc
    labels = [line for line in lines if line]
    numbered = [re.fullmatch(r"(\d+)\s+(\S.*)", label) for label in labels]
    names = {int(match[1]): match[2] for match in numbered if match}
    first = min(names, default=0)
    if first in (0, 1) and sorted(names) == list(range(first, first + len(labels))):
        labels = [names[number] for number in sorted(names)]
    elif first in (0, 1) and 1 < len(labels) == len(names):
        gap = next(number for number in range(first, first + len(labels) + 1) if number not in names)
        raise DataError(f"{path}: numbered labels, of which {gap} is missing; number them from 0 or 1 without a gap")
    if len(labels) != num_classes:
        raise DataError(f"{path}: {len(labels)} labels, the net has {num_classes} outputs")
    if twice := next((label for label in labels if labels.count(label) > 1), None):
        raise DataError(f"{path}: label {twice!r} stands there twice")
    return tuple(labels)


def _network(model: CaffeModel) -> _Network:
    classifier = last_dense(model)
    chain = chain_to(model, classifier)[:-1]
    lstms = [layer for layer in chain if layer.type == "LSTM"]
    trunk = chain[: len(chain) - len(lstms)]
    if not trunk:
        source = f"reads {classifier.bottoms[0]!r}, which no layer writes" if classifier.bottoms else "reads nothing"
        raise ModelFileError(f"{model.path}: layer {classifier.name!r} {source}; is a layer missing?")
    if chain[len(trunk) :] != lstms:
        raise ModelFileError(
            f"{model.path}: the layers before {classifier.name!r} are {', '.join(layer.name for layer in chain)}; "
            "expected a CNN, then LSTM layers one after the other"
        )
    backbone = backbone_weights(model, trunk)
    tensors = {f"backbone.trunk.{name}": tensor for name, tensor in backbone.tensors.items()}
    width, hidden_size = backbone.feature_size, RecognitionConfig.hidden_size
    if lstms:
        lstm = lstm_weights(model, lstms, input_size=width)
        if lstm.context_size:
            raise ModelFileError(
                f"{model.path}: layer {lstms[lstm.context_layer].name!r} has a static input, expected none"
            )
        tensors |= {f"lstm.{name}": tensor for name, tensor in lstm.tensors.items()}
        width = hidden_size = lstm.hidden_size
    tensors |= {f"classifier.{name}": tensor for name, tensor in classifier_tensors(model, classifier, width).items()}
    config = RecognitionConfig(
        backbone=backbone.config,
        num_classes=tensors["classifier.bias"].shape[0],
        head="lstm" if lstms else "frame",
        hidden_size=hidden_size,
        num_layers=max(1, len(lstms)),
        input_dropout=0.9 if lstms else 0.5,  # of the released training nets
        output_dropout=0.5,
        dropout_mask="frame",
    )
    taken = tuple(layer.name for layer in (*trunk, *lstms, classifier) if layer.blobs)
    return _Network(config, backbone.input_px, tensors, taken)


def _find_stream(model: CaffeModel) -> tuple[Stream, str]:
    if mean := _stated_mean(model):
        return ("flow" if mean == _MEANS["flow"] else "rgb"), f"its data layer subtracts {mean}"
    for layer in model.layers:
        if source := layer.settings.get("python_layer"):
            return ("flow" if "flow" in source.lower() else "rgb"), f"its data layer is {source}"
    for kind, name in (("file", model.path.name), ("net", model.name)):
        if "flow" in name.lower():
            return "flow", f"the {kind} is called {name}"
    return "rgb", "nothing says flow"


def _stated_mean(model: CaffeModel) -> tuple[float, float, float] | None:
    """What the file's data layer subtracts from each channel, where it says so."""
    for layer in model.layers:
        values = [round(value, 4) for value in layer.settings.get("mean", ())]  # they are stored as float32
        if len(values) in (1, 3):
            blue, green, red = values * (3 // len(values))
            return blue, green, red
    return None


def _mean(model: CaffeModel, stream: Stream, release_quirks: bool) -> tuple[float, float, float]:
    if release_quirks and stream == "rgb":
        return _QUIRKY_RGB_MEAN
    stated = _stated_mean(model)
    return stated if stated and (stated == _MEANS["flow"]) == (stream == "flow") else _MEANS[stream]


def _preprocess(
    stream: Stream, mean: tuple[float, float, float], input_px: int, release_quirks: bool
) -> PreprocessConfig:
    # the release crops 227 px from frames of 240 x 320; another crop shows the same part of the picture
    height, width = (round(side * input_px / 227) for side in (240, 320))
    return PreprocessConfig(
        stream=stream,
        sample_fps=None,
        resize=(height, width),
        crop=input_px,
        channel_order="bgr",
        mean=mean,
        std=(1.0, 1.0, 1.0),
        clip_length=16,
        clip_stride=8,
        release_quirks=release_quirks,
    )


def _provenance(model: CaffeModel, taken: tuple[str, ...]) -> dict[str, Any]:
    with model.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"caffemodel": model.path.name, "caffemodel_sha256": digest, "net": model.name, "layers": list(taken)}
