"""Videos as chunks of RGB frames with times: files, animations, still images and folders of images alike."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from lrcn.bouts import Region
from lrcn.errors import ConfigError, MediaError
from lrcn.video.choosing import CLOCK_TOLERANCE_S, Chosen, Shown, each_frame, frames_at
from lrcn.video.decode import VideoFile
from lrcn.video.footage import Media, TimedFrame, name_of, one_line
from lrcn.video.images import ImageFile, ImageFolder, open_image
from lrcn.video.isolation import Isolation, current
from lrcn.video.regions import check_region, cut_region
from lrcn.video.resize import MAX_FRAME_PIXELS, FrameResizer, Frames, Resize, resized_size
from lrcn.video.sources import image_sequence, why_no_file

_CHUNK_BYTES = 2**28
"""Chunks of large frames hold fewer than `chunk_size`, so as to stay below this."""

_Footage = VideoFile | ImageFile | ImageFolder


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video after its first frame is decoded."""

    width: int
    """In px, upright, as players show it: where pixels are not square, other than is stored."""
    height: int
    """In px, upright."""
    duration_s: float
    fps: float
    """Mean frame rate; 30 for a still image and for a folder of images."""
    num_frames: int | None
    """As the file states; None where it does not."""
    has_audio: bool


@dataclass(frozen=True)
class FrameChunk:
    """Consecutive frames of a video."""

    frames: Frames
    """RGB `(N, H, W, 3)` uint8, N at least 1."""
    times_s: npt.NDArray[np.float64]
    """`(N,)`, counted from the first frame of the video."""
    end_s: float
    """When the last of them gives way to the next, or ends with the video or with the part that was asked for."""
    numbers: npt.NDArray[np.int64] | None = None
    """Which frames they are, `(N,)`, counted from 0 at the first one decoded: of a video that is read from its start,
    its own numbers. None for what is no frame of a video."""


def probe(source: str | Media) -> VideoInfo:
    """Return what a video says about itself; `MediaError` if no frame of it can be decoded."""
    media = Path(source) if isinstance(source, str) else source
    if (isolation := current()) is not None and not isinstance(media, Image.Image):
        return VideoInfo(**isolation.ask("info", media))
    with _footage(media) as footage:
        num_frames, end_s, size = 0, 0.0, None
        for frame in footage.frames():
            if size is None:
                picture = frame.load()
                size = picture.upright_size if picture else None
            num_frames, end_s = num_frames + 1, frame.time_s + frame.duration_s
            if size is not None and isinstance(footage, VideoFile) and footage.duration_s:
                break
        if size is None:
            raise MediaError(_undecodable(media))
        if isinstance(footage, VideoFile):
            duration_s = footage.duration_s
            stated = footage.stated_frames if duration_s else num_frames
            return VideoInfo(size[1], size[0], duration_s or end_s, footage.fps, stated, footage.has_audio)
        return VideoInfo(size[1], size[0], end_s, num_frames / end_s, num_frames, False)


def read_frames(
    source: str | Media,
    *,
    sample_fps: float | None = None,
    resize: Resize = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    roi: Region | None = None,
    chunk_size: int = 32,
    on_warning: Callable[[str], None] | None = None,
) -> Iterator[FrameChunk]:
    """Yield a video as chunks of RGB frames, upright, in order; no more than one chunk is held in memory.

    Args:
        source: A local video file, animation or still image, told by its content, or a folder holding only images,
            which plays at 30 fps; or an open file or image.
        sample_fps: Take the frame shown at `start_s`, `start_s + 1 / sample_fps`, ...: the last one whose time is not
            later (to a millisecond). Where that is the same as before, it comes again. None takes every frame once.
        resize: New short side in px, or `(height, width)`; None keeps the size of the first frame. Where the shape of
            frames changes within the video, later ones are stretched to that of the first, with a warning.
        start_s: Where to begin, in seconds from the first frame.
        end_s: Where to stop: only times before it count. None goes on to the end.
        roi: Cut this out of each picture before it is resized; None takes all of it.
        chunk_size: Frames in a chunk; the last one, and those of very large frames, hold fewer.
        on_warning: Called with one line for each thing that is wrong with the file but did not stop the reading;
            without it, Python warnings are issued.

    Yields:
        Chunks; the times are those of the frames, or with `sample_fps` the times asked for. At least one frame comes:
        where none begins between `start_s` and `end_s`, the one shown at `start_s`.

    Raises:
        MediaError: If nothing can be decoded there, or `roi` does not lie in the picture.
        ConfigError: If an argument makes no sense.
    """
    media = Path(source) if isinstance(source, str) else source
    name = name_of(media)
    if sample_fps is not None and not 0 < sample_fps < math.inf:
        raise ConfigError(f"sample_fps must be above 0 or null, got {sample_fps}")
    if chunk_size < 1:
        raise ConfigError(f"chunk_size must be at least 1, got {chunk_size}")
    if not 0 <= start_s < math.inf or (end_s is not None and not end_s > start_s):
        raise MediaError(f"{name}: cannot be read from {start_s} s to {end_s} s; the end must lie after the start")
    with open_video(media) as video:
        yield from video.chunks(
            sample_fps=sample_fps,
            resize=resize,
            start_s=start_s,
            end_s=end_s,
            roi=roi,
            chunk_size=chunk_size,
            on_warning=on_warning,
        )


