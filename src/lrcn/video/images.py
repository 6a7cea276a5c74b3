"""Still images, animated images and folders of images, as frames with times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError, WebPImagePlugin  # noqa: F401 (registers)

from lrcn.errors import MediaError
from lrcn.video.decode import Picture, TimedFrame, one_line
from lrcn.video.resize import MAX_FRAME_PIXELS

IMAGE_SEQUENCE_FPS = 30.0
"""Frame rate that a folder of images is taken to have; a still image stays for one frame of it."""

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM")
"""What Pillow opens, told by content. GIF and AVIF are left to ffmpeg, which decodes them as videos."""

_ANIMATED = ("WEBP", "PNG")

_BROWSER_DELAY_S = 0.1
"""How long a frame of an animation stays that states no time, as browsers do."""


def open_image(path: Path) -> Image.Image | None:
    """Return the image in a file, not yet decoded; None if the file is no image.

    Raises:
        MediaError: If it has more than `MAX_FRAME_PIXELS`.
    """
    try:
        image = Image.open(path, formats=_FORMATS)
    except (UnidentifiedImageError, ValueError, SyntaxError, EOFError):
        return None
    except Image.DecompressionBombError as exc:
        raise MediaError(f"{path}: more than {MAX_FRAME_PIXELS} px, scale the image down") from exc
    except OSError as exc:
        raise MediaError(f"{path}: {one_line(exc)}") from exc
    if image.width * image.height > MAX_FRAME_PIXELS:
        image.close()
        raise MediaError(
            f"{path}: an image of {image.width}x{image.height} px, at most {MAX_FRAME_PIXELS} px are read; "
            "scale it down"
        )
    return image


def _picture(path: Path, image: Image.Image) -> Picture:
    try:
        image = ImageOps.exif_transpose(image)
        mode = "RGBA" if image.has_transparency_data else "RGB"
        if image.mode.startswith("I;16") or image.mode in ("I", "F"):
            return Picture(_grey16(image))
        pixels = np.asarray(image.convert(mode))
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, Image.DecompressionBombError) as exc:
        raise MediaError(f"{path}: the image is damaged ({one_line(exc)})") from exc
    return Picture(av.VideoFrame.from_ndarray(pixels, format=mode.lower() if mode == "RGBA" else "rgb24"))


def _grey16(image: Image.Image) -> av.VideoFrame:
    # Pillow's own conversion would clip 16-bit grey to white
    grey = (np.clip(np.asarray(image, np.float64), 0, 65535) / 257 + 0.5).astype(np.uint8)
    return av.VideoFrame.from_ndarray(np.repeat(grey[..., None], 3, axis=2), format="rgb24")


class ImageFile:
    """One image file: a video of one frame, or of all frames of an animation."""

    def __init__(self, path: Path, image: Image.Image) -> None:
        """Take over an image from `open_image`."""
        self.path = path
        self._image = image
        self.stated_frames = getattr(image, "n_frames", 1) if image.format in _ANIMATED else 1

    def frames(self) -> Iterator[TimedFrame]:
        """Yield the frames.

        Raises:
            MediaError: If a frame is damaged.
        """
        time_s = 0.0
        for index in range(self.stated_frames):
            if self.stated_frames == 1:
                stays_s = 1.0 / IMAGE_SEQUENCE_FPS
                yield TimedFrame(0.0, stays_s, lambda: _picture(self.path, self._image))
                return
            try:
                self._image.seek(index)
                self._image.load()  # WebP states the time only then
            except (OSError, EOFError, ValueError, SyntaxError) as exc:
                raise MediaError(f"{self.path}: frame {index} is damaged ({one_line(exc)})") from exc
            stays_s = float(self._image.info.get("duration") or 0) / 1000 or _BROWSER_DELAY_S
            yield TimedFrame(time_s, stays_s, lambda: _picture(self.path, self._image))
            time_s += stays_s


class ImageFolder:
    """A folder of images: a video at `IMAGE_SEQUENCE_FPS`, in natural order of the names."""

    def __init__(self, paths: list[Path], on_warning: Callable[[str], None]) -> None:
        """Take the image files, in order."""
        self._paths = paths
        self._on_warning = on_warning

    def frames(self) -> Iterator[TimedFrame]:
        """Yield one frame a file."""
        for index, path in enumerate(self._paths):
            yield TimedFrame(index / IMAGE_SEQUENCE_FPS, 1.0 / IMAGE_SEQUENCE_FPS, lambda path=path: load_image(path))  # type: ignore[misc]


def load_image(path: Path) -> Picture:
    """Return the one picture in an image file.

    Raises:
        MediaError: If it is no image, or damaged.
    """
    image = open_image(path)
    if image is None:
        raise MediaError(f"{path}: not an image")
    with image:
        return _picture(path, image)
