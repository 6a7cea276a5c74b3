"""EfficientNet-Lite0, the network of the packaged backbone, in the form in which TensorFlow trained it.

Its tensors have the names of timm's `tf_efficientnet_lite0`, and it gives the same values bit for bit (tested). It
stands here because importing timm takes longer than everything else that one answer takes.
"""

from __future__ import annotations

import math
from typing import NamedTuple, cast

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

_EPS = 1e-3
_EXPANSION = 6
STEM, HEAD = 32, 1280
"""Channels after the first and the last convolution."""


class _Stage(NamedTuple):
    blocks: int
    kernel: int
    stride: int
    """Of its first block; 1 in the others."""
    channels: int


STAGES = (
    _Stage(2, 3, 2, 24),
    _Stage(2, 5, 2, 40),
    _Stage(3, 3, 2, 80),
    _Stage(3, 5, 1, 112),
    _Stage(4, 5, 2, 192),
    _Stage(1, 3, 1, 320),
)
"""`blocks.1` to `blocks.6`. Source: Tan and Le 2019, table 1; "lite" leaves squeeze and excitation out."""


@fx.wrap
def pad_to_halve(frames: Tensor, kernel: int) -> Tensor:
    """Zeros around `(N, C, H, W)`, so that a convolution of stride 2 gives half of it, rounded up.

    TensorFlow puts the odd row and column at the bottom and at the right.
    """
    high, wide = (kernel - 2 + size % 2 for size in frames.shape[-2:])
    return F.pad(frames, (wide // 2, wide - wide // 2, high // 2, high - high // 2))


class _Convolved(nn.Module):
    """What both kinds of block share: a convolution of each channel by itself."""

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        padding = 0 if stride == 2 else kernel // 2
        self.conv_dw = nn.Conv2d(channels, channels, kernel, stride, padding, groups=channels, bias=False)

    def depthwise(self, frames: Tensor) -> Tensor:
        return cast(Tensor, self.conv_dw(pad_to_halve(frames, self.kernel) if self.stride == 2 else frames))


class _First(_Convolved):
    """The block of `blocks.0`: nothing is widened."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(channels, 3, 1)
        self.bn1 = nn.BatchNorm2d(channels, _EPS)
        self.conv_pw = nn.Conv2d(channels, out, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out, _EPS)

    def forward(self, frames: Tensor) -> Tensor:
        frames = F.relu6(self.bn1(self.depthwise(frames)), inplace=True)
        return cast(Tensor, self.bn2(self.conv_pw(frames)))


class _InvertedResidual(_Convolved):
    """Widen, look around, narrow; and add what came where nothing changes shape."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int) -> None:
        wide = channels * _EXPANSION
        super().__init__(wide, kernel, stride)
        self.adds = stride == 1 and channels == out
        self.conv_pw = nn.Conv2d(channels, wide, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide, _EPS)
        self.bn2 = nn.BatchNorm2d(wide, _EPS)
        self.conv_pwl = nn.Conv2d(wide, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out, _EPS)

    def forward(self, frames: Tensor) -> Tensor:
        wide = F.relu6(self.bn1(self.conv_pw(frames)), inplace=True)
        wide = F.relu6(self.bn2(self.depthwise(wide)), inplace=True)
        narrow = cast(Tensor, self.bn3(self.conv_pwl(wide)))
        return narrow + frames if self.adds else narrow


class EfficientNetLite0(nn.Module):
    """Frames `(N, 3, H, W)` -> the last map `(N, 1280, H / 32, W / 32)`, rounded up.

    Layers: `blocks.0` to `blocks.6`; `act2` is the last map, whose global average ImageNet's classifier read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = nn.Conv2d(3, STEM, 3, stride=2, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM, _EPS)
        stages, channels = [nn.Sequential(_First(STEM, 16))], 16
        for stage in STAGES:
            blocks = []
            for number in range(stage.blocks):
                stride = stage.stride if number == 0 else 1
                blocks.append(_InvertedResidual(channels, stage.channels, stage.kernel, stride))
                channels = stage.channels
            stages.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*stages)
        self.conv_head = nn.Conv2d(channels, HEAD, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(HEAD, _EPS)
        self.act2 = nn.ReLU6(inplace=True)
        self._begin()

    @torch.no_grad()
    def _begin(self) -> None:
        """Draw weights as EfficientNet's makers did: variance 2 by the products that one output value enters."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
                module.weight.normal_(0, math.sqrt(2 / fan_out))

    def forward(self, frames: Tensor) -> Tensor:
        """Compute it."""
        frames = F.relu6(self.bn1(self.conv_stem(pad_to_halve(frames, 3))), inplace=True)
        frames = self.blocks(frames)
        return cast(Tensor, self.act2(self.bn2(self.conv_head(frames))))
