"""CaffeNet and the hybrid net: sizes, feature layers, and arithmetic against NumPy (real Caffe: tests/caffe)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from lrcn.config import BackboneConfig
from lrcn.errors import ConfigError, UnknownNameError
from lrcn.models.backbones import build_backbone, default_preprocess
from lrcn.models.caffe_nets import CAFFENET_SIZES, HYBRID_SIZES, CaffeSizes, caffenet, hybrid

NETS = {"caffenet": (caffenet, CAFFENET_SIZES), "hybrid": (hybrid, HYBRID_SIZES)}
THIN = {"conv1": 6, "conv2": 8, "conv3": 10, "conv4": 10, "conv5": 8, "fc6": 12, "fc7": 7, "fc8": 5}


@pytest.mark.parametrize(
    ("name", "maps", "fc6_inputs", "num_weights"),
    # parameters: CaffeNet's are published (60 965 224); the hybrid net's follow from its prototxt
    [("caffenet", [55, 27, 27, 13, 13, 6], 9216, 60_965_224), ("hybrid", [111, 55, 26, 13, 13, 6], 13824, 81_816_168)],
)
def test_the_released_sizes(name: str, maps: list[int], fc6_inputs: int, num_weights: int) -> None:
    with torch.device("meta"):
        network = NETS[name][0]()
        found, frames = [], torch.empty(1, 3, 227, 227)
        for layer, module in network.named_children():
            frames = module(frames)
            if layer in ("conv1", "pool1", "conv2", "pool2", "conv5", "pool5"):
                found.append(frames.shape[-1])
            if layer == "flatten":
                assert frames.shape[1] == fc6_inputs
    assert found == maps
    assert frames.shape == (1, 1000)
    assert sum(weight.numel() for weight in network.parameters()) == num_weights


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize(("layer", "size", "negative"), [("fc6", 12, False), ("fc7", 7, False), ("fc8", 5, True)])
def test_fc6_and_fc7_are_cut_after_their_relu(name: str, layer: str, size: int, negative: bool) -> None:
    torch.manual_seed(0)
    sizes = THIN | {"input_px": 99}
    backbone = build_backbone(BackboneConfig(name=name, layer=layer, sizes=sizes), weights="none").eval()
    with torch.inference_mode():
        features = backbone(100 * torch.randn(16, 3, 99, 99))
    assert features.shape == (16, size)
    assert backbone.feature_size == size
    assert bool((features < 0).any()) == negative


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("input_px", [60, 67, 80, 99, 128, 195, 224, 227, 240])
def test_every_image_size_fits_its_first_fully_connected_layer(name: str, input_px: int) -> None:
    build, released = NETS[name]
    with torch.device("meta"):
        network = build(released.changed(THIN | {"input_px": input_px}))
        assert network(torch.empty(2, 3, input_px, input_px)).shape == (2, 5)


def test_pooling_rounds_up_and_norm_divides_alpha_by_its_window() -> None:
    network = hybrid(HYBRID_SIZES.changed(THIN | {"input_px": 99}))
    maps = np.random.default_rng(0).normal(size=(1, 6, 12, 12)).astype(np.float32) * 50

    pooled = network.pool1(torch.from_numpy(maps)).numpy()
    side = math.ceil((12 - 3) / 2) + 1
    expected = [
        [maps[0, :, 2 * y : 2 * y + 3, 2 * x : 2 * x + 3].max(axis=(1, 2)) for x in range(side)] for y in range(side)
    ]
    np.testing.assert_array_equal(pooled[0], np.transpose(expected, (2, 0, 1)))

    normed = network.norm1(torch.from_numpy(maps)).numpy()
    padded = np.pad(maps.astype(np.float64), ((0, 0), (2, 2), (0, 0), (0, 0)))
    sums = sum(np.square(padded[:, i : i + 6]) for i in range(5))
    np.testing.assert_allclose(normed, maps / (1 + 1e-4 / 5 * sums) ** 0.75, rtol=1e-5)


def test_wrong_sizes_give_one_line() -> None:
    with pytest.raises(ConfigError, match="even channel counts"):
        CaffeSizes(conv1=3, conv2=4, conv3=4, conv4=4, conv5=4)
    with pytest.raises(ConfigError, match="fc6 to fc8 must be at least 1"):
        HYBRID_SIZES.changed({"fc7": 0})
    with pytest.raises(UnknownNameError, match="unknown size 'conv9'; did you mean 'conv"):
        HYBRID_SIZES.changed({"conv9": 2})
    with pytest.raises(ConfigError, match="input_px 40 is too small"):
        hybrid(HYBRID_SIZES.changed({"input_px": 40}))
    with pytest.raises(ConfigError, match="'alexnet' comes in one size only"):
        build_backbone(BackboneConfig(name="alexnet", sizes={"conv1": 8}), weights="none")


@pytest.mark.parametrize("name", NETS)
def test_pixels_are_bgr_of_0_to_255(name: str) -> None:
    preprocess = default_preprocess(name)
    assert (preprocess["channel_order"], preprocess["crop"], preprocess["std"]) == ("bgr", 227, (1, 1, 1))
