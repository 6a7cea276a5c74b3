"""Resizing: sizes against exact fractions, pixels against area means and between the two ways in."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import Colorspace, Interpolation
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.conftest import MakeClip, textured_frames

from lrcn.errors import ConfigError, MediaError
from lrcn.video.read import read_all
from lrcn.video.resize import MAX_FRAME_PIXELS, FrameResizer, resized_size

sides = st.integers(1, 4000)


@given(height=sides, width=sides, resize=st.integers(1, 600))
def test_the_short_side_is_as_asked_and_the_aspect_is_kept(height: int, width: int, resize: int) -> None:
    long_side = floor(Fraction(max(height, width) * resize, min(height, width)) + Fraction(1, 2))
    if long_side * resize > MAX_FRAME_PIXELS:
        with pytest.raises(MediaError, match=f"resize {resize} makes"):
            resized_size(height, width, resize)
        return
    expected = (long_side, resize) if height >= width else (resize, long_side)
    assert resized_size(height, width, resize) == expected
    assert resized_size(width, height, resize) == expected[::-1]


def test_exact_and_unchanged_sizes() -> None:
    assert resized_size(480, 640, (240, 320)) == (240, 320)
    assert resized_size(480, 640, None) == (480, 640)
    assert resized_size(480, 640, 240) == (240, 320)


@pytest.mark.parametrize("resize", [0, -5, (0, 5), (10**5, 10**5)])
def test_impossible_sizes_are_refused(resize: int | tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="resize"):
        resized_size(48, 64, resize)


@pytest.mark.parametrize("resize", [16, 24, 40, 96, (20, 50)])
def test_decoder_and_arrays_are_resized_alike(
    make_clip: MakeClip, tmp_path: Path, clip20: Path, frames20: np.ndarray, resize: int
) -> None:
    from_file, _ = read_all(clip20, resize=resize)
    # bgr0 and rgb24 go through the same filter, with other rounding
    assert np.abs(from_file.astype(int) - FrameResizer(resize)(frames20)).max() <= 2
    # yuv420p scales luma and chroma before they become colours, which matters at edges of colour only
    lossy = make_clip(tmp_path / "a.mp4", frames20, codec="libx264", pix_fmt="yuv420p", options={"crf": "10"})
    difference = np.abs(read_all(lossy, resize=resize)[0].astype(int) - FrameResizer(resize)(read_all(lossy)[0]))
    assert difference.mean() <= 3
    assert difference.max() <= 24


def test_shrinking_does_not_alias() -> None:
    stripes = np.zeros((1, 128, 128, 3), np.uint8)
    stripes[:, :, ::2] = 255  # at a quarter of the size, only their mean can be shown
    shrunk = FrameResizer(32)(stripes)
    assert np.abs(shrunk[:, 2:-2, 2:-2].astype(int) - 127).max() <= 4


def test_arrays_of_any_strides_give_the_same() -> None:
    frames = textured_frames(3, 48, 64)
    expected = FrameResizer(24)(frames)
    np.testing.assert_array_equal(FrameResizer(24)(np.asfortranarray(frames)), expected)
    np.testing.assert_array_equal(FrameResizer(24)(frames[::-1])[::-1], expected)
    np.testing.assert_array_equal(FrameResizer(24)(np.repeat(frames, 2, axis=2)[:, :, ::2]), expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (2, 3), (3, 2)])
def test_tiny_frames(make_clip: MakeClip, tmp_path: Path, size: tuple[int, int]) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8)
    assert FrameResizer((8, 8))(frames).shape == (2, 8, 8, 3)
    path = make_clip(tmp_path / "a.mov", frames, codec="png", pix_fmt="rgb24")
    np.testing.assert_array_equal(read_all(path)[0], frames)
    assert read_all(path, resize=(8, 8))[0].shape == (2, 8, 8, 3)


FORMATS = (
    "yuv420p",
    "yuvj420p",
    "yuv422p",
    "yuv444p",
    "yuv420p10le",
    "yuv444p16le",
    "nv12",
    "gray",
    "gray16le",
    "bgr24",
)


@settings(max_examples=150, deadline=None)
@example(source=(4, 6), height=3, width=3, pixel_format="bgr24", color_range=0, seed=4)
@example(source=(240, 64), height=239, width=101, pixel_format="yuv444p", color_range=0, seed=3)
@example(source=(576, 64), height=575, width=101, pixel_format="yuv422p", color_range=0, seed=3)
@example(source=(576, 64), height=570, width=101, pixel_format="yuv444p", color_range=0, seed=3)
@given(
    source=st.tuples(st.integers(2, 90), st.integers(1, 60).map(lambda half: 2 * half)),
    height=st.integers(1, 90),
    width=st.integers(1, 120),
    pixel_format=st.sampled_from(FORMATS),
    color_range=st.sampled_from([0, 1, 2]),
    seed=st.integers(0, 9),
)
def test_bits_are_those_of_one_direct_conversion(
    source: tuple[int, int], height: int, width: int, pixel_format: str, color_range: int, seed: int
) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (*source, 3), dtype=np.uint8)
    picture = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=pixel_format)
    picture.color_range = color_range
    found = FrameResizer(None).to_rgb(picture, height, width)

    matrix = None if picture.format.is_rgb else Colorspace.ITU601
    expected = picture.reformat(
        width, height, "rgb24", src_colorspace=matrix, interpolation=Interpolation.BILINEAR, threads=1
    ).to_ndarray()
    if pixel_format.startswith("gray") and color_range == 1:
        return  # stretched afterwards
    np.testing.assert_array_equal(found, expected)
