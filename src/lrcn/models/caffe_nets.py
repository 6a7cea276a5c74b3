"""The two CNNs that LRCN was released with, layer for layer, under Caffe's layer names.

Both differ from torchvision's `alexnet` in what matters for weights: channel counts, convolutions in two groups,
response normalisation after pooling, and pooling that rounds sizes up. They take pixels of 0-255, BGR, with the mean
subtracted. Fresh weights have torch's initialisation; trained ones come from a caffemodel (`lrcn.caffe.importing`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from torch import nn

from lrcn.errors import ConfigError, lookup


@dataclass(frozen=True, kw_only=True)
class CaffeSizes:
    """How wide each layer is, and the side of the square image that the network looks at."""

    conv1: int
    conv2: int
    conv3: int
    conv4: int
    conv5: int
    fc6: int = 4096
    fc7: int = 4096
    fc8: int = 1000
    input_px: int = 227

    def __post_init__(self) -> None:
        channels = (self.conv1, self.conv2, self.conv3, self.conv4, self.conv5)
        if any(count < 2 or count % 2 for count in channels):
            raise ConfigError(
                f"conv1 to conv5 need even channel counts, for convolutions in two groups; got {channels}"
            )
        if min(self.fc6, self.fc7, self.fc8) < 1:
            raise ConfigError(f"fc6 to fc8 must be at least 1, got {(self.fc6, self.fc7, self.fc8)}")

    def changed(self, sizes: Mapping[str, int]) -> CaffeSizes:
        """These sizes with some others in their place.

        Raises:
            UnknownNameError: If there is no layer of a name.
            ConfigError: If a size is out of range.
        """
        for name in sizes:
            lookup(asdict(self), name, kind="size")
        return replace(self, **sizes)


CAFFENET_SIZES = CaffeSizes(conv1=96, conv2=256, conv3=384, conv4=384, conv5=256)
"""Source: BVLC models/bvlc_reference_caffenet."""

HYBRID_SIZES = CaffeSizes(conv1=96, conv2=384, conv3=512, conv4=512, conv5=384)
"""Source: train_test_lstm_RGB.prototxt of the release, where the network is called hyb2."""


def caffenet(sizes: CaffeSizes = CAFFENET_SIZES) -> nn.Sequential:
    """Make AlexNet as Caffe ships it, the paper's captioning backbone: `(N, 3, 227, 227)` -> logits `(N, 1000)`.

    Features: `fc6` and `fc7` after their ReLU are the outputs of `relu6` and `relu7`; `fc8` has no ReLU.

    Raises:
        ConfigError: If `input_px` is too small to leave anything after the last pooling.

    Source: BVLC models/bvlc_reference_caffenet/train_val.prototxt.
    """
    map_px = _pooled_px(_pooled_px(_pooled_px((sizes.input_px - 11) // 4 + 1)))  # 227: 55, 27, 13, 6
    _check_map(map_px, sizes)
    return _network(
        nn.Conv2d(3, sizes.conv1, kernel_size=11, stride=4),
        nn.Conv2d(sizes.conv1, sizes.conv2, kernel_size=5, padding=2, groups=2),
        map_px,
        sizes,
    )


def hybrid(sizes: CaffeSizes = HYBRID_SIZES) -> nn.Sequential:
    """Make the paper's backbone for activities, a cross of CaffeNet and the net of Zeiler and Fergus.

    `(N, 3, 227, 227)` -> ImageNet logits `(N, 1000)`. Features: `fc6` and `fc7` after their ReLU are the outputs of
    `relu6` and `relu7`; `fc8` has no ReLU.

    Raises:
        ConfigError: If `input_px` is too small to leave anything after the last pooling.

    Source: train_test_singleFrame_RGB.prototxt of the release; arXiv:1411.4389, sec. 4.
    """
    conv2_px = (_pooled_px((sizes.input_px - 7) // 2 + 1) - 5) // 2 + 1  # 227: 111, 55, 26
    map_px = _pooled_px(_pooled_px(conv2_px))  # 13, 6
    _check_map(map_px, sizes)
    return _network(
        nn.Conv2d(3, sizes.conv1, kernel_size=7, stride=2),
        nn.Conv2d(sizes.conv1, sizes.conv2, kernel_size=5, stride=2, groups=2),
        map_px,
        sizes,
    )


def _network(conv1: nn.Conv2d, conv2: nn.Conv2d, map_px: int, sizes: CaffeSizes) -> nn.Sequential:
    """What both nets have in common; `map_px` is the side of the last map."""
    return nn.Sequential(
        OrderedDict(
            conv1=conv1,
            relu1=nn.ReLU(inplace=True),
            pool1=_pool(),
            norm1=_norm(),
            conv2=conv2,
            relu2=nn.ReLU(inplace=True),
            pool2=_pool(),
            norm2=_norm(),
            conv3=nn.Conv2d(sizes.conv2, sizes.conv3, kernel_size=3, padding=1),
            relu3=nn.ReLU(inplace=True),
            conv4=nn.Conv2d(sizes.conv3, sizes.conv4, kernel_size=3, padding=1, groups=2),
            relu4=nn.ReLU(inplace=True),
            conv5=nn.Conv2d(sizes.conv4, sizes.conv5, kernel_size=3, padding=1, groups=2),
            relu5=nn.ReLU(inplace=True),
            pool5=_pool(),
            flatten=nn.Flatten(),
            fc6=nn.Linear(sizes.conv5 * map_px**2, sizes.fc6),  # 9216 in for CaffeNet, 13824 for the hybrid
            relu6=nn.ReLU(inplace=True),
            drop6=nn.Dropout(0.5),
            fc7=nn.Linear(sizes.fc6, sizes.fc7),
            relu7=nn.ReLU(inplace=True),
            drop7=nn.Dropout(0.5),
            fc8=nn.Linear(sizes.fc7, sizes.fc8),
        )
    )


def _pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)  # floor would give 12 px for 13 after pool2


def _pooled_px(px: int) -> int:
    """The side of a map of `px` after `_pool`."""
    return -(-(px - 3) // 2) + 1


def _norm() -> nn.LocalResponseNorm:
    return nn.LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=1.0)  # torch and Caffe both divide alpha by the size


def _check_map(map_px: int, sizes: CaffeSizes) -> None:
    if map_px < 1:
        raise ConfigError(f"input_px {sizes.input_px} is too small: nothing is left after the last pooling")
