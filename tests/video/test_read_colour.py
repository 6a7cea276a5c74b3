"""Colours: matrix, range, bit depth and transparency, against the equations of the standards."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from lrcn.video.read import read_all

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (200, 100, 50), (30, 60, 90)]
BT601, BT709, BT2020 = (0.299, 0.114), (0.2126, 0.0722), (0.2627, 0.0593)
LIMITED, FULL = 1, 2  # AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG


def _yuv(rgb: tuple[int, ...], matrix: tuple[float, float], full: bool, bits: int) -> list[int]:
    """Return the code values of a colour: ITU-R BT.601 / 709 / 2020, section on digital representation."""
    red, green, blue = (value / 255 for value in rgb)
    kr, kb = matrix
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)
    top, middle, step = 2**bits - 1, 2 ** (bits - 1), 2 ** (bits - 8)
    codes = (
        (luma * top, cb * top + middle, cr * top + middle)
        if full
        else (step * (16 + 219 * luma), step * (128 + 224 * cb), step * (128 + 224 * cr))
    )
    return [min(round(code), top) for code in codes]


def _flat(planes: list[int], width: int, height: int, pix_fmt: str) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, pix_fmt)
    for plane, code in zip(frame.planes, planes, strict=True):
        item = np.uint16 if "10" in pix_fmt else np.uint8
        plane.update(np.full(plane.buffer_size // item().itemsize, code, item).tobytes())
    return frame


def _write(path: Path, frames: list[av.VideoFrame], colorspace: int | None, color_range: int | None) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, frames[0].format.name
        for target in (stream.codec_context, *frames):
            target.colorspace = target.colorspace if colorspace is None else colorspace
            target.color_range = target.color_range if color_range is None else color_range
        for frame in frames:
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
@pytest.mark.parametrize("resize", [None, 32])
@pytest.mark.parametrize(
    ("matrix", "colorspace", "color_range", "size"),
    [
        (BT601, 6, LIMITED, (64, 64)),
        (BT601, 5, FULL, (64, 64)),
        (BT709, 1, LIMITED, (64, 64)),
        (BT709, 1, FULL, (64, 64)),
        (BT2020, 9, LIMITED, (64, 64)),
        (BT601, None, None, (64, 64)),
        (BT709, None, None, (1280, 32)),
        (BT709, None, None, (32, 578)),
    ],
)
def test_matrix_and_range_are_those_of_the_file(
    tmp_path: Path,
    pix_fmt: str,
    resize: int | None,
    matrix: tuple[float, float],
    colorspace: int | None,
    color_range: int | None,
    size: tuple[int, int],
) -> None:
    bits = 10 if "10" in pix_fmt else 8
    frames = [_flat(_yuv(colour, matrix, color_range == FULL, bits), *size, pix_fmt) for colour in COLOURS]
    decoded, _ = read_all(_write(tmp_path / "a.mkv", frames, colorspace, color_range), resize=resize)
    for pixels, colour in zip(decoded, COLOURS, strict=True):
        # swscale's fixed point costs up to 3 levels; a wrong matrix or range costs 10 and more
        assert np.abs(pixels.astype(int) - colour).max() <= 3


@pytest.mark.parametrize("pix_fmt", ["gray", "gray10le"])
@pytest.mark.parametrize("color_range", [None, LIMITED, FULL])
def test_grey_is_full_range_unless_the_file_says_otherwise(
    tmp_path: Path, pix_fmt: str, color_range: int | None
) -> None:
    step = 4 if "10" in pix_fmt else 1
    codes = [16, 60, 128, 235]
    frames = [_flat([code * step], 32, 32, pix_fmt) for code in codes]
    decoded, _ = read_all(_write(tmp_path / "a.mkv", frames, None, color_range))
    expected = [round((code - 16) * 255 / 219) for code in codes] if color_range == LIMITED else codes
    assert np.abs(decoded.reshape(4, -1).astype(int) - np.array(expected)[:, None]).max() <= 2


def _over_white(rgba: np.ndarray) -> np.ndarray:
    alpha = rgba[..., 3:] / 255
    return rgba[..., :3] * alpha + 255 * (1 - alpha)


def _rgba(num_frames: int = 3) -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (num_frames, 24, 36, 4), np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_transparent_stills_are_laid_over_white(tmp_path: Path, suffix: str) -> None:
    rgba = _rgba(1)[0]
    Image.fromarray(rgba).save(tmp_path / f"a{suffix}", lossless=True, exact=True)
    decoded, _ = read_all(tmp_path / f"a{suffix}")
    assert np.abs(decoded[0] - _over_white(rgba)).max() <= 1


def test_transparent_gif_is_laid_over_white(tmp_path: Path) -> None:
    rgba = np.zeros((2, 24, 36, 4), np.uint8)
    rgba[0, 4:20, 4:20] = (200, 0, 0, 255)
    rgba[1, 4:20, 10:30] = (0, 0, 200, 255)
    images = [Image.fromarray(pixels) for pixels in rgba]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=100, disposal=2)
    decoded, times_s = read_all(tmp_path / "a.gif")
    np.testing.assert_array_equal(decoded, _over_white(rgba).astype(np.uint8))
    np.testing.assert_allclose(times_s, [0, 0.1])


def test_transparent_video_is_laid_over_white_before_it_is_resized(tmp_path: Path) -> None:
    rgba = np.zeros((2, 32, 48, 4), np.uint8)
    rgba[..., :3] = (0, 255, 0)  # hidden green that must not bleed
    rgba[:, 8:24, 8:40] = (200, 100, 50, 255)
    path = tmp_path / "a.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "rgba"
        for pixels in rgba:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgba")))
        container.mux(stream.encode(None))
    np.testing.assert_array_equal(read_all(path)[0], _over_white(rgba).astype(np.uint8))
    halved = read_all(path, resize=16)[0].astype(int)
    assert (halved[..., 0] - halved[..., 1] >= -1).all()  # white to brown: red never below green
