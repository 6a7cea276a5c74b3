"""Still images, animated images and folders of images, as frames with times."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
import pi_heif
from PIL import (  # noqa: F401 (registers)
    AvifImagePlugin,
    ExifTags,
    Image,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from lrcn.errors import MediaError
from lrcn.video.footage import LONGEST_STEP_S, Media, Picture, TimedFrame, name_of, one_line
from lrcn.video.resize import MAX_FRAME_PIXELS

IMAGE_SEQUENCE_FPS = 30.0
"""Frame rate that a folder of images is taken to have; a still image stays for one frame of it."""

pi_heif.register_heif_opener(thumbnails=False)

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM", "AVIF", "HEIF")
"""What Pillow opens, told by content. GIF is left to ffmpeg, which decodes it as a video. Of HEIC and AVIF, as phones
write them, ffmpeg shows one tile only."""

_ANIMATED = ("WEBP", "PNG", "GIF", "AVIF")

_TILED_BRANDS = (b"heic", b"heix", b"mif1", b"avif")
"""What a file of tiles says that it is: where it is damaged, ffmpeg must not show its first tile."""

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what makes the picture upright; every other value leaves it as it is."""

_NO_SCALE = {"F": "floating point numbers", "I": "32-bit numbers"}
"""Pillow's modes whose values have no black and white: what they are."""

_UNTIMED_S = 0.1
"""How long a frame of an animation stays that states no time, as in browsers, or an impossible one."""


def open_image(file: Path | BinaryIO) -> Image.Image | None:
    """Return the image in a file, not yet decoded; None if the file is no image.

    Raises:
        MediaError: If it has more than `MAX_FRAME_PIXELS`, or cannot be opened.
    """
    name = name_of(file)
    try:
        if not isinstance(file, Path):
            file.seek(0)
        image = Image.open(file, formats=_FORMATS)
    except UnidentifiedImageError:
        if _is_tiled(file):
            raise MediaError(f"{name}: the image is damaged") from None
        return None
    except Image.DecompressionBombError as exc:
        raise MediaError(f"{name}: an image of more than {MAX_FRAME_PIXELS} px; scale it down") from exc
    except OSError as exc:
        raise MediaError(f"{name}: cannot be read ({one_line(exc)})") from exc
    except Exception as exc:  # a parser that knew the first bytes tripped, or met a chunk that inflates without end
        raise MediaError(f"{name}: the image is damaged ({one_line(exc)})") from exc
    try:
        _check_size(name, image)
    except MediaError:
        image.close()
        raise
    return image


def _check_size(name: str, image: Image.Image) -> None:
    if image.width * image.height > MAX_FRAME_PIXELS:
        raise MediaError(
            f"{name}: an image of {image.width}x{image.height} px, at most {MAX_FRAME_PIXELS} px are read; "
            "scale it down"
        )


def _is_tiled(file: Path | BinaryIO) -> bool:
    if isinstance(file, Path):
        with file.open("rb") as opened:
            head = opened.read(12)
    else:
        file.seek(0)
        head = file.read(12)
    return head[4:8] == b"ftyp" and head[8:12] in _TILED_BRANDS


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # tags of the wrong kind, as editors and cameras write them: the picture is good all the same
        return image
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _picture(name: str, image: Image.Image) -> Picture:
    try:
        image = _upright(image)
        if image.format == "PPM" and image.mode == "I":
            image = Image.fromarray(np.asarray(image).astype(np.uint16))
        if image.mode.startswith("I;16"):
            image = Image.fromarray((np.asarray(image) / 257 + 0.5).astype(np.uint8))  # convert() would clip to white
        if image.mode in _NO_SCALE:
            what = _NO_SCALE[image.mode]
            raise MediaError(f"{name}: its pixels are {what}, of which none is black or white; save it in 8 or 16 bits")
        mode, pixel_format = ("RGBA", "rgba") if image.has_transparency_data else ("RGB", "rgb24")
        return Picture(av.VideoFrame.from_ndarray(np.asarray(image.convert(mode)), format=pixel_format))
    except MediaError:
        raise
    except Exception as exc:  # Pillow's parsers raise whatever they trip over in a damaged file
        raise MediaError(f"{name}: the image is damaged ({one_line(exc)})") from exc


