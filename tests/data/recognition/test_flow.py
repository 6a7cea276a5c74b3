"""Flow of a whole data set."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import MakeClip, textured_frames

from lrcn.config import PreprocessConfig
from lrcn.data.recognition.examples import RecognitionData, RecognitionExample
from lrcn.data.recognition.flow import build_flow, flow_path, with_flow_files
from lrcn.errors import DataError, MediaError
from lrcn.video.flow_file import FlowTag
from lrcn.video.inputs import network_images

TAG = FlowTag("dis", 10.0, 64)
CONFIG = PreprocessConfig(stream="flow", sample_fps=10.0, resize=64, crop=64, flow_method="dis")


@pytest.fixture
def data(tmp_path: Path, make_clip: MakeClip) -> RecognitionData:
    examples = []
    for number in range(3):
        path = tmp_path / "videos" / f"class{number % 2}" / f"{number}.mkv"
        path.parent.mkdir(parents=True, exist_ok=True)
        make_clip(path, textured_frames(12, 64, 80, seed=number), fps=10)
        examples.append(RecognitionExample(path, f"class{number % 2}", "train"))
    return RecognitionData(("class0", "class1"), tuple(examples), "toy")


def test_flow_files_hold_what_is_computed_on_the_fly(data: RecognitionData, tmp_path: Path) -> None:
    root, flow_dir = tmp_path / "videos", tmp_path / "flow"
    report = build_flow(data, root, flow_dir, tag=TAG, workers=1)
    assert (report.written, report.kept, report.failures) == (3, 0, ())
    stored = with_flow_files(data, root, flow_dir)
    for plain, flow in zip(data.examples, stored.examples, strict=True):
        expected = list(network_images(plain.path, CONFIG))
        found = list(network_images(flow.path, CONFIG))
        np.testing.assert_allclose(found[0].times_s, expected[0].times_s, atol=2e-3)
        error = np.abs(found[0].frames.astype(int) - expected[0].frames)[..., :2]
        assert error.mean() < 0.6


def test_a_second_build_makes_only_what_is_missing(data: RecognitionData, tmp_path: Path) -> None:
    root, flow_dir = tmp_path / "videos", tmp_path / "flow"
    build_flow(data, root, flow_dir, tag=TAG, workers=1)
    path = flow_path(flow_dir, root, data.examples[1].path)
    path.unlink()
    before = {p: p.stat().st_mtime_ns for p in flow_dir.rglob("*.mkv")}
    report = build_flow(data, root, flow_dir, tag=TAG, workers=1)
    assert (report.written, report.kept, report.stale) == (1, 2, 0)
    assert path.exists()
    assert {p: p.stat().st_mtime_ns for p in before} == before


def test_files_made_with_other_settings_are_made_again(data: RecognitionData, tmp_path: Path) -> None:
    root, flow_dir = tmp_path / "videos", tmp_path / "flow"
    build_flow(data, root, flow_dir, tag=TAG, workers=1)
    report = build_flow(data, root, flow_dir, tag=FlowTag("farneback", 10.0, 64), workers=1)
    assert (report.written, report.stale, report.kept) == (3, 3, 0)
    with pytest.raises(MediaError, match="the model wants"):
        next(network_images(flow_path(flow_dir, root, data.examples[0].path), CONFIG))


def test_a_broken_video_is_listed_and_the_others_are_done(data: RecognitionData, tmp_path: Path) -> None:
    root, flow_dir = tmp_path / "videos", tmp_path / "flow"
    data.examples[0].path.write_bytes(os.urandom(500))
    seen: list[tuple[int, int]] = []
    report = build_flow(
        data, root, flow_dir, tag=TAG, workers=2, on_progress=lambda done, total: seen.append((done, total))
    )
    assert report.written == 2
    assert len(report.failures) == 1
    assert "0.mkv" in report.failures[0]
    assert seen[-1] == (3, 3)
    with pytest.raises(DataError, match="lrcn data flow"):
        with_flow_files(data, root, flow_dir)
    rest = with_flow_files(data, root, flow_dir, skip_missing=True)
    assert [example.label for example in rest.examples] == [example.label for example in data.examples[1:]]
    assert "0.mkv" in rest.warnings[-1]


def test_a_set_without_any_flow_is_never_skipped(data: RecognitionData, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lrcn data flow"):
        with_flow_files(data, tmp_path / "videos", tmp_path / "none", skip_missing=True)


def test_one_frame_and_odd_sizes(tmp_path: Path, make_clip: MakeClip) -> None:
    path = tmp_path / "videos" / "a.mkv"
    path.parent.mkdir()
    make_clip(path, textured_frames(1, 33, 47), fps=10)
    data = RecognitionData(("a", "b"), (RecognitionExample(path, "a", "train"),), "toy")
    tag = FlowTag("dis", None, (33, 47))
    assert build_flow(data, path.parent, tmp_path / "flow", tag=tag, workers=1).failures == ()
    config = PreprocessConfig(stream="flow", sample_fps=None, resize=(33, 47), crop=33)
    images = next(network_images(flow_path(tmp_path / "flow", path.parent, path), config)).frames
    assert images.shape == (1, 33, 47, 3)
    assert np.abs(images.astype(int) - 128).max() <= 2


def test_videos_outside_the_data_set_are_refused(data: RecognitionData, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not lie below"):
        build_flow(data, tmp_path / "videos" / "class0", tmp_path / "flow", tag=TAG)
