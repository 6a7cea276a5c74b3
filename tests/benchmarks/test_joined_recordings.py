"""Joined recordings show each clip where the annotations say, and no border within a class."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from benchmarks.joined_recordings import draw_sequences, join_clips
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import MakeClip

from lrcn.annotations.formats import read_annotations
from lrcn.data.recognition.examples import RecognitionExample
from lrcn.errors import DataError
from lrcn.video.read import read_all

GREYS = {"dark": 40, "middle": 128, "light": 215}


@given(
    st.lists(st.sampled_from("abc"), min_size=2, max_size=12).filter(lambda labels: len(set(labels)) > 1),
    st.integers(1, 5),
    st.integers(1, 6),
)
def test_neighbours_differ_and_clips_take_turns(labels: list[str], count: int, length: int) -> None:
    sequences = draw_sequences(labels, count, length, np.random.default_rng(0))
    assert [len(sequence) for sequence in sequences] == [length] * count
    for sequence in sequences:
        assert all(labels[before] != labels[after] for before, after in pairwise(sequence))
    if len(set(labels)) == len(labels):  # else one class may have to wait for the others
        shown = Counter(clip for sequence in sequences for clip in sequence)
        assert max(shown.values()) - min(shown[clip] for clip in range(len(labels))) <= 2


def test_every_clip_is_where_the_annotations_say(tmp_path: Path, make_clip: MakeClip) -> None:
    clips = []
    for number, (label, grey) in enumerate(GREYS.items()):
        path = tmp_path / f"{label}.avi"
        make_clip(path, np.full((10 + 5 * number, 32 + 16 * number, 48, 3), grey, np.uint8), 10)
        clips.append(RecognitionExample(path, label, "test", end_s=None if number else 0.5))
    join_clips(clips, tmp_path / "out", recordings=3, clips_each=4, size_px=32)
    joined = read_annotations(tmp_path / "out" / "annotations.csv")
    assert len(joined.recordings) == 3
    lengths = {"dark": 0.5, "middle": 1.5, "light": 2.0}
    for recording in joined.recordings:
        assert recording.path is not None
        frames, _ = read_all(recording.path)
        assert frames.shape[1:] == (32, 48, 3)
        assert len(frames) == round((recording.duration_s or 0) * 10)
        assert recording.bouts[0].start_s == 0
        assert all(before.end_s == after.start_s for before, after in pairwise(recording.bouts))
        for bout in recording.bouts:
            own = frames[round(bout.start_s * 10) : round(bout.end_s * 10)]
            assert len(own) == round(lengths[bout.label] * 10)
            assert abs(own.mean(axis=(1, 2, 3)) - GREYS[bout.label]).max() < 6
            assert bout.comment.endswith(f"{tmp_path.name}/{bout.label}.avi")


def test_one_class_has_no_borders() -> None:
    with pytest.raises(DataError, match="two classes or more are needed, got 1"):
        draw_sequences(["a", "a"], 1, 2, np.random.default_rng(0))
