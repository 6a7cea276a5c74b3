"""The clock of a video: time stamps that are missing, broken or jump."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import pytest

from lrcn.video.flow_file import read_flow_tag
from lrcn.video.footage import LONGEST_STEP_S, Clock, Stamps, open_local


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


def _mend(stamps: list[tuple[int | None, int | None]]) -> list[int | None]:
    """Mend stamps of display and of packets, where a frame takes 40 ms."""
    frames = [_frame(pts) for pts, _ in stamps]
    for frame, (_, dts) in zip(frames, stamps, strict=True):
        frame.dts = dts
    return [frame.pts for frame in Stamps(frames[:8], 0.04).mend(frames)]


def test_stamps_in_order_stay_as_they_are() -> None:
    assert _mend([(0, 7), (40, 9), (None, 50), (41, 51), (500, 52)]) == [0, 40, None, 41, 500]


def test_stamps_out_of_order_give_way_to_those_of_packets_from_the_first_frame_on() -> None:
    assert _mend([(40, 120), (160, 160), (240, 200), (200, 240), (280, None)]) == [120, 160, 200, 240, None]


def test_disorder_that_begins_late_goes_on_from_the_last_stamp() -> None:
    orderly: list[tuple[int | None, int | None]] = [(40 * k, 40 * k - 80) for k in range(10)]
    assert _mend([*orderly, (440, 320), (400, 360), (480, 400)])[-4:] == [360, 440, 480, 520]


def test_stamps_of_packets_that_are_no_better_count_for_nothing() -> None:
    assert _mend([(80, 80), (0, 0), (120, 120), (40, 40)]) == [80, None, 120, None]


def test_a_stream_that_starts_anew_is_no_disorder() -> None:
    restart = [(40 * k % 2000, 40 * k % 2000) for k in range(120)]
    assert _mend(list(restart)) == [pts for pts, _ in restart]


@pytest.mark.parametrize("name", ["http:", "concat:a|b", "pipe:0", "a.flow.mkv"])
def test_a_name_is_never_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, clip20: Path) -> None:
    """A path that looks like a protocol of ffmpeg is a path."""
    monkeypatch.chdir(tmp_path)
    path = Path(name) / "h" / "x.flow.mkv"
    path.parent.mkdir(parents=True)
    path.write_bytes(clip20.read_bytes())
    with open_local(path) as container:
        assert container.streams.video
    assert read_flow_tag(path) is None


def test_bytes_open_nothing_that_they_name(tmp_path: Path, clip20: Path) -> None:
    """A playlist in memory cannot read a local file."""
    with pytest.raises((av.FFmpegError, ValueError)):
        open_local(io.BytesIO(f"ffconcat version 1.0\nfile '{clip20}'\n".encode()))
