"""Which frames calibrate int8: of every part of the videos, however few are taken of each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.conftest import MakeClip

from lrcn.config import PreprocessConfig
from lrcn.data.recognition.examples import RecognitionExample
from lrcn.export import calibration

LENGTH = 20


def test_a_long_video_is_thinned_while_it_is_read(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "CALIBRATION_FRAMES", 6)
    monkeypatch.setattr(calibration, "_MOST_KEPT", 7)
    frames = np.broadcast_to(np.arange(50, dtype=np.uint8).reshape(-1, 1, 1, 1), (50, 32, 32, 3))
    examples = [RecognitionExample(make_clip(tmp_path / "a.avi", frames, 10), "walk", "train")]
    (crops,) = calibration.calibration_crops(examples, PreprocessConfig(resize=32, crop=32))
    seen = crops[:, 0, 0, 0].astype(int)
    assert len(seen) == 6
    assert set(np.diff(seen)) <= {8, 16}  # of every eighth frame, seven are there
    assert seen[-1] >= 40


@pytest.mark.parametrize(("num_videos", "num_frames"), [(12, 12), (4, 12), (1, 12), (2, 60)])
def test_frames_come_from_all_over_the_videos(
    num_videos: int, num_frames: int, make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "CALIBRATION_FRAMES", num_frames)
    frames = np.broadcast_to(np.arange(LENGTH, dtype=np.uint8).reshape(-1, 1, 1, 1), (LENGTH, 32, 32, 3))  # grey: when
    examples = [
        RecognitionExample(make_clip(tmp_path / f"{number}.avi", frames, 10), "walk", "train")
        for number in range(num_videos)
    ]
    crops = calibration.calibration_crops(examples, PreprocessConfig(resize=32, crop=32))
    seen = np.concatenate([crop[:, 0, 0, 0] for crop in crops])
    assert len(crops) == num_videos
    assert len(seen) == min(num_frames, num_videos * LENGTH)
    quarters = np.bincount(seen * 4 // LENGTH, minlength=4)
    assert quarters.min() >= len(seen) // 6
