"""From resized uint8 frames to the normalised square crops a backbone takes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrcn.config import PreprocessConfig
from lrcn.video.resize import Frames
from lrcn.video.views import CENTER_VIEW, View, check_frames, crop_offset


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
        """Return `(pixel - mean) / std` of one crop a frame, `(N, 3, crop, crop)` float32.

        The values lie in memory as the frames' pixels do, channels last, which is the order `Backbone` computes in.

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
        crop = self.config.crop
        check_frames(tuple(frames.shape), frames.dtype, crop)
        height, width = frames.shape[1:3]
        if view.squash:
            pixels = frames.to(self.mean.device).permute(0, 3, 1, 2)
            values = F.interpolate(pixels.float(), (crop, crop), mode="bilinear", antialias=True)
        else:
            top, left = crop_offset(height - crop, view.top), crop_offset(width - crop, view.left)
            crops = frames[:, top : top + crop, left : left + crop].contiguous().to(self.mean.device)
            if view.mirror:
                crops = crops.flip(2)
            values = crops.permute(0, 3, 1, 2).float()
        if view.mirror and self.config.stream == "flow" and not self.config.release_quirks:
            values[:, 0] = (256.0 - values[:, 0]).clamp_(max=255.0)
        return self.normalize(values)

    def normalize(self, values: Tensor) -> Tensor:
        """Return pixels `(N, 3, h, w)` in 0-255, red first, as the network takes them; the input may be overwritten."""
        if self.config.channel_order == "bgr":
            values = values.flip(1)
        return values.sub_(self.mean).div_(self.std)
