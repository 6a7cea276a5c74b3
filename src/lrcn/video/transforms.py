"""From resized uint8 frames to the normalised square crops a backbone takes."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrcn.config import PreprocessConfig
from lrcn.errors import ShapeError
from lrcn.video.resize import Frames


@dataclass(frozen=True)
class View:
    """Which part of a frame the network sees. One view holds for all frames of a clip."""

    top: float = 0.5
    """Position of the crop in the rows left over: 0 at the top, 1 at the bottom."""
    left: float = 0.5
    """Position of the crop in the columns left over: 0 at the left, 1 at the right."""
    mirror: bool = False
    """Whether the crop is mirrored left to right after it is cut out."""
    squash: bool = False
    """Whether the whole frame is squeezed to the size of the crop instead (see `PreprocessConfig.release_quirks`)."""


CENTER_VIEW = View()

TEN_CROP_VIEWS: tuple[View, ...] = tuple(
    View(top, left, mirror)
    for mirror, (top, left) in itertools.product(
        (False, True), ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.5))
    )
)
"""Four corners and the centre, then their mirror images (the released evaluation averages these ten)."""


def random_view(
    rng: np.random.Generator, *, mirror: bool = True, jitter: float = 1.0, release_quirks: bool = False
) -> View:
    """Draw a view.

    Args:
        rng: Where the randomness comes from.
        mirror: Mirror every second view.
        jitter: Share of the free room that the crop may move in, around the centre: 1 all of it, 0 none.
        release_quirks: Crop only what is mirrored and squash the rest: an indentation mistake in the released
            sequence_input_layer.py.
    """
    top, left = 0.5 + jitter * (rng.random(2) - 0.5)
    mirrored = bool(mirror and rng.random() < 0.5)
    if release_quirks and not mirrored:
        return View(squash=True)
    return View(float(top), float(left), mirrored)


def crop_offset(room: int, fraction: float) -> int:
    """Return the px left before a crop that `room` px are free around.

    The fraction's range 0 to 1 is cut into `room + 1` equal parts, one for each offset: uniform fractions give uniform
    offsets, and the centre of an odd room is the smaller of its two middles, as in Caffe (240 px less 227: 6).
    """
    return max(0, math.ceil(fraction * (room + 1)) - 1)


class Preprocess(nn.Module):
    """Crops, mirrors and normalises frames: the last step before the backbone, the first in floating point.

    Frames stay uint8 until they are cropped and on the device of this module.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: PreprocessConfig) -> None:
        """Take crop, channel order, mean, deviation and stream from the configuration."""
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.tensor(config.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config.std).view(1, 3, 1, 1), persistent=False)

    def forward(self, frames: Frames | Tensor, view: View = CENTER_VIEW) -> Tensor:
        """Return `(pixel - mean) / std` of one crop a frame, `(N, 3, crop, crop)` float32, contiguous.

        In the `flow` stream a mirrored view also negates the motion along x: red becomes `256 - red`, at most 255,
        which keeps the zero at 128.

        Args:
            frames: RGB `(N, H, W, 3)` uint8, resized already, any strides, on any device.
            view: The same for all frames.

        Raises:
            ShapeError: If the frames have another layout or type, or are smaller than the crop.
        """
        if not isinstance(frames, Tensor):
            # torch takes no negative strides and warns of read-only arrays
            frames = torch.from_numpy(np.require(frames, requirements=["C", "W"]))
        if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != torch.uint8:
            raise ShapeError(f"frames must be (N, height, width, 3) uint8, got {tuple(frames.shape)} {frames.dtype}")
        crop = self.config.crop
        height, width = frames.shape[1:3]
        if min(height, width) < crop:
            raise ShapeError(f"frames of {width}x{height} px are smaller than the crop of {crop} px; resize them first")
        if view.squash:
            pixels = frames.to(self.mean.device).permute(0, 3, 1, 2)
            values = F.interpolate(pixels.float(), (crop, crop), mode="bilinear", antialias=True).contiguous()
        else:
            top, left = crop_offset(height - crop, view.top), crop_offset(width - crop, view.left)
            pixels = frames[:, top : top + crop, left : left + crop].to(self.mean.device).permute(0, 3, 1, 2)
            if view.mirror:
                pixels = pixels.flip(3)
            values = pixels.to(torch.float32, memory_format=torch.contiguous_format)
        if view.mirror and self.config.stream == "flow" and not self.config.release_quirks:
            values[:, 0] = (256.0 - values[:, 0]).clamp_(max=255.0)
        if self.config.channel_order == "bgr":
            values = values.flip(1)
        return values.sub_(self.mean).div_(self.std)
