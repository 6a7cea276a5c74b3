"""Captioning nets against a real Caffe, and the three ways their image vector comes about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from tests.caffe.caffe_bytes import GOLDEN, blob, layer, rule_blob, write_rule_net

from lrcn.caffe.captions import CaptionWeights, caption_weights
from lrcn.caffe.reader import CaffeLayer, CaffeModel, read_net
from lrcn.caffe.weights import backbone_weights
from lrcn.config import BackboneConfig
from lrcn.errors import LRCNError, ModelFileError, TaskMismatchError
from lrcn.models.backbones import build_backbone
from lrcn.models.lstm import LSTMStack


def _part(weights: CaptionWeights, prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in weights.tensors.items() if name.startswith(prefix)}


@pytest.mark.parametrize(("variant", "num_layers", "context_layer"), [("1u", 1, 0), ("2u", 2, 0), ("2f", 2, 1)])
def test_caption_nets_compute_what_caffe_computes(variant: str, num_layers: int, context_layer: int) -> None:
    golden = dict(np.load(GOLDEN / f"caption_{variant}.npz"))
    weights = caption_weights(read_net(GOLDEN / f"caption_{variant}.caffemodel"))
    assert (weights.variant, weights.num_layers, weights.context_layer) == (variant, num_layers, context_layer)
    assert (weights.num_words, weights.embedding_size, weights.hidden_size, weights.context_size) == (23, 12, 12, 9)
    assert (weights.backbone, weights.ignored) == (None, ())

    stack = LSTMStack(12, 12, num_layers, context_size=9, context_layer=context_layer)
    stack.load_state_dict(_part(weights, "lstm."))
    words = torch.from_numpy(golden["input_sentence"]).long()
    cont, image = torch.from_numpy(golden["cont_sentence"]), torch.from_numpy(golden["image_features"])
    steps, sentences = words.shape
    state, logits = stack.initial_state(sentences), []
    with torch.inference_mode():
        for t in range(steps):
            keep = cont[t][:, None]
            state = state._replace(hidden=state.hidden * keep, cell=state.cell * keep)
            output, state = stack.step(weights.tensors["embedding.weight"][words[t]], state, image)
            logits.append(output @ weights.tensors["classifier.weight"].T + weights.tensors["classifier.bias"])
    for found, expected in [
        (torch.stack(logits), golden["predict"]),
        (torch.stack(logits).softmax(dim=-1), golden["probs"]),
    ]:
        assert np.abs(found.numpy() - expected).max() <= 1e-4 * np.abs(expected).max()


IMAGE_NET = (
    (GOLDEN / "activity_thin.prototxt").read_text().partition('layer{name:"reshape-data"')[0]
    + 'layer{name:"fc7" type:"InnerProduct" bottom:"fc6" top:"fc7" inner_product_param{num_output:24}}\n'
    'layer{name:"relu7" type:"ReLU" bottom:"fc7" top:"fc7"}\n'
    'layer{name:"fc8" type:"InnerProduct" bottom:"fc7" top:"fc8" inner_product_param{num_output:9}}\n'
)


def _rule_layer(name: str, kind: str, shapes: list[tuple[int, ...]], bottoms: list[str]) -> bytes:
    blobs = [blob(rule_blob(name, i, shape)) for i, shape in enumerate(shapes)]
    return layer(name, kind, blobs, bottoms=bottoms, tops=[name])


def _language_net(
    *,
    static: str = "fc8",
    static_size: int = 9,
    outputs: int = 23,
    embedding: tuple[tuple[int, ...], ...] = ((23, 12),),
) -> bytes:
    """A 2f net; its second LSTM layer reads the array `static`, or no image where that is empty."""
    image = [(48, static_size)] if static else []
    return b"".join(
        [
            _rule_layer("embedding", "Embed", list(embedding), ["words"]),
            _rule_layer("lstm1", "LSTM", [(48, 12), (48,), (48, 12)], ["embedding", "cont"]),
            _rule_layer(
                "lstm2", "LSTM", [(48, 12), (48,), *image, (48, 12)], ["lstm1", "cont", *([static] if static else [])]
            ),
            _rule_layer("predict", "InnerProduct", [(outputs, 12), (outputs,)], ["lstm2"]),
        ]
    )


def _read(tmp_path: Path, content: bytes) -> CaptionWeights:
    path = tmp_path / "net.caffemodel"
    path.write_bytes(content)
    return caption_weights(read_net(path))


def test_the_image_net_comes_along(tmp_path: Path) -> None:
    image_net = write_rule_net(IMAGE_NET, tmp_path / "image.caffemodel").read_bytes()
    weights = _read(tmp_path, image_net + _language_net())
    assert " ".join(weights.taken) == "conv1 conv2 conv3 conv4 conv5 fc6 fc7 fc8 embedding lstm1 lstm2 predict"
    assert (weights.variant, weights.input_px) == ("2f", 227)
    sizes = {"conv1": 8, "conv2": 32, "conv3": 40, "conv4": 40, "conv5": 32, "fc6": 32, "fc7": 24, "fc8": 9}
    assert weights.backbone == BackboneConfig(name="hybrid", layer="fc8", sizes=sizes)
    backbone = build_backbone(weights.backbone, weights="none")
    backbone.load_state_dict(_part(weights, "backbone."))
    assert backbone.feature_size == weights.context_size
    np.testing.assert_array_equal(backbone.state_dict()["trunk.fc8.weight"], rule_blob("fc8", 0, (9, 24)))


def test_a_bias_of_the_embedding_joins_every_word(tmp_path: Path) -> None:
    weights = _read(tmp_path, _language_net(embedding=((23, 12), (12,))))
    expected = rule_blob("embedding", 0, (23, 12)) + rule_blob("embedding", 1, (12,))
    np.testing.assert_array_equal(weights.tensors["embedding.weight"], expected)


@pytest.mark.parametrize(
    ("net", "error", "message"),
    [
        (_language_net(static=""), TaskMismatchError, "a language model"),
        (_language_net(outputs=22), ModelFileError, "'predict' has 22 outputs, expected one for each of the 23 words"),
        (_language_net(embedding=((23, 11),)), ModelFileError, r"'lstm1' blob 0 is \(48, 12\), expected \(48, 11\)"),
        (_rule_layer("fc8", "InnerProduct", [(9, 4), (9,)], ["data"]), TaskMismatchError, "no captioning net"),
        (_language_net().replace(b'"\x05lstm2', b'"\x05lstmX'), ModelFileError, "'predict' comes after nothing"),
    ],
)
def test_other_nets_are_refused_in_one_line(tmp_path: Path, net: bytes, error: type[LRCNError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        _read(tmp_path, net)
    assert str(caught.value).startswith(str(tmp_path / "net.caffemodel"))
    assert "\n" not in str(caught.value)


def test_an_image_vector_of_another_size_is_refused(tmp_path: Path) -> None:
    image_net = write_rule_net(IMAGE_NET, tmp_path / "image.caffemodel").read_bytes()
    with pytest.raises(ModelFileError, match="'lstm2' reads images of 7 values, fc8 gives 9"):
        _read(tmp_path, image_net + _language_net(static_size=7))


def test_vgg16_layers_find_their_place_in_torchvisions_network() -> None:
    """Each blob repeats one number, so that the full size is quickly made."""
    widths = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"]
    layers, channels, below = [], 3, "data"
    for i, width in enumerate(widths):
        if width == "M":
            settings = {"pool": "MAX", "kernel": (2, 2), "stride": (2, 2), "pad": (0, 0)}
            layers.append(CaffeLayer(f"pool{i}", "Pooling", (below,), (f"pool{i}",), settings))
        else:
            values = [np.float32(i), np.float32(-i)]
            blobs = [np.broadcast_to(v, s) for v, s in zip(values, [(width, channels, 3, 3), (width,)], strict=True)]
            settings = {"kernel": (3, 3), "stride": (1, 1), "pad": (1, 1), "group": 1, "dilation": (1, 1)}
            layers.append(CaffeLayer(f"conv{i}", "Convolution", (below,), (f"conv{i}",), settings, tuple(blobs)))
            layers.append(CaffeLayer(f"relu{i}", "ReLU", (f"conv{i}",), (f"conv{i}",)))
            channels = width
        below = layers[-1].tops[0]
    fc6 = [np.broadcast_to(np.float32(7), size) for size in [(4096, 25088), (4096,)]]
    layers.append(CaffeLayer("fc6", "InnerProduct", (below,), ("fc6",), {}, tuple(fc6)))
    layers.append(CaffeLayer("relu6", "ReLU", ("fc6",), ("fc6",)))

    found = backbone_weights(CaffeModel(Path("vgg.caffemodel"), "VGG", tuple(layers)), layers)

    assert (found.config, found.input_px) == (BackboneConfig(name="vgg16", layer="fc6"), 224)
    with torch.device("meta"):
        expected = torchvision.models.vgg16().state_dict()
    assert {name: tensor.shape for name, tensor in found.tensors.items()} == {
        name: tensor.shape for name, tensor in expected.items() if not name.startswith(("classifier.3", "classifier.6"))
    }
    convolutions = [tensor.flatten()[0].item() for name, tensor in found.tensors.items() if "features" in name]
    assert convolutions == [sign * i for i, width in enumerate(widths) if width != "M" for sign in (1, -1)]
