"""Pictures and videos through the CNN: pictures together, videos in chunks, long ones in parts.

Of a long video no more than two parts and a thousand frames' features are held.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lrcn.config import PreprocessConfig
from lrcn.encoding import FrameEncoder, encode_chunks
from lrcn.errors import ConfigError
from lrcn.inference.captioning.segments import SegmentCutter, ThinnedFeatures
from lrcn.inference.sources import OnFailure, telling
from lrcn.video.footage import Media
from lrcn.video.inputs import Source, as_media, as_picture, network_images
from lrcn.video.views import CENTER_VIEW, crop_offset

if TYPE_CHECKING:
    from lrcn.features import VideoFeatures

MAX_FRAMES = 1024
"""The caption of a whole video sees at most this many of its sampled frames, evenly spaced."""


@dataclass(frozen=True)
class Excerpt:
    """A picture, a video, or the part of one that is looked at."""

    source: Source
    start_s: float = 0.0
    end_s: float | None = None
    """None for the end."""


@dataclass
class ReadSource:
    """A source whose frames have been through the CNN."""

    source: Source
    features: Tensor
    """`(T, D)`, of at most `MAX_FRAMES` frames."""
    duration_s: float
    """0 of a picture."""
    segments: list[tuple[float, float, Tensor]] = field(default_factory=list)
    """Start, end and context of each part of a long video."""
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    """That decoding and the CNN took."""


class SourceReader:
    """Reads sources with the backbone of a captioning model."""

    def __init__(
        self,
        encoder: FrameEncoder,
        preprocess: PreprocessConfig,
        context: Callable[[Tensor], Tensor],
        batch_size: int,
    ) -> None:
        """Take what runs the backbone, the pixels it reads, what makes `(E,)` of features `(T, D)`, images at once."""
        self._encoder, self._preprocess = encoder, preprocess
        self._context, self._batch_size = context, batch_size

    def read_one(
        self, excerpt: Excerpt, segment_s: float | None, on_progress: Callable[[float], None] | None = None
    ) -> ReadSource:
        """Return what is read of a picture, or of a video of any length.

        Args:
            excerpt: What to read.
            segment_s: Videos longer than this get contexts for each such part, too; None for none.
            on_progress: Called with the seconds of video done so far.

        Raises:
            MediaError: If nothing of it can be decoded.
            ConfigError: If `segment_s` is out of range.
        """
        media = as_media(excerpt.source)
        if (image := as_picture(media)) is None:
            return self._read_video(excerpt, media, segment_s, on_progress)
        with closing(_Picture(0, excerpt.source, image)):
            read = self._read_video(excerpt, image, segment_s, on_progress)
        read.duration_s = 0.0
        return read

    def read(
        self,
        excerpts: Iterable[Excerpt],
        *,
        segment_s: float | None = None,
        on_failure: OnFailure | None = None,
        on_progress: Callable[[Source, float], None] | None = None,
    ) -> Iterator[tuple[int, ReadSource]]:
        """Yield the place of each among the excerpts and what is read of it; pictures go through the CNN together.

        Args:
            excerpts: What to read.
            segment_s: As for `read_one`.
            on_failure: Told what cannot be read; None raises.
            on_progress: Called with a video and the seconds of it done so far.

        Raises:
            MediaError: At a source that cannot be read, unless `on_failure` is given.
            ConfigError: As for `read_one`.
        """
        pictures: list[_Picture] = []
        for place, excerpt in enumerate(excerpts):
            with telling(on_failure, excerpt.source):
                media = as_media(excerpt.source)
                if (image := as_picture(media)) is not None:
                    pictures.append(_Picture(place, excerpt.source, image))
                if image is None or len(pictures) == self._batch_size:
                    yield from self._read_pictures(pictures, on_failure)
                    pictures = []
                if image is None:
                    report = None if on_progress is None else partial(on_progress, excerpt.source)
                    yield place, self._read_video(excerpt, media, segment_s, report)
        yield from self._read_pictures(pictures, on_failure)

    def read_encoded(
        self, source: Source, encoded: VideoFeatures, segment_s: float | None, *, is_picture: bool
    ) -> ReadSource:
        """Return what `read_one` does, of a source whose frames have been through the backbone.

        Args:
            source: What they are of.
            encoded: Features of the centre crops.
            segment_s: As for `read_one`.
            is_picture: Whether it is one picture, and no video.

        Raises:
            ConfigError: If `segment_s` is out of range.
        """
        reading = _VideoReading(segment_s, self._context)
        reading.push(encoded.features[0], encoded.times_s, encoded.duration_s)
        read = reading.finish(source, encoded.warnings)
        if is_picture:
            read.duration_s = 0.0
        return read

    def _read_pictures(
        self, pictures: Sequence[_Picture], on_failure: OnFailure | None
    ) -> Iterator[tuple[int, ReadSource]]:
        """Decode and encode pictures together."""
        began = time.perf_counter()
        crops: list[NDArray[np.uint8]] = []
        readable: list[tuple[_Picture, tuple[str, ...]]] = []
        for picture in pictures:
            warnings: list[str] = []
            with telling(on_failure, picture.source), closing(picture):
                images = next(network_images(picture.media, self._preprocess, on_warning=warnings.append)).frames
                crops.append(_center_crop(images[:1], self._preprocess.crop))
                readable.append((picture, tuple(warnings)))
        if not crops:
            return
        features = torch.from_numpy(self._encoder.encode(np.concatenate(crops), CENTER_VIEW))
        share_s = (time.perf_counter() - began) / len(readable)
        for (picture, warnings_of), one in zip(readable, features, strict=True):
            yield picture.place, ReadSource(picture.source, one[None], 0.0, warnings=warnings_of, seconds=share_s)

    def _read_video(
        self,
        excerpt: Excerpt,
        media: Media | NDArray[np.uint8],
        segment_s: float | None,
        on_progress: Callable[[float], None] | None,
    ) -> ReadSource:
        began = time.perf_counter()
        warnings: list[str] = []
        reading = _VideoReading(segment_s, self._context)
        for chunk in encode_chunks(
            media,
            self._encoder.encode,
            self._preprocess,
            start_s=excerpt.start_s,
            end_s=excerpt.end_s,
            chunk_size=self._batch_size,
            on_warning=warnings.append,
        ):
            reading.push(torch.from_numpy(chunk.features[0]), chunk.times_s, chunk.end_s)
            if on_progress is not None:
                on_progress(float(chunk.times_s[-1]))
        read = reading.finish(excerpt.source, warnings)
        read.seconds = time.perf_counter() - began
        return read


class _VideoReading:
    """What is kept of a video while its features come in."""

    def __init__(self, segment_s: float | None, context: Callable[[Tensor], Tensor]) -> None:
        if segment_s is not None and not segment_s > 0:
            raise ConfigError(f"segment_s must be above 0 or null, got {segment_s}")
        self._whole, self._cutter = ThinnedFeatures(MAX_FRAMES), SegmentCutter(segment_s)
        self._context = context
        self._parts: list[tuple[float, Tensor]] = []
        self._end_s = 0.0

    def push(self, features: Tensor, times_s: NDArray[np.float64], end_s: float) -> None:
        """Add the features `(n, D)` of the next frames, the last of which ends at `end_s`."""
        self._whole.push(features)
        self._parts += [(first_s, self._context(part)) for first_s, part in self._cutter.push(features, times_s)]
        self._end_s = end_s

    def finish(self, source: Source, warnings: Sequence[str]) -> ReadSource:
        """Return all that was read, once all frames are there, one at least."""
        parts = [*self._parts, *((first_s, self._context(part)) for first_s, part in self._cutter.finish(self._end_s))]
        ends = [first_s for first_s, _ in parts[1:]] + [self._end_s]
        segments = [(first_s, end_s, context) for (first_s, context), end_s in zip(parts, ends, strict=False)]
        return ReadSource(
            source, self._whole.features(), self._end_s, segments if len(segments) > 1 else [], tuple(warnings)
        )


class _Picture(NamedTuple):
    """A source that is one picture."""

    place: int
    source: Source
    media: Media | NDArray[np.uint8]

    def close(self) -> None:
        """Close what was opened here."""
        if isinstance(self.media, Image.Image) and self.media is not self.source:
            self.media.close()


def _center_crop(images: NDArray[np.uint8], crop: int) -> NDArray[np.uint8]:
    """Cut the centre view, so that pictures of different shapes can go through the CNN together."""
    top, left = (crop_offset(length - crop, CENTER_VIEW.top) for length in images.shape[1:3])
    return images[:, top : top + crop, left : left + crop]
