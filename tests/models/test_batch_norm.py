from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lrcn.config import BackboneConfig
from lrcn.models.backbone_cut import cut
from lrcn.models.backbones import build_backbone
from lrcn.models.batch_norm import fold_batch_norm


def shake(network: nn.Module) -> None:
    """Give every normalisation statistics and weights of its own: fresh ones do nothing."""
    torch.manual_seed(0)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.normal_(0, 0.3)
            part.running_var.uniform_(0.5, 2)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, 0, 0.3)


def norms(network: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in network.modules())


@pytest.mark.parametrize(
    ("name", "layer", "left"),
    [
        ("efficientnet_lite0", "", 0),
        ("timm/tf_efficientnet_lite0", "bn2", 0),  # whose normalisations have the activation in them
        ("resnet18", "", 0),
        ("densenet121", "", 62),
    ],
)
def test_folded_backbone_gives_the_same_features(name: str, layer: str, left: int) -> None:
    backbone = build_backbone(BackboneConfig(name=name, layer=layer), weights="none").eval()
    shake(backbone)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    frames = torch.randn(2, 3, 64, 64)

    folded = fold_batch_norm(backbone)

    assert norms(folded) == left  # in DenseNet half of them come before a convolution
    with torch.no_grad():
        expected = backbone(frames)
        torch.testing.assert_close(folded(frames), expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


class Shared(nn.Module):
    """A convolution that two read, one that is called twice, and one with a bias that may be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.read_twice, self.called_twice, self.alone = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))
        self.norm_of_read, self.norm_of_called, self.norm_of_alone = (nn.BatchNorm2d(3) for _ in range(3))

    def forward(self, frames: Tensor) -> Tensor:
        seen = self.read_twice(frames)
        hidden = self.norm_of_read(seen) + seen
        hidden = self.norm_of_called(self.called_twice(hidden)) + self.called_twice(frames)
        last = self.norm_of_alone(self.alone(hidden))
        return last.relu()


def test_only_convolutions_that_the_normalisation_alone_reads_are_folded() -> None:
    network = Shared().eval()
    shake(network)
    traced = cut(network, ["relu"], name="shared")
    frames = torch.randn(2, 3, 8, 8)

    folded = fold_batch_norm(traced)

    assert norms(folded) == 2
    with torch.no_grad():
        torch.testing.assert_close(folded(frames)["0"], network(frames), rtol=1e-5, atol=1e-5)


def test_network_without_normalisation_is_not_copied() -> None:
    backbone = build_backbone(BackboneConfig(name="squeezenet1_1"), weights="none")
    assert fold_batch_norm(backbone) is backbone
