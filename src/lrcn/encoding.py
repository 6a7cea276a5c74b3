"""From a source to the features of its frames, whatever runs the CNN. Imports no torch.

Shapes: V views, T frames of a video, N frames of a chunk, D feature size.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from lrcn.bouts import Region
from lrcn.config import PreprocessConfig
from lrcn.video.ahead import read_ahead
from lrcn.video.inputs import Source, network_images
from lrcn.video.views import CENTER_VIEW, View

F = TypeVar("F")


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
    encode: Callable[[NDArray[np.uint8], View], F],
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
        source: Video, image or folder of images, however it is given; each frame of an array or tensor is used.
        encode: Makes features `(N, D)` of the view's crops of images `(N, H, W, 3)`, resized already.
        preprocess: What the network's pixels must look like.
        views: Crops of each frame, V of them.
        start_s: Where to begin, from the start of the video.
        end_s: Where to end, exclusive; None for the end of the video.
        roi: Where in the picture to look; None for all of it.
        chunk_size: Frames that pass through the CNN at once.
        on_warning: Told what could not be decoded.

    Raises:
        MediaError: If nothing can be decoded, or `roi` does not lie in the picture.
    """
    images = network_images(
        source, preprocess, start_s=start_s, end_s=end_s, roi=roi, chunk_size=chunk_size, on_warning=on_warning
    )
    for chunk in read_ahead(images):
        yield EncodedChunk(tuple(encode(chunk.frames, view) for view in views), chunk.times_s, chunk.end_s)
