"""What a network looks at: sampled frames of a video or array, or the flow images between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrcn.config import PreprocessConfig
from lrcn.errors import MediaError
from lrcn.video.flow import FlowImages
from lrcn.video.read import read_frames
from lrcn.video.resize import FrameResizer

Source = str | Path | NDArray[np.uint8]

ARRAY_FPS = 30.0
"""Frame rate of an array where the model takes every frame, as of the paper's videos."""


def network_images(
    source: Source,
    config: PreprocessConfig,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    chunk_size: int = 64,
    on_warning: Callable[[str], None] | None = None,
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float64]]]:
    """Yield what the network looks at, resized but not cropped: sampled frames, or the flow images between them.

    A flow image has the time of the later of its two frames; a video of one frame gives one image of no motion.

    Yields:
        `(N, H, W, 3)` uint8 and times `(N,)` in seconds from the start of the video; N at most `chunk_size`.

    Raises:
        MediaError: If nothing can be decoded.
    """
    if isinstance(source, np.ndarray):
        chunks = _array_frames(source, config, start_s, end_s, chunk_size)
    else:
        decoded = read_frames(
            source,
            sample_fps=config.sample_fps,
            resize=config.resize,
            start_s=start_s,
            end_s=end_s,
            chunk_size=chunk_size,
            on_warning=on_warning,
        )
        chunks = ((chunk.frames, chunk.times_s) for chunk in decoded)
    yield from chunks if config.stream == "rgb" else _flow_images(chunks, config.flow_method)


def _flow_images(
    chunks: Iterator[tuple[NDArray[np.uint8], NDArray[np.float64]]], method: str
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float64]]]:
    flow = FlowImages(method)
    num_images, times_s = 0, np.zeros(0)
    for frames, times_s in chunks:
        images = flow.push(frames)
        if len(images):
            yield images, times_s[len(times_s) - len(images) :]
        num_images += len(images)
    if not num_images and len(times_s):
        yield flow.still(), times_s


def _array_frames(
    frames: NDArray[np.uint8], config: PreprocessConfig, start_s: float, end_s: float | None, chunk_size: int
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float64]]]:
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or not len(frames):
        raise MediaError(
            f"an array of frames must be RGB (frames, height, width, 3) of uint8, got {frames.shape} of {frames.dtype}"
        )
    times_s = np.arange(len(frames)) / (config.sample_fps or ARRAY_FPS)
    wanted = np.flatnonzero((times_s >= start_s) & (times_s < (np.inf if end_s is None else end_s)))
    resizer = FrameResizer(config.resize)
    for first in range(0, len(wanted), chunk_size):
        index = wanted[first : first + chunk_size]
        yield resizer(frames[index]), times_s[index]
