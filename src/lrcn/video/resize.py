"""Pixels of any format and size to RGB of the wanted size, by ffmpeg's swscale, for decoded frames and arrays alike."""

from __future__ import annotations

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from lrcn.errors import ConfigError, MediaError

Frames = npt.NDArray[np.uint8]
Resize = int | tuple[int, int] | None

MAX_FRAME_PIXELS = 2**26
"""Largest frame that is decoded or made, in px: 8192 x 8192, twice the size of 8K video."""

_BACKGROUND = 255
"""Grey level under transparent pixels: white, as on a page."""

# AVCOL_SPC_* of a frame -> the matrix swscale knows it by; everything else is guessed from the size
_MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}

_STRETCH = np.clip(np.rint((np.arange(256) - 16.0) * 255 / 219), 0, 255).astype(np.uint8)
"""Full-range grey of limited-range grey."""


def resized_size(height: int, width: int, resize: Resize) -> tuple[int, int]:
    """Return the `(height, width)` in px that `resize` makes of a frame.

    Args:
        height: Of the frame, in px.
        width: Of the frame, in px.
        resize: New short side, the long one keeping the aspect ratio (rounded, halves up); `(height, width)` exactly;
            None leaves the size.

    Raises:
        ConfigError: If `resize` by itself asks for no pixel or more than `MAX_FRAME_PIXELS`.
        MediaError: If it does for so long a frame.
    """
    if resize is None:
        new_height, new_width = height, width
    elif isinstance(resize, int):
        short = min(height, width)
        new_height, new_width = ((2 * side * resize + short) // (2 * short) for side in (height, width))
    else:
        new_height, new_width = resize
    if new_height < 1 or new_width < 1 or new_height * new_width > MAX_FRAME_PIXELS:
        too_long = resize is None or (isinstance(resize, int) and 1 <= resize <= MAX_FRAME_PIXELS**0.5)
        raise (MediaError if too_long else ConfigError)(
            f"resize {resize} makes {new_width}x{new_height} px of {width}x{height}; "
            f"between 1 and {MAX_FRAME_PIXELS} px are possible"
        )
    return new_height, new_width


class FrameResizer:
    """Resizes RGB arrays exactly as the reader resizes what it decodes.

    Scaling is bilinear with the filter widened on the way down, so it does not alias. One object keeps swscale's
    contexts: reuse it for frames of one size, from one thread at a time.

    Where the width is odd and the height shrinks by more than a hundredth, swscale scales into planes and packs them
    afterwards. That gives the same bits in a third of the time: there are vector instructions for planes, but none for
    scaled packed RGB. Elsewhere the bits would differ: for even widths the direct way halves the colour's resolution,
    and where each row comes from two rows at most (growing heights, those that hardly shrink, 4 to 3) it rounds
    otherwise.
    """

    def __init__(self, resize: Resize) -> None:
        """Take the wanted size, as `resized_size` reads it."""
        self._resize = resize
        self._scaler = VideoReformatter()
        self._packer = VideoReformatter()
        self._alpha_scaler = VideoReformatter()

    def __call__(self, frames: Frames) -> Frames:
        """Return RGB frames `(N, H, W, 3)` uint8 at the new size `(N, h, w, 3)`.

        Raises:
            ConfigError, MediaError: If the new size is impossible, see `resized_size`.
        """
        height, width = resized_size(frames.shape[1], frames.shape[2], self._resize)
        if (height, width) == frames.shape[1:3]:
            return frames
        resized = np.empty((len(frames), height, width, 3), np.uint8)
        for target, frame in zip(resized, frames, strict=True):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            target[:] = self.to_rgb(picture, height, width)
        return resized

    def to_rgb(self, picture: av.VideoFrame, height: int, width: int) -> Frames:
        """Return a decoded picture as a view `(height, width, 3)` of fresh RGB pixels.

        Transparent pixels are laid over white. Colours follow the matrix and range that the picture states; without
        a stated matrix, BT.709 from 1280 px width or above 576 px height and BT.601 below, as players guess.

        Raises:
            MediaError: If swscale cannot convert the pixel format.
        """
        try:
            if picture.format.has_palette or any(part.is_alpha for part in picture.format.components):
                picture = self._over_background(picture)
            if width % 2 and 100 * height < 99 * picture.height and picture.height > 4:
                planes = self._convert(self._scaler, picture, height, width, "gbrp")
                packed = self._packer.reformat(planes, format="rgb24", threads=1)
            else:
                packed = self._convert(self._scaler, picture, height, width, "rgb24")
            pixels = _pixels(packed, 3)
        except (av.FFmpegError, ValueError) as exc:
            raise MediaError(
                f"pixel format {picture.format.name} at {picture.width}x{picture.height} px cannot be converted to RGB "
                f"({exc}); re-encode the video as H.264"
            ) from exc
        if picture.format.name.startswith("gray") and picture.color_range == ColorRange.MPEG:
            return _STRETCH[pixels]  # swscale takes all grey as full range
        return pixels

    def _convert(
        self, scaler: VideoReformatter, picture: av.VideoFrame, height: int, width: int, pixel_format: str
    ) -> av.VideoFrame:
        matrix = None
        if not picture.format.is_rgb:
            guess = Colorspace.ITU709 if picture.width >= 1280 or picture.height > 576 else Colorspace.ITU601
            matrix = _MATRICES.get(picture.colorspace, guess)
        return scaler.reformat(
            picture,
            width=width,
            height=height,
            format=pixel_format,
            src_colorspace=matrix,
            interpolation=Interpolation.BILINEAR,
            threads=1,
        )

    def _over_background(self, picture: av.VideoFrame) -> av.VideoFrame:
        # before scaling: colours hidden under transparent pixels must not bleed into their neighbours
        rgba = _pixels(self._convert(self._alpha_scaler, picture, picture.height, picture.width, "rgba"), 4)
        if rgba[..., 3].min() == 255:
            return picture
        colour, alpha = rgba[..., :3].astype(np.uint16), rgba[..., 3:].astype(np.uint16)
        blended = (colour * alpha + _BACKGROUND * (255 - alpha) + 127) // 255
        return av.VideoFrame.from_ndarray(blended.astype(np.uint8), format="rgb24")


def _pixels(picture: av.VideoFrame, channels: int) -> Frames:
    plane = picture.planes[0]
    shape, strides = (picture.height, picture.width, channels), (plane.line_size, channels, 1)
    pixels: Frames = np.ndarray(shape, np.uint8, memoryview(plane), strides=strides)  # steps over the padding of rows
    pixels.flags.writeable = False
    return pixels
