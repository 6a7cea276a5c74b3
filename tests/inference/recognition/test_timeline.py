from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrcn.bouts import Bout
from lrcn.inference.recognition.timeline import NO_BOUT, bout_timeline, timeline
from lrcn.results import LabelProb, RecognitionResult, Segment


def result_of(*segments: tuple[float, float, str, float]) -> RecognitionResult:
    made = tuple(Segment(start, end, (LabelProb(name, ord(name) - 97, prob),)) for start, end, name, prob in segments)
    return RecognitionResult("v.mp4", made[-1].end_s, made[0].top, made, ())


def test_moment_gets_the_label_of_the_window_it_lies_most_central_in() -> None:
    found = timeline(result_of((0, 2, "a", 0.9), (1, 3, "b", 0.6), (2, 4, "b", 0.8)))
    assert [(s.label, s.start_s, s.end_s) for s in found] == [("a", 0, 1.5), ("b", 1.5, 4)]
    assert found[0].prob == pytest.approx(0.9)
    assert found[1].prob == pytest.approx((0.6 * 1 + 0.8 * 1.5) / 2.5)


def test_label_that_comes_back_is_a_stretch_of_its_own() -> None:
    found = timeline(result_of((0, 1, "a", 0.9), (1, 2, "b", 0.9), (2, 3, "a", 0.9)))
    assert [(s.label, s.start_s, s.end_s) for s in found] == [("a", 0, 1), ("b", 1, 2), ("a", 2, 3)]


def test_one_segment_is_one_stretch() -> None:
    (found,) = timeline(result_of((0.0, 0.04, "a", 0.7)))
    assert (found.start_s, found.end_s, found.label, found.prob) == (0.0, 0.04, "a", 0.7)


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30), st.integers(1, 8))
def test_stretches_cover_the_video_without_gap_and_differ_from_their_neighbours(labels: list[str], stride: int) -> None:
    segments = [(i * stride, i * stride + 8, label, 0.5 + i / 100) for i, label in enumerate(labels)]
    found = timeline(result_of(*segments))
    assert found[0].start_s == 0
    assert found[-1].end_s == segments[-1][1]
    assert [s.label for s in found] == [label for label, _ in itertools.groupby(labels)]
    for left, right in itertools.pairwise(found):
        assert left.end_s == right.start_s


def test_what_is_unknown_is_not_joined_with_what_is_known() -> None:
    result = result_of((0, 1, "a", 0.9), (1, 2, "a", 0.4), (2, 3, "a", 0.3))
    known, *unknown = result.segments
    result = replace(result, segments=(known, *(replace(segment, known=False) for segment in unknown)))
    assert [(s.start_s, s.end_s, s.known) for s in timeline(result)] == [(0, 1, True), (1, 3, False)]


def test_timeline_of_bouts_has_neither_gap_nor_overlap() -> None:
    bouts = (Bout("walk", 1.0, 3.0, prob=0.9), Bout("sniff", 2.0, 4.0, prob=0.6), Bout("walk", 5.0, 6.0, prob=0.7))
    stretches = bout_timeline(bouts, ("walk", "sniff"), 6.0)
    assert [(s.start_s, s.end_s, s.label, s.label_id, s.prob) for s in stretches] == [
        (0.0, 1.0, "", NO_BOUT, 0.0),
        (1.0, 2.0, "walk", 0, 0.9),
        (2.0, 3.0, "sniff + walk", NO_BOUT, 0.6),
        (3.0, 4.0, "sniff", 1, 0.6),
        (4.0, 5.0, "", NO_BOUT, 0.0),
        (5.0, 6.0, "walk", 0, 0.7),
    ]
