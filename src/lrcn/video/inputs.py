"""What a network looks at: sampled frames of a video or array, or the flow images between them."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lrcn.bouts import Region
from lrcn.config import PreprocessConfig
from lrcn.errors import MediaError
from lrcn.video.flow import FlowImages
from lrcn.video.flow_file import FlowTag, read_flow_tag
from lrcn.video.footage import Media, name_of
from lrcn.video.images import open_still
from lrcn.video.isolation import current
from lrcn.video.read import FrameChunk, probe, read_frames
from lrcn.video.regions import cut_region
from lrcn.video.resize import FrameResizer
from lrcn.video.sources import VECTOR_SUFFIXES

if TYPE_CHECKING:
    from torch import Tensor

Source: TypeAlias = "str | os.PathLike[str] | NDArray[Any] | Tensor | Image.Image | bytes | BinaryIO"
"""A video, picture or folder of images: where it lies, its bytes, a file opened for reading bytes, a PIL image, or RGB
values `(T, H, W, 3)` or `(H, W, 3)` uint8; tensors also `(T, 3, H, W)` or `(3, H, W)`."""

ARRAY_FPS = 30.0
"""Frame rate of an array where the model takes every frame, as of the paper's videos."""


def is_source(value: object) -> TypeGuard[Source]:
    """Whether this is of a kind that can be one source, and not several."""
    kinds = (str, os.PathLike, np.ndarray, Image.Image, bytes, bytearray, memoryview)
    return isinstance(value, kinds) or hasattr(value, "read") or _is_tensor(value)


def name_of_source(source: Source) -> str:
    """Return what a result calls its source: a path where it has one, else its kind."""
    if isinstance(source, np.ndarray):
        return "array"
    if _is_tensor(source):
        return "tensor"
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return "bytes"
    return name_of(cast("BinaryIO | Image.Image", source))


def as_media(source: Source) -> Media | NDArray[np.uint8]:
    """Return a source as what can be read: a path, a file that can be rewound, an image, or RGB `(T, H, W, 3)` uint8.

    Raises:
        MediaError: If it is of no such kind, or an array of another layout.
    """
    if isinstance(source, str | os.PathLike):
        return Path(source)
    if isinstance(source, Image.Image):
        return source
    if isinstance(source, bytes | bytearray | memoryview):
        return io.BytesIO(source)
    if isinstance(source, np.ndarray):
        return _as_frames(source, source.dtype)
    if _is_tensor(source):
        return _tensor_frames(source)
    if not hasattr(source, "read"):
        raise MediaError(
            "a source must be a path, bytes, an open file, a PIL image, or an array or tensor of RGB frames, "
            f"got {type(source).__module__}.{type(source).__qualname__}"
        )
    if isinstance(source, io.TextIOBase):
        raise MediaError(f"{name_of(source)}: a file opened as text; open it with mode 'rb'")
    if not (hasattr(source, "seekable") and source.seekable()):
        return io.BytesIO(cast(BinaryIO, source).read())  # a pipe or socket: containers are read back and forth
    return cast(BinaryIO, source)


def as_picture(media: Media | NDArray[np.uint8]) -> Media | NDArray[np.uint8] | None:
    """Return what `as_media` gave as the one picture that it is, not yet decoded; None if it is more, or no picture.

    An image that was not given must be closed. Where decoding is isolated, files stay what they are.
    """
    if isinstance(media, np.ndarray):
        return media if len(media) == 1 else None
    if (isolation := current()) is not None and not isinstance(media, Image.Image):
        return media if isolation.ask("is_still", media) else None
    return open_still(media)


def _is_tensor(source: object) -> TypeGuard[Tensor]:
    torch = sys.modules.get("torch")  # who has a tensor has loaded it
    return torch is not None and isinstance(source, torch.Tensor)


def _tensor_frames(tensor: Tensor) -> NDArray[np.uint8]:
    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype != "uint8":
        return _as_frames(np.empty(tuple(tensor.shape), np.bool_), dtype)  # refuses
    values = tensor.detach().cpu().numpy()
    if values.ndim in (3, 4) and values.shape[-1] != 3 and values.shape[-3] == 3:
        values = np.ascontiguousarray(np.moveaxis(values, -3, -1))
    return _as_frames(values, dtype)


def _as_frames(values: NDArray[Any], dtype: object) -> NDArray[np.uint8]:
    frames = values[None] if values.ndim == 3 else values
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or not frames.size:
        raise MediaError(
            "frames must be RGB (frames, height, width, 3), or one (height, width, 3), of uint8 from 0 to 255, "
            f"got {values.shape} of {dtype}"
        )
    return frames


