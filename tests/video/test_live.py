"""Live sources against a real server that is killed and brought back."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from tests.conftest import MakeClip, textured_frames

from lrcn.errors import MediaError
from lrcn.video import live
from lrcn.video.live import LiveFrame, LiveSource, is_live

SERVER = Path(__file__).parent / "mjpeg_server.py"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(port: int, *paths: Path, fps: float = 50) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(SERVER), str(port), str(fps), *map(str, paths)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == "serving\n"
            yield server
        finally:
            server.kill()


@pytest.mark.parametrize(
    ("source", "platform", "opened"),
    [
        ("1", "linux", ("/dev/video1", "v4l2")),
        ("1", "darwin", ("1", "avfoundation")),
        ("video=HD WebCam", "win32", ("video=HD WebCam", "dshow")),
    ],
)
def test_cameras_are_called_as_each_system_calls_them(
    source: str, platform: str, opened: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert is_live(source)
    assert live._camera(source) == opened


def test_a_camera_of_windows_without_its_name_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_live("video=HD WebCam")  # a file elsewhere
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(MediaError, match="camera 1: Windows has names for cameras; say video=NAME"):
        live._camera("1")


def collect(source: LiveSource, wake: threading.Event, until: Callable[[list[LiveFrame]], bool]) -> list[LiveFrame]:
    """Take frames until enough have come; fails after 30 s."""
    frames: list[LiveFrame] = []
    deadline = time.monotonic() + 30
    while not until(frames):
        assert time.monotonic() < deadline, f"{len(frames)} frames came"
        wake.clear()
        frame = source.take()
        if frame is None:
            wake.wait(0.5)
        else:
            frames.append(frame)
    return frames


def test_frames_come_resized_in_order_at_the_sampled_rate(clip20: Path, frames20: np.ndarray) -> None:
    port, wake = free_port(), threading.Event()
    with serving(port, clip20):
        source = LiveSource(f"http://127.0.0.1:{port}/", sample_fps=20, resize=(24, 32), max_age_s=5, wake=wake)
        frames = collect(source, wake, lambda frames: len(frames) >= 20)
        source.close()
    times = np.array([frame.time_s for frame in frames])
    assert frames[0].pixels.shape == (24, 32, 3)
    assert times[0] == 0
    assert np.diff(times).min() > 0.5 / 20 - 0.005
    assert source.received <= 20 * times[-1] + 2 + 20 * 0.2  # 50 frames a second were sent
    small = frames20.reshape(20, 24, 2, 32, 2, 3).mean(axis=(2, 4))
    nearest = [np.abs(small - frame.pixels).mean(axis=(1, 2, 3)).min() for frame in frames]
    assert max(nearest) < 8  # pictures of the clip, but for JPEG


def wait_for(source: LiveSource, wake: threading.Event, received: int) -> None:
    deadline = time.monotonic() + 30
    while source.received < received:
        assert time.monotonic() < deadline, f"{source.received} frames came"
        wake.wait(0.5)
        wake.clear()


def test_old_frames_are_dropped_and_counted(clip20: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock_s = [0.0]
    monkeypatch.setattr(live, "time", SimpleNamespace(monotonic=lambda: clock_s[0]))
    port, wake = free_port(), threading.Event()
    with serving(port, clip20, fps=100):
        source = LiveSource(f"http://127.0.0.1:{port}/", sample_fps=None, resize=16, max_age_s=0.2, wake=wake)
        wait_for(source, wake, 20)
        clock_s[0] = 10.0  # who takes frames was busy for so long
        wait_for(source, wake, source.received + 5)
        frame = source.take()
        source.close()
    assert frame is not None
    assert frame.time_s == 10.0
    assert 20 <= source.dropped < source.received


def test_a_lost_source_is_opened_again_and_waits_longer_each_time(
    clip20: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_FIRST_WAIT_S", 0.1)
    port, wake, said = free_port(), threading.Event(), list[str]()
    with serving(port, clip20) as server:
        source = LiveSource(
            f"http://127.0.0.1:{port}/", sample_fps=None, resize=None, max_age_s=5, wake=wake, on_event=said.append
        )
        before = collect(source, wake, lambda frames: len(frames) >= 5)
        server.kill()
        deadline = time.monotonic() + 30
        while len(said) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
    assert "lost" in said[0]
    assert "trying again in 0.1 s" in said[0]
    assert "cannot be opened" in said[1]
    assert "trying again in 0.4 s" in said[2]
    with serving(port, clip20):
        after = collect(source, wake, lambda frames: any(frame.connection == 1 for frame in frames))
        source.close()
    assert source.reconnects == 1
    assert said[-1].endswith("back")
    assert after[-1].time_s > before[-1].time_s + 0.3  # the clock goes on


def test_frames_may_change_their_size(clip20: Path, make_clip: MakeClip, tmp_path: Path) -> None:
    other = make_clip(tmp_path / "other.avi", textured_frames(5, 64, 48))
    port, wake = free_port(), threading.Event()
    with serving(port, clip20, other):
        source = LiveSource(f"http://127.0.0.1:{port}/", sample_fps=None, resize=24, max_age_s=5, wake=wake)
        shapes = {(24, 32, 3), (32, 24, 3)}
        frames = collect(source, wake, lambda frames: {frame.pixels.shape for frame in frames} == shapes)
        source.close()
    assert source.reconnects == 0
    assert len(frames) >= 20


def test_whatever_a_library_raises_is_a_lost_source_that_comes_back(
    clip20: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_FIRST_WAIT_S", 0.1)
    keep, faults = LiveSource._keep, [IndexError("list index out of range")]

    def keep_or_fail(source: LiveSource, frame: av.VideoFrame, stream: av.VideoStream, connection: int) -> None:
        if faults:
            raise faults.pop()
        keep(source, frame, stream, connection)

    monkeypatch.setattr(LiveSource, "_keep", keep_or_fail)
    said: list[str] = []
    port, wake = free_port(), threading.Event()
    with serving(port, clip20):
        source = LiveSource(
            f"http://127.0.0.1:{port}/", sample_fps=None, resize=None, max_age_s=5, wake=wake, on_event=said.append
        )
        collect(source, wake, lambda frames: any(frame.connection == 1 for frame in frames))
        source.close()
    assert "lost (list index out of range)" in said[0]


def test_frames_of_an_impossible_size_are_a_lost_source_that_comes_back(
    clip20: Path, make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_FIRST_WAIT_S", 0.1)
    line = make_clip(tmp_path / "line.avi", textured_frames(2, 6000, 2))
    said: list[str] = []
    port, wake = free_port(), threading.Event()
    with serving(port, clip20, line):
        source = LiveSource(
            f"http://127.0.0.1:{port}/", sample_fps=None, resize=192, max_age_s=5, wake=wake, on_event=said.append
        )
        collect(source, wake, lambda frames: any(frame.connection == 1 for frame in frames))
        source.close()
    assert "resize 192 makes 192x576000 px of 2x6000" in said[0]
    assert said[1].endswith("back")


@pytest.mark.parametrize("source", ["77", "rtsp://127.0.0.1:1/x", "http://127.0.0.1:1/x.mjpg"])
def test_what_does_not_open_is_one_line(source: str) -> None:
    with pytest.raises(MediaError, match="cannot be opened") as caught:
        LiveSource(source, sample_fps=None, resize=None, max_age_s=1, wake=threading.Event())
    assert "\n" not in str(caught.value)
    assert ("camera 77" if source == "77" else source) in str(caught.value)


def test_cameras_and_addresses_are_live_and_files_are_not(clip20: Path) -> None:
    assert [is_live(name) for name in ("0", "rtsp://camera/1", "http://x/y.mjpg", "/dev/null")] == [True] * 4
    assert [is_live(name) for name in (str(clip20), "walk.mp4", "C:\\x.mp4")] == [False] * 3
