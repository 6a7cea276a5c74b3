"""Reads the captioning nets of the release: their weights under our names, and how they are put together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, cast

from torch import Tensor

from lrcn.caffe.reader import CaffeLayer, CaffeModel
from lrcn.caffe.weights import (
    backbone_weights,
    chain_to,
    checked_tensor,
    classifier_tensors,
    last_dense,
    lstm_weights,
    matrix,
    unused_layers,
    writer_of,
)
from lrcn.config import VARIANTS, BackboneConfig
from lrcn.errors import ModelFileError, TaskMismatchError


@dataclass(frozen=True)
class CaptionWeights:
    """A word embedding, LSTM layers of which one also reads the image, and word logits.

    Word 0 is the end of a sentence and its beginning too, as in the release.
    """

    variant: Literal["1u", "2u", "2f"]
    """Number of layers, then `u` where the image joins the first (unfactored) or `f` where it joins a later one."""
    num_words: int
    embedding_size: int
    hidden_size: int
    num_layers: int
    context_size: int
    """Size of the image vector."""
    context_layer: int
    """The LSTM layer, counted from 0, that the image vector joins."""
    backbone: BackboneConfig | None
    """What gives the image vector; None where the file holds the language part alone."""
    input_px: int | None
    """Side of the images that the backbone takes."""
    tensors: dict[str, Tensor] = field(repr=False)
    """`embedding.weight` (words, E); `lstm.*`, the state dict of an `LSTMStack`; `classifier.weight` (words, K) and
    `classifier.bias`; `backbone.trunk.*`."""
    taken: tuple[str, ...]
    """Layers of the caffemodel whose weights these are."""
    ignored: tuple[str, ...]
    """Layers with weights that the network does not use."""


def is_caption_net(model: CaffeModel) -> bool:
    """Whether the net reads words."""
    return any(layer.type == "Embed" for layer in model.layers)


def caption_weights(model: CaffeModel) -> CaptionWeights:
    """Return the weights of a captioning net: CaffeNet or VGG16, or none, with the LSTM variants 1u, 2u and 2f.

    Raises:
        ModelFileError: If a layer is missing, unknown or of another shape.
        TaskMismatchError: If it is no captioning net.
    """
    embedding = next((layer for layer in model.layers if layer.type == "Embed"), None)
    lstms = [layer for layer in model.layers if layer.type == "LSTM"]
    if embedding is None or not lstms:
        raise TaskMismatchError(f"{model.path}: no captioning net: it needs layers of type Embed and LSTM")
    classifier = last_dense(model)
    chain = chain_to(model, classifier)
    if any(layer.bottoms for layer in model.layers) and chain != [embedding, *lstms, classifier]:
        found = ", ".join(layer.name for layer in chain[:-1]) or "nothing"
        raise ModelFileError(
            f"{model.path}: layer {classifier.name!r} comes after {found}; "
            f"expected {', '.join(layer.name for layer in (embedding, *lstms))}"
        )
    words = _embedding(model, embedding)
    lstm = lstm_weights(model, lstms, input_size=words.shape[1])
    if not lstm.context_size:
        raise TaskMismatchError(
            f"{model.path}: a language model: none of its LSTM layers has a static input for images"
        )
    tensors = {"embedding.weight": words}
    tensors |= {f"lstm.{name}": tensor for name, tensor in lstm.tensors.items()}
    predict = classifier_tensors(model, classifier, lstm.hidden_size)
    if predict["bias"].shape[0] != words.shape[0]:
        raise ModelFileError(
            f"{model.path}: layer {classifier.name!r} has {predict['bias'].shape[0]} outputs, expected one for each of "
            f"the {words.shape[0]} words of layer {embedding.name!r}"
        )
    tensors |= {f"classifier.{name}": tensor for name, tensor in predict.items()}
    trunk = _image_layers(model, lstms[lstm.context_layer], chain)
    backbone = backbone_weights(model, trunk) if trunk else None
    if backbone:
        if backbone.feature_size != lstm.context_size:
            raise ModelFileError(
                f"{model.path}: layer {lstms[lstm.context_layer].name!r} reads images of {lstm.context_size} values, "
                f"{backbone.config.layer} gives {backbone.feature_size}"
            )
        tensors |= {f"backbone.trunk.{name}": tensor for name, tensor in backbone.tensors.items()}
    taken = tuple(layer.name for layer in (*trunk, embedding, *lstms, classifier) if layer.blobs)
    layout = (lstm.num_layers, lstm.context_layer)
    variant = next((name for name, known in VARIANTS.items() if known == layout), None)
    if variant is None:
        raise ModelFileError(
            f"{model.path}: {lstm.num_layers} LSTM layers with the image at layer {lstm.context_layer + 1}; expected "
            f"one of the variants {', '.join(VARIANTS)}"
        )
    return CaptionWeights(
        variant=cast('Literal["1u", "2u", "2f"]', variant),
        num_words=words.shape[0],
        embedding_size=words.shape[1],
        hidden_size=lstm.hidden_size,
        num_layers=lstm.num_layers,
        context_size=lstm.context_size,
        context_layer=lstm.context_layer,
        backbone=backbone.config if backbone else None,
        input_px=backbone.input_px if backbone else None,
        tensors=tensors,
        taken=taken,
        ignored=unused_layers(model, taken),
    )


def _embedding(model: CaffeModel, layer: CaffeLayer) -> Tensor:
    """The vectors of all words, `(words, E)`."""
    vectors = checked_tensor(model, layer, 0, matrix(model, layer, 0).shape)
    if len(layer.blobs) > 1:
        vectors += checked_tensor(model, layer, 1, (vectors.shape[1],))  # it joins every word's vector alike
    return vectors


def _image_layers(model: CaffeModel, lstm: CaffeLayer, chain: list[CaffeLayer]) -> list[CaffeLayer]:
    """The layers from the pixels to the vector that the LSTM layer's static input is; none in a language net."""
    if len(lstm.bottoms) >= 3:
        writer = writer_of(model, lstm.bottoms[2])
        return chain_to(model, writer) if writer else []
    return [layer for layer in chain if layer.type in ("Convolution", "InnerProduct")][:-1]
