from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrcn.video.tracks import LONGEST_GAP_S, Track, cut_squares


def track(frames: list[int]) -> Track:
    return Track("a", np.array(frames), np.array([(float(n), 2.0 * n) for n in frames]))


@given(
    frames=st.sets(st.integers(0, 60), min_size=1),
    wanted=st.lists(st.integers(0, 70), min_size=1).map(sorted),
    fps=st.sampled_from([1.0, 2.5, 10.0]),
)
def test_places_are_those_that_a_search_frame_by_frame_finds(frames: set[int], wanted: list[int], fps: float) -> None:
    places, stretches = track(sorted(frames)).seen_in(np.array(wanted), fps)
    for number, place in zip(wanted, places.tolist(), strict=True):
        before = [frame for frame in frames if frame <= number]
        after = [frame for frame in frames if frame > number]
        if number in frames:
            assert sorted(frames)[place] == number
        elif not before or not after or (min(after) - max(before) - 1) / fps > LONGEST_GAP_S:
            assert place == -1
        else:
            assert sorted(frames)[place] == max(before)
    seen = [(place, stretch) for place, stretch in zip(places, stretches, strict=True) if place >= 0]
    for (one, its), (other, others) in itertools.pairwise(seen):
        between = sorted(frames)[one : other + 1]
        longest = max((after - before - 1 for before, after in itertools.pairwise(between)), default=0)
        assert (its == others) == (longest / fps <= LONGEST_GAP_S)


@pytest.mark.parametrize("side", [1, 7, 16, 48, 500])
def test_squares_are_slices_that_stay_in_the_picture(frames20: np.ndarray, side: int) -> None:
    rng = np.random.default_rng(side)
    centres = rng.uniform(-20, 90, (20, 2))
    squares = cut_squares(frames20, centres, side)
    side = min(side, 48)
    assert squares.shape == (20, side, side, 3)
    for square, frame, (x, y) in zip(squares, frames20, centres, strict=True):
        left = int(min(max(0, round(x - side / 2)), 64 - side))
        top = int(min(max(0, round(y - side / 2)), 48 - side))
        np.testing.assert_array_equal(square, frame[top : top + side, left : left + side])
