"""Two animals in one picture: each as if it had a video of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import MakeClip, textured_frames

from lrcn.errors import ConfigError, MediaError
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.inference.recognition.tracked import track_probs
from lrcn.video.tracks import Track

SIDE, NUM_FRAMES = 40, 60


@pytest.fixture(scope="module")
def animals() -> tuple[np.ndarray, np.ndarray]:
    first, second = (textured_frames(NUM_FRAMES, SIDE, SIDE, seed=seed) for seed in (3, 4))
    return first, second


@pytest.fixture(scope="module")
def tracks() -> tuple[Track, Track]:
    """One walks to the right, the other one down."""
    frames = np.arange(NUM_FRAMES)
    across = np.stack([SIDE / 2 + frames, np.full(NUM_FRAMES, SIDE / 2)], axis=1)
    down = np.stack([np.full(NUM_FRAMES, 150.0), SIDE / 2 + frames], axis=1)
    return Track("anna", frames, across, float(SIDE)), Track("ben", frames, down, float(SIDE))


@pytest.fixture(scope="module")
def video(
    animals: tuple[np.ndarray, np.ndarray], tracks: tuple[Track, Track], make_clip: MakeClip, tmp_path_factory: Any
) -> Path:
    pictures = np.zeros((NUM_FRAMES, 120, 180, 3), np.uint8)
    for own, track in zip(animals, tracks, strict=True):
        for number, (left, top) in enumerate((track.centres - SIDE / 2).astype(int)):
            pictures[number, top : top + SIDE, left : left + SIDE] = own[number]
    path: Path = make_clip(tmp_path_factory.mktemp("animals") / "both.avi", pictures, 10)
    return path


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path) -> Recognizer:
    return Recognizer.load(tiny_model, device="cpu")


def test_each_is_seen_as_in_a_video_of_its_own(
    recognizer: Recognizer, video: Path, animals: tuple[np.ndarray, np.ndarray], tracks: tuple[Track, Track]
) -> None:
    found = track_probs(recognizer, video, tracks, clip_stride=1)
    assert [part.subject for part in found] == ["anna", "ben"]
    for part, own in zip(found, animals, strict=True):
        expected = recognizer.window_probs(own, clip_stride=1)
        assert part.windows == expected.windows
        np.testing.assert_allclose(part.probs, expected.probs, atol=1e-5)
        np.testing.assert_allclose(part.times_s, expected.times_s, atol=1e-9)
        assert part.duration_s == pytest.approx(6.0)


def test_a_frame_is_decoded_once_however_many_are_in_it(
    recognizer: Recognizer, video: Path, tracks: tuple[Track, Track], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lrcn.video import read

    converted: list[int] = []
    to_rgb = read.FrameResizer.to_rgb

    def counted(self: read.FrameResizer, picture: Any, height: int, width: int) -> Any:
        converted.append(height)
        return to_rgb(self, picture, height, width)

    monkeypatch.setattr(read.FrameResizer, "to_rgb", counted)
    track_probs(recognizer, video, tracks)
    assert converted.count(120) == NUM_FRAMES


def test_no_window_reaches_over_a_long_gap(
    recognizer: Recognizer, video: Path, animals: tuple[np.ndarray, np.ndarray], tracks: tuple[Track, Track]
) -> None:
    # a second away from 10 on, for which the last place holds; 1.1 s away from 30 on; a single frame at the end
    kept = np.concatenate([np.arange(5, 10), np.arange(20, 30), np.arange(41, 43), [58]])
    track = tracks[0]
    broken = replace(track, frames=kept, centres=track.centres[kept])
    found = track_probs(recognizer, video, [broken], clip_stride=1)
    assert [part.times_s[[0, -1]].round(6).tolist() for part in found] == [[0.5, 2.9], [4.1, 4.2], [5.8, 5.8]]
    assert [part.duration_s for part in found] == pytest.approx([3.0, 4.3, 5.9])
    for part, (first, last) in zip(found[1:], ((41, 43), (58, 59)), strict=True):
        expected = recognizer.window_probs(animals[0][first:last], clip_stride=1)
        assert part.windows == expected.windows
        np.testing.assert_allclose(part.probs, expected.probs, atol=1e-5)
    held = np.concatenate([np.arange(5, 10), [9] * 10, np.arange(20, 30)])
    left, top = (track.centres[held] - SIDE / 2).astype(int).T
    whole, _ = _read(video)
    seen = np.stack([whole[n, y : y + SIDE, x : x + SIDE] for n, x, y in zip(range(5, 30), left, top, strict=True)])
    np.testing.assert_allclose(found[0].probs, recognizer.window_probs(seen, clip_stride=1).probs, atol=1e-5)


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    from lrcn.video.read import read_all

    return read_all(path)


def test_the_numbers_are_those_of_the_videos_frames(
    recognizer: Recognizer, make_clip: MakeClip, animals: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    """At 30 frames a second every third one is looked at."""
    pictures = np.zeros((NUM_FRAMES, 60, 120, 3), np.uint8)
    numbers = np.arange(NUM_FRAMES)
    for number in numbers:
        pictures[number, 10:50, number : number + SIDE] = animals[0][number]
    path = make_clip(tmp_path / "fast.avi", pictures, 30)
    centres = np.stack([numbers + SIDE / 2, np.full(NUM_FRAMES, 30.0)], axis=1)
    (part,) = track_probs(recognizer, path, [Track("", numbers, centres)], side=SIDE, clip_stride=1)
    expected = recognizer.window_probs(animals[0][::3], clip_stride=1)
    np.testing.assert_allclose(part.probs, expected.probs, atol=1e-5)


def test_the_numbers_count_frames_where_the_rate_varies(
    recognizer: Recognizer, make_clip: MakeClip, animals: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    numbers = np.arange(NUM_FRAMES)
    pictures = np.zeros((NUM_FRAMES, 60, 120, 3), np.uint8)
    for number in numbers:
        pictures[number, 10:50, number : number + SIDE] = animals[0][number]
    times_ms = [100 * n if n < 20 else 2000 + 50 * (n - 20) for n in range(NUM_FRAMES)]
    path = make_clip(tmp_path / "varying.mkv", pictures, pts_ms=times_ms)
    centres = np.stack([numbers + SIDE / 2, np.full(NUM_FRAMES, 30.0)], axis=1)
    (part,) = track_probs(recognizer, path, [Track("", numbers, centres)], side=SIDE, clip_stride=1)
    expected = recognizer.window_probs(
        animals[0][[*range(20), *range(20, NUM_FRAMES, 2), NUM_FRAMES - 1]], clip_stride=1
    )
    np.testing.assert_allclose(part.probs, expected.probs, atol=1e-5)


def test_what_makes_no_sense_is_one_line(recognizer: Recognizer, video: Path, tracks: tuple[Track, Track]) -> None:
    with pytest.raises(ConfigError, match="points without a size; say with --track-size"):
        track_probs(recognizer, video, [replace(tracks[0], side=None)])
    late = replace(tracks[0], frames=tracks[0].frames + 1000)
    with pytest.raises(MediaError, match=r"both.avi: nobody is seen in it, the first in frame 1000"):
        track_probs(recognizer, video, [late])
