from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrcn.video.vectors import Vectors

NAN = float("nan")


def held_by_hand(values: np.ndarray) -> np.ndarray:
    filled = np.zeros_like(values)
    for column in range(values.shape[1]):
        known = [row for row in range(len(values)) if not np.isnan(values[row, column])]
        for row in range(len(values)):
            before = [place for place in known if place <= row]
            if known:
                filled[row, column] = values[before[-1] if before else known[0], column]
    return filled


@given(st.lists(st.tuples(*[st.sampled_from([NAN, 1.0, 2.0, -3.5])] * 3), min_size=1, max_size=12))
def test_missing_values_hold_what_was_known_before(rows: list[tuple[float, ...]]) -> None:
    values = np.array(rows, dtype=np.float32)
    vectors = Vectors(values, np.arange(len(values)) / 10, len(values) / 10, ("a", "b", "c"))
    np.testing.assert_array_equal(vectors.held, held_by_hand(values))


@given(
    gaps=st.lists(st.integers(1, 30), min_size=1, max_size=25),
    sample_fps=st.sampled_from([None, 3.0, 10.0, 100.0]),
    start=st.integers(0, 300),
    length=st.one_of(st.none(), st.integers(1, 300)),
)
def test_rows_are_sampled_as_frames_of_a_video_are(
    gaps: list[int], sample_fps: float | None, start: int, length: int | None
) -> None:
    times_s = (np.cumsum(gaps) - gaps[0]) / 100
    end_s = float(times_s[-1]) + 0.1
    vectors = Vectors(np.arange(len(gaps), dtype=np.float32)[:, None], times_s, end_s, ("row",))
    start_s, until_s = start / 100, None if length is None else (start + length) / 100
    if start_s >= end_s:
        with pytest.raises(ValueError, match="it ends at"):
            vectors.sampled(sample_fps, start_s, until_s)
        return
    last_s = min(end_s, until_s or end_s)
    found = vectors.sampled(sample_fps, start_s, until_s)
    assert found.end_s == last_s
    wanted = [start_s]
    if sample_fps is None:
        wanted = [time_s for time_s in times_s.tolist() if start_s - 1e-3 <= time_s < last_s - 1e-3] or wanted
    else:
        while (time_s := start_s + len(wanted) / sample_fps) < last_s - 1e-3 - 1e-9:
            wanted.append(time_s)
    np.testing.assert_allclose(found.times_s, wanted)
    shown = [max([0] + [row for row, time_s in enumerate(times_s) if time_s <= at + 1e-3 + 1e-9]) for at in wanted]
    assert found.values[:, 0].tolist() == shown


def test_what_is_mostly_missing_or_never_known_is_said() -> None:
    values = np.array([[1, NAN, NAN], [NAN, NAN, NAN], [2, 3, NAN]], dtype=np.float32)
    said = Vectors(values, np.arange(3.0), 3.0, ("a", "b", "c")).complaints()
    assert said == [
        "67% of its values are missing, and stay what they were before",
        "'c' is never known, and read as 0",
    ]
    assert Vectors(values[:, :1], np.arange(3.0), 3.0, ("a",)).complaints() == []
