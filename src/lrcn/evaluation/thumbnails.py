"""Small pictures inside a page: frames of videos as data addresses, so that the page is one file."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lrcn.bouts import Region
from lrcn.video.images import open_still
from lrcn.video.read import probe, read_frames


def frames_between(
    path: Path,
    start_s: float,
    end_s: float | None,
    number: int,
    short_side_px: int,
    roi: Region | None = None,
) -> list[NDArray[np.uint8]]:
    """Return frames of a part of a video at equal distances, or the one of a picture, `(H, W, 3)` each.

    Args:
        path: The video or picture.
        start_s: Where the part begins.
        end_s: Where it ends; None for the end of the video.
        number: Frames at most.
        short_side_px: Of the frames returned.
        roi: Where in the picture to look; None for all of it.

    Raises:
        MediaError: If nothing can be decoded there.
    """
    if (still := open_still(path)) is not None:
        with still:
            return [np.asarray(next(read_frames(still, resize=short_side_px, roi=roi)).frames[0])]
    last_s = end_s or probe(path).duration_s
    fps = number / max(last_s - start_s, 1e-3)
    chunks = read_frames(
        path, sample_fps=fps, resize=short_side_px, start_s=start_s, end_s=last_s, roi=roi, on_warning=_reported_before
    )
    return [np.asarray(frame) for chunk in chunks for frame in chunk.frames][:number]


def data_address(picture: NDArray[np.uint8], *, quality: int = 80) -> str:
    """Return a picture `(H, W, 3)` as a JPEG in a data address."""
    content = io.BytesIO()
    Image.fromarray(picture).save(content, format="JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()


def _reported_before(warning: str) -> None:
    """The evaluation has said it."""
