from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrcn.inference.timeline import timeline
from lrcn.results import LabelProb, RecognitionResult, Segment


def result_of(*segments: tuple[float, float, dict[str, float]]) -> RecognitionResult:
    made = tuple(
        Segment(start, end, tuple(LabelProb(k, ord(k) - 97, v) for k, v in sorted(p.items(), key=lambda i: -i[1])))
        for start, end, p in segments
    )
    return RecognitionResult("v.mp4", max(s.end_s for s in made), made[0].top, made, ())


def test_overlap_takes_the_label_with_the_highest_mean() -> None:
    found = timeline(result_of((0, 2, {"a": 0.9, "b": 0.1}), (1, 3, {"b": 0.6, "a": 0.4}), (2, 4, {"b": 0.8})))
    assert [(s.label, s.start_s, s.end_s) for s in found] == [("a", 0, 2), ("b", 2, 4)]
    assert found[0].prob == pytest.approx((0.9 + (0.9 + 0.4) / 2) / 2)
    assert found[1].prob == pytest.approx(((0.6 + 0.8) / 2 + 0.8) / 2)


def test_label_that_comes_back_is_a_stretch_of_its_own() -> None:
    found = timeline(result_of((0, 1, {"a": 0.9}), (1, 2, {"b": 0.9}), (2, 3, {"a": 0.9})))
    assert [s.label for s in found] == ["a", "b", "a"]


def test_one_segment_is_one_stretch() -> None:
    (found,) = timeline(result_of((0.0, 0.04, {"a": 0.7, "b": 0.3})))
    assert (found.start_s, found.end_s, found.label, found.prob) == (0.0, 0.04, "a", pytest.approx(0.7))


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30), st.integers(1, 8))
def test_stretches_cover_the_video_without_gap_and_differ_from_their_neighbours(labels: list[str], stride: int) -> None:
    segments = [(i * stride, i * stride + 8, {label: 0.5 + i / 100}) for i, label in enumerate(labels)]
    found = timeline(result_of(*segments))
    assert found[0].start_s == 0
    assert found[-1].end_s == segments[-1][1]
    for left, right in itertools.pairwise(found):
        assert left.end_s == right.start_s
        assert left.label != right.label
