"""The frames of one video file, in order, each with the time at which it is shown; pixels stay as decoded."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import av
import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition

from lrcn.errors import MediaError
from lrcn.video.resize import MAX_FRAME_PIXELS

_NOT_VIDEO_FORMATS = {"tty", "bin", "xbin", "adf", "idf", "hls", "concat", "dash", "sdp", "rtsp", "lavfi", "svg_pipe"}
"""Demuxers that draw text as pictures or open further addresses: text and playlists are no videos here."""

_LONGEST_STEP_S = 3600.0
"""A frame that claims to follow its predecessor by more than this, or to precede it, has a broken time stamp."""

_MAX_READ_FAILURES = 32
"""Reads that may fail in a row before the rest of a damaged file is given up."""


class Orientation(NamedTuple):
    """How stored rows and columns become upright ones: a transposition, then flips."""

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def apply(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a view of `(H, W, C)` pixels, upright."""
        if self.transpose:
            pixels = pixels.swapaxes(0, 1)
        return pixels[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]

    def upright(self, height: int, width: int) -> tuple[int, int]:
        """Return the upright size of a stored one; applied again, the stored size of an upright one."""
        return (width, height) if self.transpose else (height, width)


class Picture(NamedTuple):
    """A decoded picture in the file's own pixel format, and how to hold it."""

    frame: av.VideoFrame
    orientation: Orientation = Orientation()

    @property
    def upright_size(self) -> tuple[int, int]:
        """Height and width in px."""
        return self.orientation.upright(self.frame.height, self.frame.width)


class TimedFrame(NamedTuple):
    """A frame of a video, not yet converted."""

    time_s: float
    """When it appears, counted from the first frame of the video."""
    duration_s: float
    """How long it stays, as far as the file says; the next frame may come sooner or later."""
    load: Callable[[], Picture]
    """Fetches the picture; called only for frames that are wanted."""


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """Return what the frame's display matrix asks for, to the nearest right angle."""
    matrix = frame.side_data.get(SideDataType.DISPLAYMATRIX)  # type: ignore[call-overload]
    if matrix is None:
        return Orientation()
    # x' = a x + c y, y' = b x + d y in 16.16 fixed point, y pointing down (libavutil/display.h)
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(matrix), np.int32)[:5])
    if abs(b) > abs(a):
        return Orientation(transpose=True, flip_rows=b < 0, flip_columns=c < 0)
    return Orientation(transpose=False, flip_rows=d < 0, flip_columns=a < 0)


