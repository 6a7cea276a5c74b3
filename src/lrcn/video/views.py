"""Which part of a frame the network sees, and how it is cut out of uint8 frames. Imports no torch."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrcn.config import PreprocessConfig
from lrcn.errors import ConfigError, ShapeError


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


def check_frames(shape: tuple[int, ...], dtype: object, crop: int) -> None:
    """Make sure that frames are `(N, H, W, 3)` uint8 and not smaller than the crop; `ShapeError` if they are not."""
    if len(shape) != 4 or shape[3] != 3 or str(dtype).removeprefix("torch.") != "uint8":
        raise ShapeError(f"frames must be (N, height, width, 3) uint8, got {tuple(shape)} {dtype}")
    height, width = shape[1:3]
    if min(height, width) < crop:
        raise ShapeError(f"frames of {width}x{height} px are smaller than the crop of {crop} px; resize them first")


def cut_crops(frames: NDArray[np.uint8], view: View, config: PreprocessConfig) -> NDArray[np.uint8]:
    """Return the view's crop of each frame, `(N, crop, crop, 3)` uint8, in the frames' own order of channels.

    These are the pixels that `Preprocess` goes on to normalise, for networks that do it themselves.

    Args:
        frames: RGB `(N, H, W, 3)` uint8, resized already.
        view: The same for all frames.
        config: Crop and stream; mirrored flow has its motion along x negated.

    Raises:
        ShapeError: If the frames have another layout or type, or are smaller than the crop.
        ConfigError: If the view is squashed, which training alone does.
    """
    check_frames(frames.shape, frames.dtype, config.crop)
    if view.squash:
        raise ConfigError("squashed views are for training; recognition crops")
    height, width = frames.shape[1:3]
    top, left = crop_offset(height - config.crop, view.top), crop_offset(width - config.crop, view.left)
    crops = frames[:, top : top + config.crop, left : left + config.crop]
    if not view.mirror:
        return np.ascontiguousarray(crops)
    crops = np.ascontiguousarray(crops[:, :, ::-1])
    if config.stream == "flow" and not config.release_quirks:
        crops[..., 0] = np.minimum(256 - crops[..., 0].astype(np.uint16), 255)
    return crops
