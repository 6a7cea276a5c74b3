"""Optical flow between neighbouring frames, as the images the flow stream looks at.

The paper used the method of Brox et al. (2004) from its authors' closed MATLAB binary, which nobody can install today;
DIS, Farneback and RAFT stand in for it, so numbers of the flow stream are not comparable to the paper's digit by digit.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import numpy.typing as npt

from lrcn.errors import ConfigError, lookup, require

FLOW_SCALE = 16.0
"""Grey levels per pixel of motion, so that +-8 px fill the range (create_flow_images_LRCN.m)."""
FLOW_ZERO = 128
"""Grey level of no motion (create_flow_images_LRCN.m)."""

Frames = npt.NDArray[np.uint8]
Flow = npt.NDArray[np.float32]
FlowFunction = Callable[[Frames, Frames], Flow]


def _grey_pair_method(compute: Callable[[Any, Any], Any]) -> FlowFunction:
    cv2 = require("cv2", extra="flow", wanted_by="optical flow")

    def flow(first: Frames, second: Frames) -> Flow:
        grey = [cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY) for frame in (first, second)]
        return np.asarray(compute(*grey), dtype=np.float32)

    return flow


def _dis() -> FlowFunction:
    cv2 = require("cv2", extra="flow", wanted_by="optical flow")
    method = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return _grey_pair_method(lambda first, second: method.calc(first, second, None))


def _farneback() -> FlowFunction:
    cv2 = require("cv2", extra="flow", wanted_by="optical flow")
    # OpenCV's own example values: pyramid 0.5, 3 levels, window 15, 3 iterations, polynomial 5 / 1.2
    return _grey_pair_method(
        lambda first, second: cv2.calcOpticalFlowFarneback(first, second, None, 0.5, 3, 15, 3, 5, 1.2, 0)
    )


def _raft() -> FlowFunction:
    import torch
    from torchvision.models.optical_flow import Raft_Small_Weights, raft_small

    weights = Raft_Small_Weights.DEFAULT
    try:
        with redirect_stdout(sys.stderr):  # torch.hub says there what it downloads
            network = raft_small(weights=weights).eval()
    except OSError as exc:
        raise ConfigError(
            f"flow method 'raft' needs its weights from {weights.url}, which cannot be fetched ({exc}); "
            "put that file into torch's hub cache, or use 'dis'"
        ) from exc

    def flow(first: Frames, second: Frames) -> Flow:
        height, width = first.shape[:2]
        # the network wants sides of at least 128 px that are multiples of 8
        pad_y, pad_x = (max(128, -(-side // 8) * 8) - side for side in (height, width))
        padding = ((0, pad_y), (0, pad_x), (0, 0))
        pair = [
            torch.from_numpy(np.pad(frame, padding, mode="edge")).permute(2, 0, 1)[None].float() / 127.5 - 1.0
            for frame in (first, second)
        ]
        with torch.inference_mode():
            field = network(*pair)[-1][0].permute(1, 2, 0).numpy()
        return np.asarray(field[:height, :width], dtype=np.float32)

    return flow


FLOW_METHODS: dict[str, Callable[[], FlowFunction]] = {"dis": _dis, "farneback": _farneback, "raft": _raft}

_SMALLEST_PX = 16  # below this the methods fail or return noise


def encode_flow(flow: Flow) -> Frames:
    """Return a flow field `(H, W, 2)`, in px, as the image `(H, W, 3)` the network sees.

    Red is `16 x + 128`, green `16 y + 128`, blue `16 |flow| + 128`, each cut to 0-255: motion beyond 8 px saturates.

    Source: create_flow_images_LRCN.m of the release.
    """
    magnitude = np.sqrt(np.square(flow).sum(axis=2, keepdims=True))
    scaled = np.concatenate([flow, magnitude], axis=2) * FLOW_SCALE + FLOW_ZERO
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


class FlowImages:
    """Turns frames that come in chunks into flow images: T frames give T - 1 images, each with its later frame's time.

    The last frame of a chunk is kept until the next, so that how a video is chunked changes nothing.
    """

    def __init__(self, method: str) -> None:
        """Prepare the method.

        Raises:
            UnknownNameError: If there is no such method.
            MissingExtraError: If OpenCV is not installed.
            ConfigError: If the weights of RAFT cannot be fetched.
        """
        self._flow = lookup(FLOW_METHODS, method, kind="flow method")()
        self._last: Frames | None = None

    def push(self, frames: Frames) -> Frames:
        """Return the flow images that these frames complete.

        Args:
            frames: RGB `(T, H, W, 3)`, following on those of the call before.

        Returns:
            `(T, H, W, 3)`, or `(T - 1, H, W, 3)` for the first chunk.
        """
        if self._last is not None:
            frames = np.concatenate([self._last[None], frames])
        self._last = frames[-1]
        images = [encode_flow(self.between(first, second)) for first, second in itertools.pairwise(frames)]
        return np.stack(images) if images else np.empty((0, *frames.shape[1:]), np.uint8)

    @property
    def last(self) -> Frames | None:
        """The frame that the next one is compared with, `(H, W, 3)`; None before the first."""
        return self._last

    @last.setter
    def last(self, frame: Frames | None) -> None:
        self._last = frame

    def still(self) -> Frames:
        """Return the one image `(1, H, W, 3)` of a video of a single frame: no motion anywhere."""
        if self._last is None:
            raise ValueError("no frame was pushed")
        return np.full((1, *self._last.shape), FLOW_ZERO, np.uint8)

    def between(self, first: Frames, second: Frames) -> Flow:
        """Return the motion `(H, W, 2)`, x then y in px, that carries each point of `first` to `second`."""
        height, width = first.shape[:2]
        if np.array_equal(first, second):
            return np.zeros((height, width, 2), np.float32)  # methods return noise, and Brox's failed (release PR 13)
        pad_y, pad_x = max(0, _SMALLEST_PX - height), max(0, _SMALLEST_PX - width)
        if pad_y or pad_x:
            padding = ((0, pad_y), (0, pad_x), (0, 0))
            first, second = (np.pad(frame, padding, mode="edge") for frame in (first, second))
        return self._flow(first, second)[:height, :width]
