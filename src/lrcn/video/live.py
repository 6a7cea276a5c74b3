"""Frames of cameras and network streams as they come: the newest ones, not all of them.

A thread reads; who is slower than the source loses its oldest frames, counted, and never falls further behind. A
source that is lost is opened again, waiting longer each time.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import av

from lrcn.errors import MediaError
from lrcn.video.choosing import CLOCK_TOLERANCE_S
from lrcn.video.footage import one_line, picture_of
from lrcn.video.resize import MAX_FRAME_PIXELS, FrameResizer, Frames, Resize, resized_size

_TIMEOUT_S = 10.0
"""A source that sends nothing for so long is taken for lost."""

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
"""Before a lost source is opened again; the wait doubles each time, and starts anew once a frame has come."""

_MAX_WAITING = 256
"""Frames that wait at most, whatever their age."""

_MAX_BAD_FRAMES = 32
"""Frames that may fail to decode in a row before the source counts as lost."""

_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")


class LiveFrame(NamedTuple):
    """A frame of a live source."""

    time_s: float
    """When it came, from the first frame on, by this machine's clock."""
    pixels: Frames
    """RGB `(H, W, 3)`, resized."""
    connection: int
    """Counts how often the source was opened: where it differs from the frame before, frames are missing between."""


def is_live(source: str) -> bool:
    """Whether a source is a camera (a number, a device file, or a name on Windows) or an address, and not a file."""
    if source.isdecimal() or _is_named_camera(source) or _ADDRESS.match(source):
        return True
    try:
        return Path(source).is_char_device()
    except OSError:  # a name too long
        return False


class LiveSource:
    """Reads one camera or network stream in a thread."""

    def __init__(
        self,
        source: str,
        *,
        sample_fps: float | None,
        resize: Resize,
        max_age_s: float,
        wake: threading.Event,
        on_event: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Open the source and start to read.

        Args:
            source: A camera's number, a device file, or an address such as `rtsp://...` or `http://.../x.mjpg`.
            sample_fps: Frames taken in a second at most; None takes all.
            resize: As for `read_frames`.
            max_age_s: Frames that waited longer are dropped.
            wake: Set when a frame has come or the source has ended.
            on_event: Told in one line when the source is lost and when it is back; called from the thread.

        Raises:
            MediaError: If it does not open.
        """
        self.source = source
        self.max_age_s = max_age_s
        self.received = 0
        """Frames sampled so far."""
        self.dropped = 0
        """Frames too old to be worth looking at."""
        self.reconnects = 0
        """How often it was lost and came back."""
        self._sample_fps = sample_fps
        self._resize = resize
        self._wake = wake
        self._tell = on_event
        self._waiting: deque[tuple[float, LiveFrame]] = deque()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._resizer = FrameResizer(resize)
        self._began: float | None = None
        self._next_tick_s = 0.0
        container = _open(source)
        self._thread = threading.Thread(target=self._run, args=(container,), name="lrcn-live", daemon=True)
        self._thread.start()

    def take(self) -> LiveFrame | None:
        """Return the oldest frame that is not too old, or None if none waits; older ones are dropped and counted."""
        with self._lock:
            while self._waiting:
                came, frame = self._waiting.popleft()
                if time.monotonic() - came <= self.max_age_s:
                    return frame
                self.dropped += 1
        return None

    def close(self) -> None:
        """Stop reading; the thread ends by itself when the source next sends something or times out."""
        self._closed.set()

    def _run(self, container: av.container.InputContainer) -> None:
        wait_s = _FIRST_WAIT_S
        connection = 0
        lost: av.container.InputContainer | None = container
        while not self._closed.is_set():
            reason = "it ended"
            if lost is not None:
                before = self.received
                try:
                    self._read(lost, connection)
                except Exception as exc:  # PyAV raises IndexError, too; a thread that died would be waited for for ever
                    reason = one_line(exc)
                finally:
                    lost.close()
                wait_s = _FIRST_WAIT_S if self.received > before else wait_s
                if self._closed.is_set():
                    return
                self._tell(f"{self.source}: lost ({reason}); trying again in {wait_s:g} s")
            if self._closed.wait(wait_s):
                return
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
            try:
                lost = _open(self.source)
            except MediaError as exc:
                lost = None
                self._tell(f"{exc}; trying again in {wait_s:g} s")
                continue
            connection += 1
            self.reconnects += 1
            self._tell(f"{self.source}: back")

    def _read(self, container: av.container.InputContainer, connection: int) -> None:
        bad = 0
        stream = container.streams.video[0]
        stream.thread_type = "SLICE"  # frame threads would hold frames back
        for packet in container.demux(stream):
            if self._closed.is_set():
                return
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                bad += 1
                if bad > _MAX_BAD_FRAMES:
                    raise
                continue
            for frame in frames:
                bad = 0
                self._keep(frame, stream, connection)

    def _keep(self, frame: av.VideoFrame, stream: av.VideoStream, connection: int) -> None:
        came = time.monotonic()
        if self._began is None:
            self._began = came
        time_s = came - self._began
        if self._sample_fps is not None:
            if time_s < self._next_tick_s - CLOCK_TOLERANCE_S:
                return
            step_s = 1.0 / self._sample_fps
            self._next_tick_s = max(self._next_tick_s + step_s, time_s + 0.5 * step_s)
        picture = picture_of(frame, stream, may_be_mirrored=stream.codec_context.name not in ("png", "apng"))
        upright = picture.orientation
        height, width = resized_size(*picture.upright_size, self._resize)
        pixels = upright.apply(self._resizer.to_rgb(frame, *upright.upright(height, width)))
        with self._lock:
            if len(self._waiting) == _MAX_WAITING:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append((came, LiveFrame(time_s, pixels.copy(), connection)))
            self.received += 1
        self._wake.set()


def _is_named_camera(source: str) -> bool:
    return sys.platform == "win32" and source.startswith("video=")


def _camera(source: str) -> tuple[str, str]:
    """Return how ffmpeg calls a camera, and with what it opens it.

    Raises:
        MediaError: If a camera has a number on Windows, whose DirectShow knows names.
    """
    if _is_named_camera(source):
        return source, "dshow"
    if sys.platform == "win32":
        raise MediaError(f"camera {source}: Windows has names for cameras; say video=NAME, as its device manager does")
    return (source, "avfoundation") if sys.platform == "darwin" else (f"/dev/video{source}", "v4l2")


def _open(source: str) -> av.container.InputContainer:
    path, input_format = source, None
    options = {"max_pixels": str(MAX_FRAME_PIXELS), "fflags": "nobuffer", "rtsp_transport": "tcp"}
    if source.isdecimal() or _is_named_camera(source):
        path, input_format = _camera(source)
    elif Path(source).is_char_device():
        input_format = "v4l2"
    name = f"camera {source}" if source.isdecimal() else source
    try:
        container = av.open(
            path, format=input_format, options=options, timeout=(_TIMEOUT_S, _TIMEOUT_S), metadata_errors="replace"
        )
    except (av.FFmpegError, ValueError, OSError) as exc:
        raise MediaError(f"{name}: cannot be opened ({one_line(exc)})") from exc
    if not container.streams.video:
        container.close()
        raise MediaError(f"{name}: sends no video")
    return container
