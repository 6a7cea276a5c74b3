"""Videos as chunks of RGB frames with times: files, animations, still images and folders of images alike."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lrcn.errors import MediaError
from lrcn.video.decode import Picture, TimedFrame, VideoFile
from lrcn.video.images import ImageFile, ImageFolder, open_image
from lrcn.video.resize import FrameResizer, Frames, Resize, resized_size
from lrcn.video.sources import image_sequence

CLOCK_TOLERANCE_S = 1e-3
"""A frame counts as shown this much before its time stamp: Matroska rounds stamps to milliseconds."""

_CHUNK_BYTES = 2**28
"""Chunks of large frames hold fewer than `chunk_size`, so that a chunk stays below this."""


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video without decoding more than its first frame."""

    path: Path
    width: int
    """In px, upright."""
    height: int
    """In px, upright."""
    duration_s: float
    fps: float
    """Mean frame rate; a still image and a folder of images count as 30."""
    num_frames: int | None
    """As stated by the file; None where it states none."""
    has_audio: bool


@dataclass(frozen=True)
class FrameChunk:
    """Consecutive frames of a video."""

    frames: Frames
    """RGB `(N, H, W, 3)`, N at least 1."""
    times_s: npt.NDArray[np.float64]
    """`(N,)`, counted from the first frame of the video."""


def probe(path: str | Path) -> VideoInfo:
    """Return what a video says about itself.

    Raises:
        MediaError: If no frame of it can be decoded.
    """
    with ExitStack() as stack:
        footage = _open(Path(path), stack, lambda message: None)
        first = _first(footage.frames(), Path(path))
        height, width = first.load().upright_size
        if isinstance(footage, VideoFile):
            duration_s = footage.stated_duration_s
            frames = footage.stated_frames
            fps, has_audio = footage.fps, footage.has_audio
        else:
            rest = [first, *footage.frames()]
            duration_s = rest[-1].time_s + rest[-1].duration_s
            frames, has_audio = len(rest) - 1, False
            fps = frames / duration_s
        return VideoInfo(Path(path), width, height, duration_s or 0.0, fps, frames, has_audio)


def read_frames(
    path: str | Path,
    *,
    sample_fps: float | None = None,
    resize: Resize = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    chunk_size: int = 32,
    on_warning: Callable[[str], None] | None = None,
) -> Iterator[FrameChunk]:
    """Yield a video in chunks; memory is bounded by a chunk, however long the video.

    Raises:
        MediaError: If nothing can be decoded.
    """
    path = Path(path)
    warn = on_warning or (lambda message: warnings.warn(message, stacklevel=2))
    with ExitStack() as stack:
        footage = _open(path, stack, warn)
        end = np.inf if end_s is None else end_s
        if sample_fps is None:
            chosen = _every_frame(footage.frames(), start_s, end)
        else:
            chosen = _by_time(footage.frames(), sample_fps, start_s, end)
        yield from _chunks(chosen, resize, chunk_size)


def read_all(
    path: str | Path,
    *,
    sample_fps: float | None = None,
    resize: Resize = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> tuple[Frames, npt.NDArray[np.float64]]:
    """Return all frames `(T, H, W, 3)` of a video that fits into memory, and their times `(T,)`; see `read_frames`."""
    chunks = list(
        read_frames(path, sample_fps=sample_fps, resize=resize, start_s=start_s, end_s=end_s, on_warning=on_warning)
    )
    return np.concatenate([c.frames for c in chunks]), np.concatenate([c.times_s for c in chunks])


def _open(path: Path, stack: ExitStack, warn: Callable[[str], None]) -> VideoFile | ImageFile | ImageFolder:
    if path.is_dir():
        images = image_sequence(path)
        if not images:
            raise MediaError(f"{path}: not a folder of images only; name the videos in it")
        return ImageFolder(images, warn)
    if not path.is_file():
        raise MediaError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise MediaError(f"{path}: the file is empty")
    image = open_image(path)
    if image is not None:
        stack.enter_context(image)
        return ImageFile(path, image)
    return stack.enter_context(VideoFile(path))


def _first(frames: Iterator[TimedFrame], path: Path) -> TimedFrame:
    for frame in frames:
        return frame
    raise MediaError(f"{path}: no frame can be decoded")


def _every_frame(frames: Iterator[TimedFrame], start_s: float, end_s: float) -> Iterator[tuple[float, TimedFrame]]:
    for frame in frames:
        if frame.time_s >= end_s - CLOCK_TOLERANCE_S:
            return
        if frame.time_s >= start_s - CLOCK_TOLERANCE_S:
            yield frame.time_s, frame


def _by_time(
    frames: Iterator[TimedFrame], fps: float, start_s: float, end_s: float
) -> Iterator[tuple[float, TimedFrame]]:
    shown: TimedFrame | None = None
    count = 0
    for following in frames:
        while (
            shown is not None and (time_s := start_s + count / fps) < min(following.time_s, end_s) - CLOCK_TOLERANCE_S
        ):
            yield time_s, shown
            count += 1
        shown = following
    while shown is not None and (time_s := start_s + count / fps) < min(shown.time_s + shown.duration_s, end_s) - 1e-3:
        yield time_s, shown
        count += 1


def _chunks(chosen: Iterator[tuple[float, TimedFrame]], resize: Resize, chunk_size: int) -> Iterator[FrameChunk]:
    resizer = FrameResizer(None)
    size: tuple[int, int] | None = None
    frames: list[Frames] = []
    times: list[float] = []
    for time_s, frame in chosen:
        picture = frame.load()
        if size is None:
            size = resized_size(*picture.upright_size, resize)
        frames.append(_upright_rgb(resizer, picture, *size))
        times.append(time_s)
        if len(frames) == chunk_size:
            yield FrameChunk(np.stack(frames), np.array(times))
            frames, times = [], []
    if frames:
        yield FrameChunk(np.stack(frames), np.array(times))


def _upright_rgb(resizer: FrameResizer, picture: Picture, height: int, width: int) -> Frames:
    return picture.orientation.apply(resizer.to_rgb(picture.frame, *picture.orientation.upright(height, width)))