def one_line(error: BaseException) -> str:
    """Return what an error of ffmpeg, Pillow or the system says, without codes and paths."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split()).rstrip(".")


class VideoFile:
    """An open video file. Only local files are opened, and nothing that they refer to."""

    def __init__(self, path: Path) -> None:
        """Open the file and find its video stream.

        Raises:
            MediaError: If there is none, or its frames are larger than `MAX_FRAME_PIXELS`.
        """
        self.path = path
        self.damaged = 0
        """Packets and frames found corrupt so far."""
        self.decoded = 0
        """Frames decoded so far."""
        self.end_s = 0.0
        """When the last frame decoded so far ends."""
        self.complete = False
        """Whether the end of the file was reached, from its start."""
        self._open()

    def _open(self) -> None:
        options = {"protocol_whitelist": "file", "max_pixels": str(MAX_FRAME_PIXELS)}
        try:
            self._container = av.open(
                f"file:{os.path.abspath(self.path)}", mode="r", options=options, metadata_errors="replace"
            )
        except (av.FFmpegError, ValueError) as exc:
            raise MediaError(f"{self.path}: not a video or image ({one_line(exc)})") from exc
        try:
            self._stream = self._video_stream()
            self._stream.thread_type = "AUTO"
        except BaseException:
            self._container.close()
            raise

    def _video_stream(self) -> av.VideoStream:
        if self._container.format.name in _NOT_VIDEO_FORMATS:
            raise MediaError(f"{self.path}: not a video or image ({self._container.format.long_name})")
        streams = [s for s in self._container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            kind = "only sound" if self._container.streams.audio else "no video stream"
            raise MediaError(f"{self.path}: {kind}, nothing to look at")
        best = self._container.streams.best("video")
        stream = best if best in streams else streams[0]
        assert isinstance(stream, av.VideoStream)
        if stream.codec_context is None:
            raise MediaError(f"{self.path}: there is no decoder for its video stream; re-encode it as H.264")
        if stream.width * stream.height > MAX_FRAME_PIXELS:
            raise MediaError(
                f"{self.path}: frames of {stream.width}x{stream.height} px, at most {MAX_FRAME_PIXELS} px are read; "
                "scale the video down"
            )
        return stream

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    @property
    def fps(self) -> float:
        """Mean frame rate the file states, 30 where it states none that is possible."""
        for rate in (self._stream.average_rate, self._stream.guessed_rate, self._stream.base_rate):
            if rate is not None and 0 < rate <= 1000:
                return float(rate)
        return 30.0

    @property
    def has_audio(self) -> bool:
        """Whether there is sound."""
        return bool(self._container.streams.audio)

    @property
    def stated_duration_s(self) -> float | None:
        """Length of the video stream that the file states, of the whole file where only that is stated."""
        if self._stream.duration and self._stream.time_base:
            return float(self._stream.duration * self._stream.time_base)
        clock = self._stream.metadata.get("DURATION", "").split(":")
        if len(clock) == 3:
            try:
                return sum(float(part) * unit for part, unit in zip(clock, (3600, 60, 1), strict=True))
            except ValueError:
                pass
        return self._container.duration / av.time_base if self._container.duration else None

    @property
    def stated_frames(self) -> int | None:
        """Number of frames that the file states."""
        return self._stream.frames or None

    def frames(self, start_s: float = 0.0) -> Iterator[TimedFrame]:
        """Yield the frames, from the one shown at `start_s` or an earlier one on; can be asked for once.

        Packets that cannot be decoded are counted in `damaged` and passed over.
        """
        nominal_s = 1.0 / self.fps
        clock: _Clock | None = None
        frames = self._decode()
        for frame in frames:
            if clock is None:
                clock = _Clock(float(frame.time_base or 0), nominal_s)
            time_s = clock.read(frame.pts)
            stays_s = frame.duration * float(frame.time_base) if frame.duration and frame.time_base else nominal_s
            self.decoded += 1
            self.end_s = time_s + stays_s
            yield TimedFrame(time_s, stays_s, lambda frame=frame: Picture(frame, orientation_of(frame)))  # type: ignore[misc]
        self.complete = True

    def _decode(self) -> Iterator[av.VideoFrame]:
        for packet in self._packets():
            try:
                frames = self._stream.decode(packet)
            except av.EOFError:
                return
            except av.FFmpegError:
                self.damaged += 1
                continue
            for frame in frames:
                self.damaged += frame.is_corrupt
                yield frame

    def _packets(self) -> Iterator[av.Packet[av.VideoStream] | None]:
        failures = 0
        while failures < _MAX_READ_FAILURES:
            try:
                for packet in self._container.demux(self._stream):
                    failures = 0
                    yield packet
                return
            except av.FFmpegError:
                failures += 1
                self.damaged += 1
        yield None  # empties the decoder


class _Clock:
    """Turns time stamps into seconds since the first frame, which never run backwards."""

    def __init__(self, time_base_s: float, nominal_s: float) -> None:
        self._time_base_s = time_base_s
        self._nominal_s = nominal_s
        self._origin_s: float | None = None
        self._now_s = -nominal_s

    def read(self, pts: int | None) -> float:
        expected_s = self._now_s + self._nominal_s
        if pts is None or not self._time_base_s:
            self._now_s = expected_s
            return expected_s
        stamp_s = pts * self._time_base_s
        if self._origin_s is None or not 0 <= stamp_s - self._origin_s - self._now_s <= _LONGEST_STEP_S:
            self._origin_s = stamp_s - expected_s  # the first frame, or a broken stamp: count on from here
        self._now_s = stamp_s - self._origin_s
        return self._now_s
