"""Optical flow against rendered motion of known speed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models.optical_flow import Raft_Small_Weights, raft_small

from lrcn.errors import ConfigError, UnknownNameError
from lrcn.video.flow import FlowImages, encode_flow


def _texture(height: int, width: int, shift_x: float, shift_y: float) -> np.ndarray:
    """A smooth pattern moved by exactly the shift: evaluated, not resampled."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:height, :width].astype(float)
    y, x = y - shift_y, x - shift_x
    pattern = sum(
        np.sin(fx * x + fy * y + phase)
        for fx, fy, phase in zip(*rng.uniform(-0.6, 0.6, (2, 24)), rng.uniform(0, 6.28, 24), strict=True)
    )
    grey = np.clip(128 + 18 * pattern, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


RAFT_FILE = Path(torch.hub.get_dir()) / "checkpoints" / Raft_Small_Weights.DEFAULT.url.rpartition("/")[2]


@pytest.mark.parametrize(
    ("method", "bound_px"),
    [
        ("dis", 0.15),
        ("farneback", 0.15),
        pytest.param("raft", 0.5, marks=pytest.mark.skipif(not RAFT_FILE.is_file(), reason="no trained weights here")),
    ],
)
@pytest.mark.parametrize(("dx", "dy"), [(2.0, 0.0), (-1.5, 0.75), (0.0, -3.0), (4.0, 2.0)])
def test_end_point_error_on_a_known_translation(method: str, bound_px: float, dx: float, dy: float) -> None:
    first, second = _texture(96, 128, 0, 0), _texture(96, 128, dx, dy)
    flow = FlowImages(method).between(first, second)[12:-12, 12:-12]
    error = np.hypot(flow[..., 0] - dx, flow[..., 1] - dy)
    assert error.mean() < bound_px


def test_encoding_follows_the_released_formula() -> None:
    flow = np.array([[[0.0, 0.0], [1.0, -2.0], [9.0, -9.0]]], np.float32)
    assert encode_flow(flow)[0].tolist() == [[128, 128, 128], [144, 96, 164], [255, 0, 255]]


def test_encoding_keeps_motion_to_half_a_grey_level() -> None:
    flow = np.random.default_rng(0).uniform(-7.9, 7.9, (20, 20, 2)).astype(np.float32)
    decoded = (encode_flow(flow)[..., :2].astype(np.float32) - 128) / 16
    assert np.abs(decoded - flow).max() <= 0.5 / 16 + 1e-6


def test_identical_frames_have_no_motion() -> None:
    frame = _texture(40, 40, 0, 0)
    assert (FlowImages("dis").push(np.stack([frame, frame])) == 128).all()


def test_chunking_changes_nothing() -> None:
    frames = np.stack([_texture(48, 64, 0.7 * t, 0.3 * t) for t in range(7)])
    whole = FlowImages("dis").push(frames)
    flow = FlowImages("dis")
    parts = [flow.push(frames[a:b]) for a, b in ((0, 1), (1, 4), (4, 5), (5, 7))]
    assert whole.shape == (6, 48, 64, 3)
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_a_single_frame_gives_one_image_of_no_motion() -> None:
    flow = FlowImages("dis")
    assert flow.push(_texture(30, 30, 0, 0)[None]).shape == (0, 30, 30, 3)
    assert (flow.still() == 128).all()
    assert flow.still().shape == (1, 30, 30, 3)


@pytest.mark.parametrize("method", ["dis", "farneback"])
@pytest.mark.parametrize("size", [(7, 9), (33, 47), (1, 1)])
def test_odd_and_tiny_sizes_keep_their_size(method: str, size: tuple[int, int]) -> None:
    frames = np.random.default_rng(1).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    assert FlowImages(method).push(frames).shape == (1, *size, 3)


@pytest.mark.parametrize("method", ["dis", "farneback"])
def test_mirrored_frames_give_negated_mirrored_x(method: str) -> None:
    first, second = _texture(96, 96, 0, 0), _texture(96, 96, 2.5, 1)
    flow = FlowImages(method)
    mirrored = flow.between(first[:, ::-1], second[:, ::-1])[12:-12, 12:-12][:, ::-1]
    plain = flow.between(first, second)[12:-12, 12:-12]
    np.testing.assert_allclose(mirrored[..., 0], -plain[..., 0], atol=0.4)
    np.testing.assert_allclose(mirrored[..., 1], plain[..., 1], atol=0.4)


def test_an_unknown_method_names_the_choices() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'dis'"):
        FlowImages("diss")


@pytest.fixture
def raft_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Weights where torch looks for those of RAFT; they are random, because the trained ones cannot be fetched here."""
    torch.manual_seed(0)
    weights = raft_small().state_dict()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(weights, folder / RAFT_FILE.name)
    return weights


def test_raft_says_what_torchvision_says(raft_weights: dict[str, torch.Tensor]) -> None:
    first, second = _texture(128, 136, 0, 0), _texture(128, 136, 3, -1)
    network = raft_small().eval()
    network.load_state_dict(raft_weights)
    pair = [torch.from_numpy(frame).permute(2, 0, 1)[None] for frame in (first, second)]
    with torch.inference_mode():
        expected = network(*Raft_Small_Weights.DEFAULT.transforms()(*pair))[-1][0]
    found = FlowImages("raft").between(first, second)
    assert found.std() > 0.1  # not a constant field
    np.testing.assert_allclose(found, expected.permute(1, 2, 0).numpy(), atol=1e-3)


@pytest.mark.parametrize("size", [(7, 9), (130, 141)])
def test_raft_keeps_odd_sizes(raft_weights: dict[str, torch.Tensor], size: tuple[int, int]) -> None:
    frames = np.random.default_rng(1).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    assert FlowImages("raft").push(frames).shape == (1, *size, 3)


def test_raft_without_its_weights_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(ConfigError, match=r"needs its weights from .*hub cache, or use 'dis'"):
        FlowImages("raft")
