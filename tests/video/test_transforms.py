"""Crops, mirrors and normalisation, against NumPy equations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lrcn.config import PreprocessConfig
from lrcn.errors import ShapeError
from lrcn.video.flow import FlowImages, encode_flow
from lrcn.video.transforms import Preprocess
from lrcn.video.views import CENTER_VIEW, TEN_CROP_VIEWS, View, crop_offset, cut_crops, random_view

CONFIG = PreprocessConfig(
    resize=20, crop=16, clip_length=4, clip_stride=2, mean=(104.0, 117.0, 123.0), std=(58.0, 57.0, 56.0)
)
CORNER = View(0.0, 0.0)


def _noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, shape, np.uint8)


def _expected(frames: np.ndarray, top: int, left: int, mirror: bool, config: PreprocessConfig) -> np.ndarray:
    pixels = frames[:, top : top + config.crop, left : left + config.crop].astype(np.float64)
    if mirror:
        pixels = pixels[:, :, ::-1].copy()
        if config.stream == "flow":
            pixels[..., 0] = np.minimum(256 - pixels[..., 0], 255)
    if config.channel_order == "bgr":
        pixels = pixels[..., ::-1]
    return ((pixels - config.mean) / config.std).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("stream", ["rgb", "flow"])
@pytest.mark.parametrize("channel_order", ["rgb", "bgr"])
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize(
    ("view", "top", "left"), [(View(), 2, 5), (View(0, 0), 0, 0), (View(1, 1), 4, 10), (View(0, 1), 0, 10)]
)
def test_the_equation(stream: str, channel_order: str, mirror: bool, view: View, top: int, left: int) -> None:
    config = replace(CONFIG, stream=stream, channel_order=channel_order)
    frames = _noise(3, 20, 26, 3)
    values = Preprocess(config)(frames, replace(view, mirror=mirror))
    assert values.dtype == torch.float32
    assert values.permute(0, 2, 3, 1).is_contiguous()  # as the pixels of the frames lie, which spares a copy
    expected = _expected(frames, top, left, mirror, config)
    np.testing.assert_allclose(values.numpy(), expected, rtol=1e-6, atol=1e-6)
    crops = cut_crops(frames, replace(view, mirror=mirror), config)
    assert (crops.dtype, crops.flags.c_contiguous) == (np.uint8, True)
    if channel_order == "bgr":
        crops = crops[..., ::-1]
    from_crops = ((crops - config.mean) / config.std).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(from_crops, expected, rtol=1e-6, atol=1e-6)


def test_strides_and_containers_change_nothing() -> None:
    frames = _noise(4, 20, 26, 3)
    frames.flags.writeable = False
    preprocess = Preprocess(CONFIG)
    expected = preprocess(frames)
    tensor = torch.tensor(frames)
    variants = {
        "column-major": np.asfortranarray(frames),
        "negative strides": frames[:, ::-1, ::-1, ::-1][:, ::-1, ::-1, ::-1],
        "every second": np.repeat(frames, 2, axis=1)[:, ::2],
        "tensor": tensor,
        "tensor of planes": tensor.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1),
        "tensor part": torch.cat([tensor, tensor], dim=2)[:, :, :26],
    }
    for variant in variants.values():
        assert torch.equal(preprocess(variant), expected)


def test_the_input_is_not_written_to() -> None:
    frames = _noise(2, 20, 26, 3)
    before = frames.copy()
    for view in (CENTER_VIEW, View(mirror=True)):
        Preprocess(replace(CONFIG, stream="flow", crop=20))(torch.from_numpy(frames), view)
    np.testing.assert_array_equal(frames, before)


def test_it_runs_where_it_is_put() -> None:
    preprocess = Preprocess(replace(CONFIG, stream="flow", channel_order="bgr")).to("meta")
    for frames in (_noise(2, 20, 26, 3), torch.zeros(2, 20, 26, 3, dtype=torch.uint8, device="meta")):
        values = preprocess(frames, View(mirror=True))
        assert values.device.type == "meta"
        assert values.shape == (2, 3, 16, 16)
    assert not preprocess.state_dict()  # configuration, not weights


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_it_runs_on_a_gpu() -> None:
    frames = _noise(2, 20, 26, 3)
    on_gpu = Preprocess(CONFIG).cuda()(frames, View(mirror=True))
    torch.testing.assert_close(on_gpu.cpu(), Preprocess(CONFIG)(frames, View(mirror=True)))


def test_a_mirrored_flow_image_is_the_flow_of_mirrored_frames() -> None:
    flow = np.random.default_rng(0).uniform(-7, 7, (16, 16, 2)).astype(np.float32)
    mirrored_flow = flow[:, ::-1] * np.array([-1, 1], np.float32)
    config = replace(CONFIG, stream="flow", mean=(0, 0, 0), std=(1, 1, 1))
    values = Preprocess(config)(encode_flow(flow)[None], View(mirror=True))[0].permute(1, 2, 0).numpy()
    assert np.abs(values - encode_flow(mirrored_flow).astype(float)).max() <= 1  # halves round to even


def test_no_motion_stays_no_motion_when_mirrored() -> None:
    frames = FlowImages("dis").push(np.repeat(_noise(1, 20, 26, 3), 2, axis=0))
    config = replace(CONFIG, stream="flow", mean=(128, 128, 128), std=(1, 1, 1))
    assert (Preprocess(config)(frames, View(mirror=True)) == 0).all()


@given(room=st.integers(0, 500), fraction=st.floats(0, 1))
def test_crops_lie_inside_the_frame(room: int, fraction: float) -> None:
    assert 0 <= crop_offset(room, fraction) <= room
    assert crop_offset(room, 0.0) == 0
    assert crop_offset(room, 1.0) == room
    assert abs(crop_offset(room, 0.5) - room / 2) <= 0.5


def test_the_centre_crop_is_caffes() -> None:
    assert (crop_offset(240 - 227, 0.5), crop_offset(320 - 227, 0.5)) == (6, 46)  # (240 - 227) / 2 in integers


def test_uniform_fractions_give_uniform_offsets() -> None:
    offsets = np.array([crop_offset(4, fraction) for fraction in (np.arange(1000) + 0.5) / 1000])
    assert np.bincount(offsets).tolist() == [200] * 5


def test_ten_crop_views_are_corners_centre_and_their_mirror_images() -> None:
    frames = np.zeros((1, 20, 26, 3), np.uint8)
    frames[0] = np.arange(20 * 26).reshape(20, 26, 1) % 251
    preprocess = Preprocess(replace(CONFIG, mean=(0, 0, 0), std=(1, 1, 1)))
    crops = [preprocess(frames, view) for view in TEN_CROP_VIEWS]
    assert len({crop.numpy().tobytes() for crop in crops}) == 10
    corners = [(0, 0), (0, 10), (4, 0), (4, 10), (2, 5)]
    for crop, mirrored, (top, left) in zip(crops[:5], crops[5:], corners, strict=True):
        expected = frames[0, top : top + 16, left : left + 16].transpose(2, 0, 1)
        np.testing.assert_array_equal(crop[0].numpy(), expected)
        assert torch.equal(mirrored, crop.flip(3))


def test_random_views() -> None:
    rng = np.random.default_rng(0)
    views = [random_view(rng) for _ in range(2000)]
    for position in ([view.top for view in views], [view.left for view in views]):
        assert 0 <= min(position) < 0.01
        assert 0.99 < max(position) <= 1
        assert abs(np.mean(position) - 0.5) < 0.03
    assert 0.45 < np.mean([view.mirror for view in views]) < 0.55
    assert random_view(rng, mirror=False, jitter=0.0) == CENTER_VIEW
    assert all(abs(random_view(rng, jitter=0.2).top - 0.5) <= 0.1 for _ in range(100))
    assert random_view(np.random.default_rng(3)) == random_view(np.random.default_rng(3))


@pytest.mark.parametrize(
    "frames",
    [_noise(2, 15, 26, 3), _noise(2, 26, 15, 3), _noise(2, 3, 20, 26), _noise(20, 26, 3), np.zeros((2, 20, 26, 3))],
)
def test_other_layouts_types_and_sizes_are_refused(frames: np.ndarray) -> None:
    with pytest.raises(ShapeError, match="frames"):
        Preprocess(CONFIG)(frames)
