from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrcn.data.recognition.doctor import DoctorReport, check_recognition_data
from lrcn.data.recognition.readers import read_recognition_data


@pytest.fixture
def healthy(tmp_path: Path, make_clip: Any) -> Path:
    """Two classes in three splits, every clip different, one second each."""
    rng = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for label in ("run", "walk"):
            folder = tmp_path / split / label
            folder.mkdir(parents=True)
            make_clip(folder / f"{split}{label}.avi", rng.integers(0, 256, (10, 32, 48, 3), dtype=np.uint8), 10)
    return tmp_path


def check(path: Path, **options: Any) -> DoctorReport:
    return check_recognition_data(read_recognition_data(path), **options)


def lines(report: DoctorReport, severity: str) -> list[str]:
    return [finding.text for finding in report.problems if finding.severity == severity]


def test_healthy_data_set_has_no_problem(healthy: Path) -> None:
    seen: list[tuple[int, int]] = []
    report = check(healthy, on_progress=lambda done, total: seen.append((done, total)))
    assert report.problems == ()
    assert report.ok
    assert report.counts == {split: {"run": 1, "walk": 1} for split in ("train", "val", "test")}
    assert seen == [(done, 6) for done in range(1, 7)]
    assert json.loads(json.dumps(report.to_dict()))["num_files"] == 6


def test_every_unreadable_file_is_named(healthy: Path) -> None:
    (healthy / "train/run/noise.mp4").write_bytes(b"noise")
    (healthy / "val/run/empty.mp4").touch()
    report = check(healthy)
    assert not report.ok
    assert sorted(line.split(": ")[0] for line in lines(report, "error")) == [
        str(healthy / "train/run/noise.mp4"),
        str(healthy / "val/run/empty.mp4"),
    ]
    assert check(healthy, decode=False).ok


def test_file_cut_short_is_named(healthy: Path) -> None:
    video = healthy / "test/walk/testwalk.avi"
    video.write_bytes(video.read_bytes()[: video.stat().st_size * 6 // 10])
    assert any(finding.text.startswith(str(video)) for finding in check(healthy).problems)


@pytest.mark.parametrize(
    ("copy", "severity", "words"),
    [
        ("train/run/copy.avi", "warning", "keep one"),
        ("test/run/copy.avi", "error", "in test and train"),
        ("train/walk/copy.avi", "error", "labelled run and walk"),
    ],
)
@pytest.mark.parametrize("decode", [True, False])
def test_same_content_twice_is_found(healthy: Path, copy: str, severity: str, words: str, decode: bool) -> None:
    original = healthy / "train/run/trainrun.avi"
    (healthy / copy).write_bytes(original.read_bytes())
    (found,) = lines(check(healthy, decode=decode), severity)
    assert all(part in found for part in (str(original), str(healthy / copy), words))


def test_class_missing_in_a_split_is_named(healthy: Path) -> None:
    (healthy / "val/walk/valwalk.avi").rename(healthy / "test/walk/more.avi")
    (healthy / "val/walk").rmdir()
    (healthy / "train/run/trainrun.avi").rename(healthy / "test/run/more.avi")
    (healthy / "train/run").rmdir()
    report = check(healthy)
    assert lines(report, "error") == ["train: no clip of class run"]
    assert "val: no clip of class walk" in lines(report, "warning")
    assert report.counts["val"] == {"run": 1, "walk": 0}


def test_short_and_unbalanced_are_warnings(healthy: Path, make_clip: Any) -> None:
    rng = np.random.default_rng(1)
    for number in range(9):
        make_clip(healthy / f"train/run/{number}.avi", rng.integers(0, 256, (4, 32, 48, 3), dtype=np.uint8), 10)
    report = check(healthy)
    assert report.ok
    assert f"{healthy}/train/run/0.avi: only 0.40 s long (8 more)" in lines(report, "warning")
    assert "train: 10 clips of class run, but 1 of class walk" in lines(report, "warning")


def test_part_beyond_the_end_is_an_error(healthy: Path) -> None:
    (healthy / "annotations.csv").write_text(
        "path,label,split,start_s\ntrain/run/trainrun.avi,run,train,0.2\ntrain/walk/trainwalk.avi,walk,train,1.5\n"
    )
    (line,) = lines(check(healthy), "error")
    assert "trainwalk.avi: a part of class 'walk' starts at 1.5 s, but the video ends at 1.00 s" in line


def test_clips_of_one_video_in_two_splits_are_found(healthy: Path) -> None:
    (healthy / "train/run/trainrun.avi").rename(healthy / "train/run/park_clip1.avi")
    (healthy / "test/run/testrun.avi").rename(healthy / "test/run/park_clip2.avi")
    assert any("'park'" in line for line in lines(check(healthy), "warning"))


def test_folders_of_frames_are_checked_like_videos(healthy: Path) -> None:
    from PIL import Image

    for name in ("one", "two"):
        folder = healthy / "train/run" / name
        folder.mkdir()
        for number in range(20):
            Image.new("RGB", (32, 32), (number, 0, 0)).save(folder / f"{number}.png")
    (line,) = lines(check(healthy), "warning")
    assert "same content" in line
    (healthy / "train/run/two/3.png").write_bytes(b"noise")
    assert any("3.png" in finding.text or "two" in finding.text for finding in check(healthy).problems)


def test_a_single_class_is_an_error_as_in_training(tmp_path: Path, clip20: Path) -> None:
    for number in range(2):
        target = tmp_path / "set" / "walk" / f"{number}.mkv"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(clip20.read_bytes())
    report = check_recognition_data(read_recognition_data(tmp_path / "set"), decode=False)
    assert not report.ok
    assert "one class only, 'walk'; a model needs at least two to tell apart" in [f.text for f in report.problems]