class OpenVideo:
    """A video that is open: what it says of itself, and its frames, which can be asked for once."""

    def __init__(self, media: Media, footage: _Footage) -> None:
        self._media = media
        self._footage = footage

    @property
    def stated_s(self) -> float | None:
        """Length in seconds, as the file tells; None where only its frames do."""
        return self._footage.duration_s if isinstance(self._footage, VideoFile) else None

    def chunks(
        self,
        *,
        sample_fps: float | None = None,
        resize: Resize = None,
        start_s: float = 0.0,
        end_s: float | None = None,
        roi: Region | None = None,
        chunk_size: int = 32,
        on_warning: Callable[[str], None] | None = None,
    ) -> Iterator[FrameChunk]:
        """Yield its frames as `read_frames` does."""
        limit_s = math.inf if end_s is None else end_s
        shown = Shown(self._footage.frames(start_s), start_s)
        if sample_fps is None:
            chosen = each_frame(shown, start_s, limit_s)
        else:
            chosen = frames_at(shown, (start_s + count / sample_fps for count in itertools.count()), limit_s)
        return self._converted(chosen, shown, resize, roi, chunk_size, on_warning)

    def chunks_at(
        self, times_s: Iterator[float], *, resize: Resize = None, on_warning: Callable[[str], None] | None = None
    ) -> Iterator[FrameChunk]:
        """Yield the frames shown at times of one's own, which rise without end, as `read_frames` does."""
        shown = Shown(self._footage.frames())
        return self._converted(frames_at(shown, times_s, math.inf), shown, resize, None, 32, on_warning)

    def _converted(
        self,
        chosen: Iterator[Chosen],
        shown: Shown,
        resize: Resize,
        roi: Region | None,
        chunk_size: int,
        on_warning: Callable[[str], None] | None,
    ) -> Iterator[FrameChunk]:
        name = name_of(self._media)
        empty = True
        warn = on_warning or warnings.warn
        for chunk in _chunks(name, chosen, shown, resize, roi, chunk_size, warn):
            empty = False
            yield chunk
        if empty and 0 < shown.end_s <= shown.start_s + CLOCK_TOLERANCE_S:
            raise MediaError(f"{name}: cannot be read from {shown.start_s:g} s, the video ends at {shown.end_s:g} s")
        if empty:
            raise MediaError(_undecodable(self._media))
        if shortfall := self._footage.shortfall():
            warn(shortfall)


class IsolatedVideo:
    """A video that is decoded in a process of its own; otherwise as `OpenVideo`."""

    def __init__(self, media: Path | BinaryIO, isolation: Isolation, *, threads: bool) -> None:
        self._media = media
        self._isolation = isolation
        self._threads = threads

    @cached_property
    def stated_s(self) -> float | None:
        """Length in seconds, as the file tells; None where only its frames do."""
        value = self._isolation.ask("stated_s", self._media)
        return float(value) if isinstance(value, int | float) and 0 < value < math.inf else None

    def chunks(
        self,
        *,
        sample_fps: float | None = None,
        resize: Resize = None,
        start_s: float = 0.0,
        end_s: float | None = None,
        roi: Region | None = None,
        chunk_size: int = 32,
        on_warning: Callable[[str], None] | None = None,
    ) -> Iterator[FrameChunk]:
        """Yield its frames as `read_frames` does."""
        settings = {"sample_fps": sample_fps, "resize": resize, "start_s": start_s, "end_s": end_s, "roi": roi}
        return self._decoded({**settings, "chunk_size": chunk_size}, None, on_warning)

    def chunks_at(
        self, times_s: Iterator[float], *, resize: Resize = None, on_warning: Callable[[str], None] | None = None
    ) -> Iterator[FrameChunk]:
        """Yield the frames shown at times of one's own, as `OpenVideo` does."""
        return self._decoded({"resize": resize}, times_s, on_warning)

    def _decoded(
        self,
        settings: dict[str, object],
        times_s: Iterator[float] | None,
        on_warning: Callable[[str], None] | None,
    ) -> Iterator[FrameChunk]:
        warn = on_warning or warnings.warn
        found = self._isolation.chunks(self._media, settings, warn, times_s=times_s, threads=self._threads)
        with closing(found) as decoded:
            for frames, shown_s, until_s, numbers in decoded:
                yield FrameChunk(frames, shown_s, until_s, numbers)


