from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lrcn.inference.recognition.kept_windows import KeptWindows
from lrcn.inference.recognition.windows import WindowProbs

MADE_BY = {"model": "m", "stride": 2}


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "Käfig 1.mp4"
    path.write_bytes(b"frames")
    return path


@pytest.fixture
def windows() -> WindowProbs:
    probs = np.random.default_rng(0).dirichlet([1, 1, 1], 5)
    return WindowProbs(((0, 4), (2, 6), (4, 8), (6, 10), (7, 11)), probs, np.arange(11) / 7, 1.6, ("one frame lost",))


def test_what_was_put_comes_back_exactly(tmp_path: Path, recording: Path, windows: WindowProbs) -> None:
    kept = KeptWindows(tmp_path / "windows", MADE_BY)
    assert kept.get(recording) is None
    short = WindowProbs(((0, 2),), windows.probs[:1], windows.times_s[:2] + 5, 5.4, subject="anna")
    for parts in ([windows], [windows, short, replace(windows, subject="Käthe")]):
        kept.put(recording, parts)
        found = KeptWindows(tmp_path / "windows", MADE_BY).get(recording)
        assert found is not None
        for one, other in zip(found, parts, strict=True):
            assert one.windows == other.windows
            assert np.array_equal(one.probs, other.probs)
            assert np.array_equal(one.times_s, other.times_s)
            assert (one.duration_s, one.warnings, one.subject) == (other.duration_s, other.warnings, other.subject)


def test_another_model_or_a_changed_recording_does_not_count(
    tmp_path: Path, recording: Path, windows: WindowProbs
) -> None:
    kept = KeptWindows(tmp_path / "windows", MADE_BY)
    kept.put(recording, [windows])
    assert KeptWindows(tmp_path / "windows", {**MADE_BY, "stride": 1}).get(recording) is None
    touched = recording.stat().st_mtime_ns + 10
    os.utime(recording, ns=(touched, touched))
    assert kept.get(recording) is None


def test_equal_names_in_two_folders_are_two_recordings(tmp_path: Path, recording: Path, windows: WindowProbs) -> None:
    other = tmp_path / "other" / recording.name
    other.parent.mkdir()
    other.write_bytes(recording.read_bytes())
    os.utime(other, ns=(recording.stat().st_mtime_ns,) * 2)
    kept = KeptWindows(tmp_path / "windows", MADE_BY)
    kept.put(recording, [windows])
    assert kept.get(other) is None


def test_a_folder_of_images_counts_until_an_image_changes(tmp_path: Path, windows: WindowProbs) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "1.png").write_bytes(b"1")
    kept = KeptWindows(tmp_path / "windows", MADE_BY)
    kept.put(folder, [windows])
    assert kept.get(folder) is not None
    (folder / "2.png").write_bytes(b"2")
    assert kept.get(folder) is None


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
def test_a_damaged_file_does_not_count(tmp_path: Path, recording: Path, windows: WindowProbs, share: float) -> None:
    kept = KeptWindows(tmp_path / "windows", MADE_BY)
    kept.put(recording, [windows])
    (file,) = (tmp_path / "windows").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    assert kept.get(recording) is None
    kept.put(recording, [windows])
    assert kept.get(recording) is not None
