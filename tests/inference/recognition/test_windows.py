from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrcn.inference.recognition.windows import Window, WindowBuffer, WindowProbs, is_known, rank_labels, to_result
from lrcn.results import UNKNOWN


def stream(num_frames: int, chunk_sizes: list[int], clip_length: int, clip_stride: int) -> list[Window]:
    features = np.arange(num_frames, dtype=np.float32)[:, None]
    buffer, windows, start = WindowBuffer(clip_length, clip_stride), [], 0
    while start < num_frames:
        size = chunk_sizes[len(windows) % len(chunk_sizes)]
        windows += buffer.push(features[start : start + size])
        start += size
    return windows + buffer.finish()


@given(
    num_frames=st.integers(1, 70),
    clip_length=st.integers(1, 20),
    stride_share=st.floats(0, 1),
    chunk_sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4),
)
def test_windows_of_a_stream_are_those_of_the_whole_sequence(
    num_frames: int, clip_length: int, stride_share: float, chunk_sizes: list[int]
) -> None:
    clip_stride = 1 + int(stride_share * (clip_length - 1))
    starts = list(range(0, num_frames - clip_length + 1, clip_stride))
    expected = [(start, start + clip_length) for start in starts]
    if not expected or expected[-1][1] < num_frames:
        expected.append((max(0, num_frames - clip_length), num_frames))

    windows = stream(num_frames, chunk_sizes, clip_length, clip_stride)

    assert [(w.start, w.end) for w in windows] == expected
    for window in windows:
        assert window.frames[:, 0].tolist() == list(range(window.start, window.end))


def test_buffer_holds_one_window_however_long_the_stream() -> None:
    buffer = WindowBuffer(16, 8)
    for _ in range(200):
        buffer.push(np.zeros((50, 3), np.float32))
        assert buffer._kept is not None
        assert buffer._kept.base is None  # no view that keeps a chunk alive
        assert buffer._kept.nbytes == 16 * 3 * 4


def said(windows: list[tuple[int, int]], probs: list[list[float]], duration_s: float = 1.0) -> WindowProbs:
    return WindowProbs(tuple(windows), np.array(probs), np.array([0.0, 0.1, 0.3, 0.4, 0.8]), duration_s)


def test_segment_ends_when_the_next_frame_is_shown_or_with_the_video() -> None:
    result = to_result(
        said([(0, 2), (1, 3), (3, 5)], [[1, 0], [0, 1], [0, 1]]),
        source="v", labels=["a", "b"], top_k=1, model={}, timing_s={},
    )  # fmt: skip
    assert [(s.start_s, s.end_s) for s in result.segments] == [(0.0, 0.3), (0.1, 0.4), (0.4, 1.0)]


def test_video_probabilities_are_the_mean_over_the_windows() -> None:
    result = to_result(
        said([(0, 3), (2, 5)], [[0.2, 0.7, 0.1], [0.6, 0.1, 0.3]]),
        source="v", labels=["a", "b", "c"], top_k=2, model={"name": "m"}, timing_s={},
    )  # fmt: skip
    assert result.probs == pytest.approx((0.4, 0.4, 0.2))
    assert [(t.label, t.label_id) for t in result.top] == [("a", 0), ("b", 1)]
    assert [t.label for t in result.segments[0].top] == ["b", "a"]
    assert result.label == "a"


def test_equal_probabilities_keep_the_order_of_the_labels() -> None:
    assert [t.label_id for t in rank_labels([0.2, 0.3, 0.2, 0.3], "abcd", 10)] == [1, 3, 0, 2]


@pytest.mark.parametrize(
    ("probs", "level", "known"),
    [
        ([0.3, 0.4, 0.3], 0.0, True),
        ([0.3, 0.4, 0.3], 0.4, True),  # at the level is not below it
        ([0.3, 0.4, 0.3], 0.41, False),
        ([0.3, 0.1, 0.6], 0.0, False),  # the class of what has none
    ],
)
def test_what_has_no_class_of_that_probability_is_unknown(probs: list[float], level: float, known: bool) -> None:
    labels = ("walk", "run", UNKNOWN)
    assert is_known(np.array(probs), labels, level) is known
    result = to_result(
        said([(0, 3), (2, 5)], [probs, [1.0, 0.0, 0.0]]),
        source="v", labels=labels, top_k=1, model={}, timing_s={}, unknown_below=level,
    )  # fmt: skip
    assert [segment.known for segment in result.segments] == [known, True]
    assert result.known == (max(result.probs) >= level)  # the mean of the windows is a class here
    assert result.to_dict()["known"] is result.known
    assert [segment["known"] for segment in result.to_dict()["segments"]] == [known, True]
