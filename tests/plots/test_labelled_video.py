from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from lrcn.errors import MediaError
from lrcn.inference.recognition.timeline import Stretch
from lrcn.plots.labelled_video import write_labelled_video
from lrcn.plots.overlay import Overlay
from lrcn.plots.palette import COLOURS, colours_for
from lrcn.results import LabelProb, RecognitionResult, Segment
from lrcn.video.read import read_all

BLUE, ORANGE = np.array(COLOURS[0]), np.array(COLOURS[1])
STRETCHES = (Stretch(0.0, 1.0, "walk", 0, 0.9), Stretch(1.0, 2.0, "wave", 1, 0.6))


def grey(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 128, dtype=np.uint8)


def columns_of(frame: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """Columns in which the lower eighth holds a colour exactly."""
    return np.flatnonzero((frame[-len(frame) // 8 :] == colour).all(axis=2).any(axis=0))


@pytest.mark.parametrize(("height", "width"), [(144, 176), (240, 320), (720, 404), (1080, 1920)])
def test_strip_is_divided_as_the_time_is(height: int, width: int) -> None:
    labelled = Overlay(STRETCHES, 2.0).draw(grey(height, width), 0.0)
    assert abs(columns_of(labelled, BLUE).max() - width / 2) <= 2
    assert abs(columns_of(labelled, ORANGE).min() - width / 2) <= 2


@pytest.mark.parametrize(("height", "width"), [(144, 176), (1080, 1920), (3, 4), (1, 200)])
def test_overlay_leaves_the_picture_alone_above_its_band(height: int, width: int) -> None:
    frame = grey(height, width)
    labelled = Overlay(STRETCHES, 2.0).draw(frame, 1.5)
    assert labelled.shape == frame.shape
    assert labelled.dtype == np.uint8
    assert (frame == 128).all()  # the original is not written to
    if height > 100:
        assert (labelled[: int(height * 0.75)] == 128).all()
        assert (labelled[-int(height * 0.1) :] != 128).any()


def test_marker_moves_with_the_time_and_the_label_changes() -> None:
    overlay = Overlay(STRETCHES, 2.0)
    early, late = overlay.draw(grey(240, 320), 0.4), overlay.draw(grey(240, 320), 1.6)
    white = np.array([255, 255, 255])
    strip = slice(-12, None)
    positions = [np.flatnonzero((each[strip] == white).all(axis=2).any(axis=0)).mean() for each in (early, late)]
    assert positions == pytest.approx([0.2 * 320, 0.8 * 320], abs=8)
    text = slice(-32, -16)
    assert (early[text, :16] == BLUE).all(axis=2).any()
    assert (late[text, :16] == ORANGE).all(axis=2).any()


def test_where_no_bout_is_there_is_no_text() -> None:
    nothing = Overlay([Stretch(0.0, 1.0, "", -1, 0.0), Stretch(1.0, 2.0, "walk", 0, 0.9)], 2.0)
    before, within = (nothing.draw(grey(240, 320), time_s)[-32:-16] for time_s in (0.5, 1.5))
    assert len(np.unique(before.reshape(-1, 3), axis=0)) == 1
    assert len(np.unique(within.reshape(-1, 3), axis=0)) > 2


def test_long_label_is_cut_to_the_frame() -> None:
    stretch = Stretch(0.0, 1.0, "w" * 300, 0, 0.5)
    labelled = Overlay([stretch], 1.0).draw(grey(144, 176), 0.5)
    short = Overlay([Stretch(0.0, 1.0, "w", 0, 0.5)], 1.0).draw(grey(144, 176), 0.5)
    percent = slice(150, 176)  # where the probability stands
    np.testing.assert_array_equal(labelled[:, percent], short[:, percent])


def test_labels_keep_their_colours_and_neighbours_differ() -> None:
    labels = [f"l{i}" for i in range(20)]
    colours = colours_for([*labels, *labels])
    assert len(colours) == 20
    assert all(colours[a] != colours[b] for a, b in itertools.pairwise(labels))


def result_for(path: Path, duration_s: float) -> RecognitionResult:
    segments = tuple(
        Segment(start, start + duration_s / 2, (LabelProb(label, i, 0.9),))
        for i, (start, label) in enumerate([(0.0, "walk"), (duration_s / 2, "wave")])
    )
    return RecognitionResult(str(path), duration_s, segments[0].top, segments, (0.5, 0.5))


def test_size_rate_length_and_sound_are_kept(make_clip: Any, frames20: np.ndarray, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", np.repeat(frames20, 4, axis=1).repeat(4, axis=2), 25, audio=True)
    seen: list[float] = []
    write_labelled_video(source, result_for(source, 0.8), tmp_path / "out.mp4", on_progress=seen.append)

    with av.open(str(tmp_path / "out.mp4")) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.width, video.height, float(video.average_rate)) == (256, 192, 25)
        assert float(audio.duration * audio.time_base) == pytest.approx(0.8, abs=0.1)
    frames, _ = read_all(tmp_path / "out.mp4")
    assert len(frames) == 20
    original = read_all(source)[0].astype(int)
    assert np.abs(frames.astype(int) - original)[:, :140].mean() < 12  # the same picture, in 4:2:0
    assert np.abs(frames.astype(int) - original)[:, 170:].mean() > 40  # but for the band
    assert seen[-1] == pytest.approx(19 / 25, abs=0.01)


def test_varying_frame_rate_becomes_even_and_keeps_its_length(
    make_clip: Any, frames20: np.ndarray, tmp_path: Path
) -> None:
    pts_ms = [*range(0, 1000, 100), *range(1000, 1500, 50)]
    source = make_clip(tmp_path / "vfr.mkv", frames20, 25, pts_ms=pts_ms)
    write_labelled_video(source, result_for(source, 1.5), tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        video = container.streams.video[0]
        assert float(video.duration * video.time_base) == pytest.approx(1.5, abs=0.1)


def test_broken_source_leaves_no_video(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"nothing")
    with pytest.raises(MediaError, match=r"broken\.mp4"):
        write_labelled_video(broken, result_for(broken, 1.0), tmp_path / "out.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.mp4"]
