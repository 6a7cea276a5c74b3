"""Flow images stored in a file."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from lrcn.errors import MediaError
from lrcn.video.flow import FlowImages
from lrcn.video.flow_file import FlowTag, read_flow_tag, write_flow_file
from lrcn.video.read import read_all

TAG = FlowTag("dis", 10.0, (48, 65))


def _images() -> np.ndarray:
    rng = np.random.default_rng(5)
    scene = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8).repeat(6, axis=0).repeat(6, axis=1)
    frames = np.stack([np.roll(scene, (t, 2 * t), axis=(0, 1))[:48, :65] for t in range(9)])
    return FlowImages("dis").push(frames)


def test_flow_comes_back_within_the_stated_error(tmp_path: Path) -> None:
    images = _images()
    path = tmp_path / "a.avi.flow.mkv"
    assert write_flow_file(path, images, fps=10, tag=TAG) == 8
    stored, times_s = read_all(path)
    assert stored.shape == images.shape
    np.testing.assert_allclose(times_s, np.arange(8) / 10, atol=2e-3)
    error = np.abs(stored.astype(int) - images)[..., :2]
    assert error.mean() < 0.6
    assert error.max() <= 16


def test_the_tag_survives(tmp_path: Path) -> None:
    path = tmp_path / "a.flow.mkv"
    write_flow_file(path, _images(), fps=10, tag=TAG)
    assert read_flow_tag(path) == TAG


def test_an_ordinary_video_has_no_tag(clip20: Path) -> None:
    assert read_flow_tag(clip20) is None


def test_a_damaged_flow_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.flow.mkv"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(MediaError, match=r"a\.flow\.mkv: damaged flow file"):
        read_flow_tag(path)


@pytest.mark.parametrize("resize", ["Infinity", "0", "[4]", '"a"', "null"])
def test_a_tag_of_no_size_is_named(tmp_path: Path, resize: str) -> None:
    path = tmp_path / "a.flow.mkv"
    with av.open(str(path), "w", format="matroska") as container:
        container.metadata["LRCN_FLOW"] = f'{{"method": "dis", "sample_fps": 10.0, "resize": {resize}}}'
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 32, "bgr0"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(_images()[0][:32, :32].copy(), format="rgb24")))
        container.mux(stream.encode(None))
    with pytest.raises(MediaError, match=r"a\.flow\.mkv: damaged flow file"):
        read_flow_tag(path)


def test_nothing_is_left_behind_when_there_is_nothing_to_write(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no flow image"):
        write_flow_file(tmp_path / "a.flow.mkv", [], fps=10, tag=TAG)
    assert list(tmp_path.iterdir()) == []