@contextmanager
def open_video(source: str | Media, *, threads: bool = True) -> Iterator[OpenVideo | IsolatedVideo]:
    """Open a video as `read_frames` does; `threads` as for `VideoFile`.

    Raises:
        MediaError: If it cannot be opened; where decoding is isolated, as soon as it is asked for something.
    """
    media = Path(source) if isinstance(source, str) else source
    if (isolation := current()) is not None and not isinstance(media, Image.Image):
        yield IsolatedVideo(media, isolation, threads=threads)
        return
    with _footage(media, threads=threads) as footage:
        yield OpenVideo(media, footage)


def read_all(
    source: str | Media,
    *,
    sample_fps: float | None = None,
    resize: Resize = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    roi: Region | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> tuple[Frames, npt.NDArray[np.float64]]:
    """Return all frames `(T, H, W, 3)` of a video that fits into memory, and their times `(T,)`, as `read_frames`."""
    chunks = list(
        read_frames(
            source,
            sample_fps=sample_fps,
            resize=resize,
            start_s=start_s,
            end_s=end_s,
            roi=roi,
            on_warning=on_warning,
        )
    )
    return np.concatenate([c.frames for c in chunks]), np.concatenate([c.times_s for c in chunks])


def _undecodable(media: Media) -> str:
    return f"{name_of(media)}: no frame can be decoded; it is damaged, or larger than {MAX_FRAME_PIXELS} px"


@contextmanager
def _footage(media: Media, *, threads: bool = True) -> Iterator[_Footage]:
    images = _images_in(media) if isinstance(media, Path) else None
    if isinstance(media, Image.Image):
        yield ImageFile(name_of(media), media)
    elif images and isinstance(media, Path):
        yield ImageFolder(media, images)
    elif image := open_image(media):
        with image:
            yield ImageFile(name_of(media), image)
    else:
        with VideoFile(media, threads=threads) as video:
            yield video


def _images_in(path: Path) -> list[Path] | None:
    """Return the images of a folder; None for a file with something in it."""
    try:
        images = image_sequence(path) if path.is_dir() else None
        if images == []:
            raise MediaError(f"{path}: not a folder of images only; name the videos in it")
        if images is None and not path.is_file():
            raise MediaError(f"{path}: {why_no_file(path)}")
        if images is None and path.stat().st_size == 0:
            raise MediaError(f"{path}: the file is empty")
    except OSError as exc:
        raise MediaError(f"{path}: cannot be read ({one_line(exc)})") from exc
    return images


def _chunks(
    name: str,
    chosen: Iterator[Chosen],
    shown: Shown,
    resize: Resize,
    roi: Region | None,
    chunk_size: int,
    warn: Callable[[str], object],
) -> Iterator[FrameChunk]:
    """Convert what was chosen, and nothing else, into arrays of at most `chunk_size` frames.

    A full one is kept until the next frame is chosen: only then it is known whether the video goes on.
    """
    whole = resize if roi is None else None
    resizer, region_resizer = FrameResizer(whole), FrameResizer(resize)
    shape = (0, 0)
    has_one_shape = True
    height = width = count = 0
    end_s = 0.0
    frames, times_s, numbers = np.empty((0, 0, 0, 3), np.uint8), np.empty(0), np.empty(0, np.int64)
    converted: TimedFrame | None = None
    pixels = frames
    for time_s, until_s, frame, number in chosen:
        if frame is not converted:
            picture = frame.load()
            if picture is None:
                continue
            try:
                if converted is None:
                    shape = height, width = resized_size(*picture.upright_size, whole)
                    if roi is not None:
                        check_region(roi, *shape)
                        height, width = resized_size(roi[3], roi[2], resize)
                    chunk_size = max(1, min(chunk_size, _CHUNK_BYTES // (3 * height * width)))
                elif has_one_shape and resized_size(*picture.upright_size, whole) != shape:
                    has_one_shape = False
                    warn(
                        f"{name}: the shape of its frames changes at {time_s:.1f} s; from there on they are stretched "
                        "to that of the first; cut the video there"
                    )
                upright = picture.orientation
                pixels = upright.apply(resizer.to_rgb(picture.frame, *upright.upright(*shape)))
                if roi is not None:
                    pixels = region_resizer(cut_region(pixels[None], roi))[0]
            except MediaError as exc:
                raise MediaError(f"{name}: {exc}") from exc
            converted = frame
        if count == chunk_size:
            yield FrameChunk(frames, times_s, end_s, numbers)
            count = 0
        if count == 0:
            frames, times_s = np.empty((chunk_size, height, width, 3), np.uint8), np.empty(chunk_size)
            numbers = np.empty(chunk_size, np.int64)
        frames[count], times_s[count], numbers[count], end_s = pixels, time_s, number, until_s
        count += 1
    if count:
        last_s = min(end_s, shown.end_s) if shown.ended else end_s
        yield FrameChunk(frames[:count], times_s[:count], last_s, numbers[:count])
