from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import MakeClip

from lrcn.bouts import Region
from lrcn.config import PreprocessConfig
from lrcn.errors import MediaError
from lrcn.video.flow_file import FlowTag, write_flow_file
from lrcn.video.inputs import network_images
from lrcn.video.read import read_all
from lrcn.video.resize import FrameResizer, Resize

ROI: Region = (9, 5, 31, 22)
"""Left, top, width, height; odd on purpose."""


def sliced(frames: np.ndarray, resize: Resize) -> np.ndarray:
    left, top, width, height = ROI
    return FrameResizer(resize)(np.ascontiguousarray(frames[:, top : top + height, left : left + width]))


@pytest.mark.parametrize("resize", [None, 40, 11, (18, 30)])
def test_a_region_is_cut_out_and_then_resized(clip20: Path, frames20: np.ndarray, resize: Resize) -> None:
    frames, _ = read_all(clip20, resize=resize, roi=ROI)
    np.testing.assert_array_equal(frames, sliced(frames20, resize))


def test_a_region_of_an_array_is_that_of_the_file(clip20: Path, frames20: np.ndarray) -> None:
    config = PreprocessConfig(resize=24, crop=16)
    for source in (clip20, frames20, Image.fromarray(frames20[0])):
        (chunk,) = network_images(source, config, roi=ROI)
        np.testing.assert_array_equal(chunk.frames, sliced(frames20, 24)[: len(chunk.frames)])


def test_a_region_lies_in_the_picture_as_players_show_it(
    make_clip: MakeClip, frames20: np.ndarray, tmp_path: Path
) -> None:
    turned = make_clip(tmp_path / "turned.mp4", frames20, codec="libx264", pix_fmt="yuv420p", rotation=90)
    upright, _ = read_all(turned)
    assert upright.shape[1:3] == (64, 48)
    frames, _ = read_all(turned, roi=(3, 20, 40, 44))
    np.testing.assert_array_equal(frames, upright[:, 20:64, 3:43])


@pytest.mark.parametrize("roi", [(40, 0, 25, 10), (0, 40, 10, 9), (-1, 0, 10, 10), (0, 0, 0, 10), (64, 48, 1, 1)])
def test_a_region_outside_the_picture_is_one_line(clip20: Path, frames20: np.ndarray, roi: Region) -> None:
    config = PreprocessConfig(resize=24, crop=16)
    for source, name in ((clip20, str(clip20)), (frames20, "array")):
        with pytest.raises(MediaError, match=r"does not lie in its picture of 64x48 px; name one that does") as raised:
            list(network_images(source, config, roi=roi))
        assert str(raised.value).startswith(f"{name}: the region of interest {','.join(map(str, roi))} ")


def test_flow_of_the_whole_picture_has_no_regions(frames20: np.ndarray, tmp_path: Path) -> None:
    config = PreprocessConfig(resize=24, crop=16, stream="flow")
    path = tmp_path / "clip20.flow.mkv"
    write_flow_file(path, frames20[:3, :24, :32], fps=10, tag=FlowTag(config.flow_method, 10.0, 24))
    with pytest.raises(MediaError, match="give the video itself"):
        list(network_images(path, config, roi=ROI))
