"""From a source to the features of its frames, whatever runs the CNN. Imports no torch.

Shapes: V views, T frames of a video, N frames of a chunk, D feature size.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from lrcn.annotations.vector_files import read_vectors
from lrcn.bouts import Region
from lrcn.config import PreprocessConfig, VectorConfig
from lrcn.errors import ConfigError, MediaError
from lrcn.video.ahead import read_ahead
from lrcn.video.inputs import Source, name_of_source, network_images
from lrcn.video.vectors import Vectors
from lrcn.video.views import CENTER_VIEW, View

F = TypeVar("F")

_VECTOR_CHUNK = 4096
"""Ready vectors that are looked at at once."""


class FrameEncoder(ABC):
    """The CNN of a model, ready to run."""

    name: str
    """As `--runtime` takes it, for example `openvino-bf16`."""
    device: str
    """Where it runs, for example `cpu`."""

    @abstractmethod
    def encode(self, images: NDArray[np.uint8], view: View) -> NDArray[np.float32]:
        """Return the features `(N, D)` of the view's crops of images `(N, H, W, 3)`, resized already."""


@dataclass(frozen=True)
class EncodedChunk(Generic[F]):
    """Features of consecutive frames."""

    features: tuple[F, ...]
    """Of each view `(N, D)`."""
    times_s: NDArray[np.float64]
    """When each frame is shown, `(N,)`, from the start of the video."""
    end_s: float
    """When the last of them gives way to the next, or ends with the video or with the part that was asked for."""


def encode_chunks(
    source: Source,
    encode: Callable[[NDArray[Any], View], F],
    preprocess: PreprocessConfig,
    views: Sequence[View] = (CENTER_VIEW,),
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    roi: Region | None = None,
    chunk_size: int = 64,
    on_warning: Callable[[str], None] | None = None,
) -> Iterator[EncodedChunk[F]]:
    """Yield the features of a video while a thread decodes ahead; memory is bounded by three chunks of frames.

    Args:
        source: Video, image or folder of images, however it is given; each frame of an array or tensor is used. Where
            the stream is `vectors`, a file of them or an array `(T, D)`.
        encode: Makes features `(N, D)` of the view's crops of images `(N, H, W, 3)`, resized already, or of ready
            vectors `(N, D)`.
        preprocess: What the network's pixels must look like.
        views: Crops of each frame, V of them.
        start_s: Where to begin, from the start of the video.
        end_s: Where to end, exclusive; None for the end of the video.
        roi: Where in the picture to look; None for all of it.
        chunk_size: Frames that pass through the CNN at once.
        on_warning: Told what could not be decoded.

    Raises:
        MediaError: If nothing can be decoded, or `roi` does not lie in the picture.
        ConfigError: If ready vectors are to be looked at through crops, or in a region.
    """
    if preprocess.vectors is not None:
        if roi is not None or tuple(views) != (CENTER_VIEW,):
            raise ConfigError(f"ready vectors are no pictures: leave {'crops' if roi is None else 'roi'} out")
        vectors = vectors_of(source, preprocess.vectors, preprocess.sample_fps)
        if on_warning is not None:
            for complaint in vectors.complaints():
                on_warning(f"{name_of_source(source)}: {complaint}")
        yield from _vector_chunks(vectors, name_of_source(source), encode, preprocess, start_s, end_s)
        return
    images = network_images(
        source, preprocess, start_s=start_s, end_s=end_s, roi=roi, chunk_size=chunk_size, on_warning=on_warning
    )
    for chunk in read_ahead(images):
        yield EncodedChunk(tuple(encode(chunk.frames, view) for view in views), chunk.times_s, chunk.end_s)


def vectors_of(source: Source, config: VectorConfig, sample_fps: float | None = None) -> Vectors:
    """Return the ready vectors of a file, or those that an array `(T, D)` holds.

    An array is taken to have the rate of files that tell none, or else the rate that the model samples at.

    Raises:
        MediaError: As for `read_vectors`; or if the source is neither a path nor such an array.
    """
    if isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        stat = os.stat(path) if os.path.isfile(path) else None
        return _read(path, config, *((stat.st_size, stat.st_mtime_ns) if stat is not None else (0, 0)))
    name, fps = name_of_source(source), config.fps or sample_fps
    if not isinstance(source, np.ndarray) or source.ndim != 2 or not source.size or source.dtype.kind not in "fiu":
        raise MediaError(f"{name}: this model reads ready vectors: a file of them, or an array (frames, values)")
    if config.names and source.shape[1] != len(config.names):
        raise MediaError(f"{name}: vectors of {source.shape[1]} values, and the model reads {len(config.names)}")
    if np.isinf(source).any():
        raise MediaError(f"{name}: holds a number that is infinite; nan stands for what is missing")
    if fps is None:
        raise MediaError(f"{name}: nothing says how many rows a second it has; give a file with a column time_s")
    names = config.names or tuple(map(str, range(source.shape[1])))
    return Vectors(source.astype(np.float32), np.arange(len(source)) / fps, len(source) / fps, names)


@lru_cache(maxsize=1)
def _read(path: str, config: VectorConfig, size: int, modified_ns: int) -> Vectors:
    """Read a file once for all parts of it that are asked for in a row; size and time tell whether it has changed."""
    return read_vectors(path, config)


def _vector_chunks(
    vectors: Vectors,
    name: str,
    encode: Callable[[NDArray[Any], View], F],
    preprocess: PreprocessConfig,
    start_s: float,
    end_s: float | None,
) -> Iterator[EncodedChunk[F]]:
    try:
        sampled = vectors.sampled(preprocess.sample_fps, start_s, end_s)
    except ValueError as exc:
        raise MediaError(f"{name}: {exc}") from exc
    for first in range(0, len(sampled.values), _VECTOR_CHUNK):
        rows = sampled.values[first : first + _VECTOR_CHUNK]
        times_s = sampled.times_s[first : first + _VECTOR_CHUNK]
        last = first + len(rows)
        chunk_end_s = float(sampled.times_s[last]) if last < len(sampled.times_s) else sampled.end_s
        yield EncodedChunk((encode(rows, CENTER_VIEW),), times_s, chunk_end_s)