def load_image(path: Path) -> Picture:
    """Return the one picture in an image file; `MediaError` if it is no image, or damaged."""
    image = open_image(path)
    if image is None:
        raise MediaError(f"{path}: not an image")
    with image:
        return _picture(str(path), image)


def open_still(media: Media) -> Image.Image | None:
    """Return the picture that a file holds alone, as far as its head tells, not yet decoded; it must be closed.

    None for everything else, and for what cannot be opened.
    """
    if isinstance(media, Image.Image):
        return media if num_frames(media) == 1 else None
    try:
        if isinstance(media, Path) and not media.is_file():  # to open a pipe is to wait for who writes into it
            return None
        image = open_image(media)
    except (MediaError, OSError):
        return None
    if image is None or num_frames(image) == 1:
        return image
    image.close()
    return None


def num_frames(image: Image.Image) -> int:
    """Return how many frames an animation has; 1 for any other image, also for one of several pages."""
    return getattr(image, "n_frames", 1) if image.format in _ANIMATED else 1


class ImageFile:
    """One image file: a video of one frame, or of all frames of an animation."""

    def __init__(self, name: str, image: Image.Image) -> None:
        """Take an open image, and what messages call it; `MediaError` if it has more than `MAX_FRAME_PIXELS`."""
        _check_size(name, image)
        self._name = name
        self._image = image
        self._num_frames = num_frames(image)
        self._damage: str | None = None

    def frames(self, start_s: float = 0.0) -> Iterator[TimedFrame]:
        """Yield the frames from the first on, those of an animation up to the first damaged one."""
        if self._num_frames == 1:
            yield TimedFrame(0.0, 1.0 / IMAGE_SEQUENCE_FPS, lambda: _picture(self._name, self._image))
            return
        time_s = 0.0
        for index in range(self._num_frames):
            try:
                self._image.seek(index)
                picture = _picture(self._name, self._image)  # at once: the next frame replaces it
            except Exception as exc:  # as above
                self._damage = f"{self._name}: decoded {index} of {self._num_frames} frames ({one_line(exc)})"
                return
            stated_s = float(self._image.info.get("duration") or 0) / 1000
            duration_s = stated_s if 0 < stated_s <= LONGEST_STEP_S else _UNTIMED_S
            yield TimedFrame(time_s, duration_s, lambda picture=picture: picture)  # type: ignore[misc]
            time_s += duration_s

    def shortfall(self) -> str | None:
        """Say, once all frames were asked for, what is missing; None if nothing is."""
        return self._damage


class ImageFolder:
    """A folder of images: a video at `IMAGE_SEQUENCE_FPS`, in natural order of the names."""

    def __init__(self, folder: Path, paths: list[Path]) -> None:
        """Take the image files, in order."""
        self._folder = folder
        self._paths = paths
        self._damaged: list[str] = []

    def frames(self, start_s: float = 0.0) -> Iterator[TimedFrame]:
        """Yield one frame a file, from the one shown at `start_s` or an earlier one on."""
        first = max(0, min(int(start_s * IMAGE_SEQUENCE_FPS), len(self._paths)) - 1)
        for index, path in enumerate(self._paths[first:], start=first):
            yield TimedFrame(
                index / IMAGE_SEQUENCE_FPS,
                1.0 / IMAGE_SEQUENCE_FPS,
                lambda path=path: self._load(path),  # type: ignore[misc]
            )

    def _load(self, path: Path) -> Picture | None:
        try:
            return load_image(path)
        except MediaError as exc:
            self._damaged.append(str(exc))
            return None

    def shortfall(self) -> str | None:
        """Say, once all frames were asked for, what is missing; None if nothing is."""
        if not self._damaged:
            return None
        more = f" ({len(self._damaged) - 1} more)" if len(self._damaged) > 1 else ""
        return f"{self._folder}: left out {self._damaged[0]}{more}"
