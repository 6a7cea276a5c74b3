"""What a network looks at: sampled frames of a video or array, or the flow images between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrcn.config import PreprocessConfig
from lrcn.errors import MediaError
from lrcn.video.flow import FlowImages
from lrcn.video.flow_file import FlowTag, read_flow_tag
from lrcn.video.read import probe, read_frames
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

    A flow image has the time of the later of its two frames; a video of one frame gives one image of no motion. Files
    that `lrcn data flow` wrote hold flow images already.

    Yields:
        `(N, H, W, 3)` uint8 and times `(N,)` in seconds from the start of the video; N at most `chunk_size`.

    Raises:
        MediaError: If nothing can be decoded, or a flow file was made otherwise than the configuration asks.
    """
    tag = None if isinstance(source, np.ndarray) else read_flow_tag(Path(source))
    if tag is not None and not isinstance(source, np.ndarray):
        yield from _flow_file(Path(source), tag, config, start_s, end_s, chunk_size, on_warning)
        return
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


def _flow_file(
    path: Path,
    tag: FlowTag,
    config: PreprocessConfig,
    start_s: float,
    end_s: float | None,
    chunk_size: int,
    on_warning: Callable[[str], None] | None,
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float64]]]:
    if config.stream == "rgb":
        raise MediaError(f"{path}: a file of flow images, and the model looks at RGB frames; give it the video itself")
    wanted = FlowTag(config.flow_method, config.sample_fps, config.resize)
    if tag != wanted:
        raise MediaError(f"{path}: made as {tag}, the model wants {wanted}; run `lrcn data flow` with these settings")
    step_s = 1.0 / (tag.sample_fps or probe(path).fps)
    last_s = None if end_s is None else end_s - step_s
    for chunk in read_frames(path, start_s=start_s, end_s=last_s, chunk_size=chunk_size, on_warning=on_warning):
        yield chunk.frames, chunk.times_s + step_s  # the file counts from its first image, which has two frames


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
