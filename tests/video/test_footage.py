"""The clock of a video: time stamps that are missing, broken or jump."""

from __future__ import annotations

from fractions import Fraction

import av
import pytest

from lrcn.video.footage import LONGEST_STEP_S, Clock


def _frame(pts: int | None, duration: int = 0) -> av.VideoFrame:
    frame = av.VideoFrame(16, 16, "gray")
    frame.pts, frame.time_base, frame.duration = pts, Fraction(1, 1000), duration
    return frame


def _read(stamps: list[int | None]) -> list[float]:
    clock = Clock(_frame(stamps[0]), 0.1)
    return [clock.read(_frame(pts)) for pts in stamps]


def test_times_count_from_the_first_frame() -> None:
    assert _read([400, 430, 900]) == pytest.approx([0.0, 0.03, 0.5])


def test_missing_stamps_follow_at_the_nominal_rate() -> None:
    assert _read([400, None, None, 800]) == pytest.approx([0.0, 0.1, 0.2, 0.4])


def test_stamps_that_run_backwards_or_leap_are_counted_on_from() -> None:
    assert _read([400, 500, 0, 50]) == pytest.approx([0.0, 0.1, 0.2, 0.25])
    leap = 500 + int(LONGEST_STEP_S * 1000) + 1
    assert _read([400, 500, leap, leap + 30]) == pytest.approx([0.0, 0.1, 0.2, 0.23])


def test_a_duration_is_believed_within_reason() -> None:
    clock = Clock(_frame(0), 0.1)
    assert [clock.duration(_frame(0, ms)) for ms in (0, 40, 10**9)] == pytest.approx([0.1, 0.04, 0.1])
