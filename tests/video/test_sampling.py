"""Windows over frames, against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrcn.errors import ConfigError
from lrcn.video.sampling import clip_windows, random_window


@st.composite
def settings_(draw: st.DrawFn) -> tuple[int, int, int]:
    clip_length = draw(st.integers(1, 40))
    return draw(st.integers(1, 300)), clip_length, draw(st.integers(1, clip_length))


@given(settings_())
def test_every_frame_lies_in_a_window(case: tuple[int, int, int]) -> None:
    num_frames, clip_length, clip_stride = case
    covered = {
        frame for start, end in clip_windows(num_frames, clip_length, clip_stride) for frame in range(start, end)
    }
    assert covered == set(range(num_frames))


@given(settings_())
def test_windows_are_all_the_full_ones_and_one_at_the_end(case: tuple[int, int, int]) -> None:
    num_frames, clip_length, clip_stride = case
    windows = clip_windows(num_frames, clip_length, clip_stride)
    full = [
        (start, start + clip_length)
        for start in range(num_frames)
        if start % clip_stride == 0 and start + clip_length <= num_frames
    ]
    end = (max(0, num_frames - clip_length), num_frames)
    assert windows == (full if full and full[-1] == end else [*full, end])


@given(settings_())
def test_a_video_longer_by_one_stride_has_one_window_more(case: tuple[int, int, int]) -> None:
    num_frames, clip_length, clip_stride = case
    windows = clip_windows(num_frames + clip_length, clip_length, clip_stride)
    longer = clip_windows(num_frames + clip_length + clip_stride, clip_length, clip_stride)
    shifted = [(start + clip_stride, end + clip_stride) for start, end in windows]
    assert longer == [(0, clip_length), *shifted]


def test_the_papers_numbers() -> None:
    assert clip_windows(40, 16, 8) == [(0, 16), (8, 24), (16, 32), (24, 40)]
    assert clip_windows(41, 16, 8) == [(0, 16), (8, 24), (16, 32), (24, 40), (25, 41)]
    assert clip_windows(9, 16, 8) == [(0, 9)]


@pytest.mark.parametrize("case", [(0, 16, 8), (10, 0, 1), (10, 4, 0), (10, 4, 5)])
def test_impossible_windows_are_refused(case: tuple[int, int, int]) -> None:
    with pytest.raises(ConfigError):
        clip_windows(*case)


@given(num_frames=st.integers(1, 60), clip_length=st.integers(1, 40), seed=st.integers(0, 9))
def test_a_random_window_is_a_full_one_inside_the_video(num_frames: int, clip_length: int, seed: int) -> None:
    start, end = random_window(num_frames, clip_length, np.random.default_rng(seed))
    assert end - start == min(clip_length, num_frames)
    assert 0 <= start < end <= num_frames


def test_every_random_start_is_equally_likely() -> None:
    rng = np.random.default_rng(0)
    starts = np.array([random_window(20, 16, rng)[0] for _ in range(5000)])
    counts = np.bincount(starts, minlength=5)
    assert len(counts) == 5
    assert np.abs(counts - 1000).max() < 120  # four standard deviations