def network_images(
    source: Source,
    config: PreprocessConfig,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    roi: Region | None = None,
    chunk_size: int = 64,
    on_warning: Callable[[str], None] | None = None,
) -> Iterator[FrameChunk]:
    """Yield what the network looks at, resized but not cropped: sampled frames, or the flow images between them.

    A flow image has the time of the later of its two frames; a video of one frame gives one image of no motion. Files
    that `lrcn data flow` wrote hold flow images already. With `roi`, only this part of the picture is there to be seen.

    Yields:
        Chunks of at most `chunk_size` images, one at least.

    Raises:
        MediaError: If nothing can be decoded there, or a flow file was made otherwise than the configuration asks;
            or if `roi` does not lie in the picture.
    """
    media = as_media(source)
    if config.stream == "vectors":
        raise MediaError(f"{name_of_source(source)}: looked at as pictures, and the model reads ready vectors")
    if isinstance(media, Path) and media.suffix.lower() in VECTOR_SUFFIXES:
        raise MediaError(
            f"{media}: a file of ready vectors, it seems, and the model looks at videos; train one that reads them: "
            "--stream vectors"
        )
    tag = read_flow_tag(media) if isinstance(media, Path) else None
    if tag is not None and isinstance(media, Path):
        if roi is not None:
            raise MediaError(
                f"{media}: a file of flow images, of the whole picture; give the video itself for a region of it"
            )
        yield from _flow_file(media, tag, config, start_s, end_s, chunk_size, on_warning)
        return
    chunks = sampled_frames(
        media, config, start_s=start_s, end_s=end_s, roi=roi, chunk_size=chunk_size, on_warning=on_warning
    )
    yield from chunks if config.stream == "rgb" else _flow_images(chunks, config.flow_method)


def sampled_frames(
    source: Source,
    config: PreprocessConfig,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    roi: Region | None = None,
    chunk_size: int = 64,
    on_warning: Callable[[str], None] | None = None,
) -> Iterator[FrameChunk]:
    """Yield the RGB frames that the network looks at, or of which it looks at the flow; as `network_images`."""
    media = as_media(source)
    if isinstance(media, np.ndarray):
        return _array_frames(media, name_of_source(source), config, start_s, end_s, roi, chunk_size)
    return read_frames(
        media,
        sample_fps=config.sample_fps,
        resize=config.resize,
        start_s=start_s,
        end_s=end_s,
        roi=roi,
        chunk_size=chunk_size,
        on_warning=on_warning,
    )


def _flow_file(
    path: Path,
    tag: FlowTag,
    config: PreprocessConfig,
    start_s: float,
    end_s: float | None,
    chunk_size: int,
    on_warning: Callable[[str], None] | None,
) -> Iterator[FrameChunk]:
    if config.stream == "rgb":
        raise MediaError(f"{path}: a file of flow images, and the model looks at RGB frames; give it the video itself")
    wanted = FlowTag(config.flow_method, config.sample_fps, config.resize)
    if tag != wanted:
        raise MediaError(f"{path}: made as {tag}, the model wants {wanted}; run `lrcn data flow` with these settings")
    step_s = 1.0 / (tag.sample_fps or probe(path).fps)
    last_s = None if end_s is None else end_s - step_s
    for chunk in read_frames(path, start_s=start_s, end_s=last_s, chunk_size=chunk_size, on_warning=on_warning):
        # the file counts from its first image, which has two frames
        yield replace(chunk, times_s=chunk.times_s + step_s, end_s=chunk.end_s + step_s)


def _flow_images(chunks: Iterator[FrameChunk], method: str) -> Iterator[FrameChunk]:
    flow = FlowImages(method)
    num_images, last = 0, None
    for last in chunks:
        images = flow.push(last.frames)
        if len(images):
            yield FrameChunk(images, last.times_s[len(last.times_s) - len(images) :], last.end_s)
        num_images += len(images)
    if not num_images and last is not None:
        yield replace(last, frames=flow.still())


def _array_frames(
    frames: NDArray[np.uint8],
    name: str,
    config: PreprocessConfig,
    start_s: float,
    end_s: float | None,
    roi: Region | None,
    chunk_size: int,
) -> Iterator[FrameChunk]:
    fps = config.sample_fps or ARRAY_FPS
    times_s = np.arange(len(frames)) / fps
    wanted = np.flatnonzero((times_s >= start_s) & (times_s < (np.inf if end_s is None else end_s)))
    if not len(wanted):
        ends = "the end" if end_s is None else f"{end_s:g} s"
        raise MediaError(f"{name}: no frame between {start_s:g} s and {ends}; it ends at {len(frames) / fps:g} s")
    resizer = FrameResizer(config.resize)
    if roi is not None:
        try:
            frames = cut_region(frames, roi)
        except MediaError as exc:
            raise MediaError(f"{name}: {exc}") from exc
    for first in range(0, len(wanted), chunk_size):
        index = wanted[first : first + chunk_size]
        yield FrameChunk(resizer(frames[index]), times_s[index], float(times_s[index[-1]]) + 1.0 / fps)
