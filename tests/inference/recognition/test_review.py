from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.conftest import MakeClip, textured_frames

from lrcn.bouts import Bout
from lrcn.config import BoutSettings
from lrcn.inference.recognition.bouts import FoundBouts
from lrcn.inference.recognition.review import LONGEST_S, MARGIN_S, doubtful_bouts, most_doubtful, write_clips
from lrcn.inference.recognition.windows import WindowProbs
from lrcn.video.read import read_all

RULES = BoutSettings(
    smooth_s=0.0, thresholds=(0.5,) * 2, low_thresholds=(0.5,) * 2, shortest_s=(0.5,) * 2, longest_gap_s=(0.0,) * 2
)


def found_in(probs: list[float], frame_s: float = 0.1) -> FoundBouts:
    """Bouts of a model that says `a` with these probabilities, frame by frame."""
    said = np.stack([probs, 1 - np.array(probs)], axis=1)
    ranges = tuple((i, i + 1) for i in range(len(probs)))
    windows = WindowProbs(ranges, said, np.arange(len(probs)) * frame_s, len(probs) * frame_s)
    return FoundBouts(windows, RULES, ("a", "b"), exclusive=True)


def test_the_most_doubtful_come_first() -> None:
    found = found_in([0.99] * 20 + [0.4] * 20 + [0.9] * 20 + [0.05] * 20)
    first, second = most_doubtful(doubtful_bouts(Path("r.mp4"), found), 2)
    assert (first.bout.label, first.bout.start_s, first.bout.end_s) == ("b", pytest.approx(2.0), pytest.approx(4.0))
    assert second.bout.start_s == pytest.approx(4.0)
    assert 0 <= second.doubt < first.doubt <= 1
    assert len(most_doubtful(doubtful_bouts(Path("r.mp4"), found), 99)) == 4


def test_a_clip_shows_its_bout_and_what_is_around_it(tmp_path: Path, make_clip: MakeClip) -> None:
    frames = textured_frames(80, 48, 64)
    recording = make_clip(tmp_path / "r.avi", frames, 10)
    found = found_in([0.99] * 20 + [0.4] * 20 + [0.9] * 40)
    (one,) = most_doubtful(doubtful_bouts(recording, found), 1)
    assert (one.start_s, one.end_s) == (pytest.approx(2.0 - MARGIN_S), pytest.approx(4.0 + MARGIN_S))

    review = write_clips([one], tmp_path / "review")

    (clip,) = review.recordings
    assert clip.path is not None
    shown, _ = read_all(clip.path)
    nearest = [int(np.abs(frames.astype(int) - one).mean(axis=(1, 2, 3)).argmin()) for one in shown]
    assert nearest == list(range(10, 50))
    assert [(bout.label, round(bout.start_s, 6), round(bout.end_s, 6)) for bout in clip.bouts] == [
        ("a", 0.0, 1.0),
        ("b", 1.0, 3.0),
        ("a", 3.0, 4.0),
    ]
    assert [bool(bout.comment) for bout in clip.bouts] == [False, True, False]
    assert "2.00 s of r.avi" in clip.bouts[1].comment
    assert clip.duration_s == pytest.approx(4.0)


def test_a_clip_of_a_bout_of_hours_is_short() -> None:
    (one,) = doubtful_bouts(Path("r.mp4"), found_in([0.9] * 400, frame_s=1.0))
    assert one.bout == Bout("a", 0.0, 400.0, prob=one.bout.prob)
    assert one.end_s - one.start_s == LONGEST_S
