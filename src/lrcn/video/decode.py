"""The frames of one video file, in order, each with the time at which it is shown; pixels stay as decoded."""

from __future__ import annotations

import itertools
import re
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

import av
from av.codec.context import ThreadType
from av.stream import Disposition

from lrcn.errors import MediaError
from lrcn.video.footage import (
    LONGEST_STEP_S,
    Clock,
    Picture,
    Stamps,
    TimedFrame,
    name_of,
    names_profile,
    one_line,
    open_local,
    picture_of,
)
from lrcn.video.holes import MATROSKA, Holes
from lrcn.video.resize import MAX_FRAME_PIXELS

_NOT_VIDEO_FORMATS = {"tty", "bin", "xbin", "adf", "idf", "hls", "concat", "dash", "sdp", "rtsp", "lavfi", "svg_pipe"}
"""Demuxers that draw text as pictures or open what a file refers to: text and playlists are no videos here."""

_SEEKABLE_FORMATS = {"mov,mp4,m4a,3gp,3g2,mj2", MATROSKA}
"""Demuxers whose time stamps after a seek are those of a plain run; elsewhere everything before is decoded."""

_SEEK_FROM_S = 3.0
"""Start times below this are reached by decoding."""

_SEEK_MARGIN_S = 1.0
"""Seeks aim this much too early: mp4 looks keyframes up by decoding time, which runs ahead of the time shown."""

_FIRST_LOOK = 8
"""Frames decoded before the first is handed out, to see whether time stamps are in order: those of B-frames that are
not leave it within four."""

_LONGEST_VIDEO_S = 1e7
"""A video that claims to be longer (116 days) has a damaged header."""

_RESTARTING_FORMATS = {"mpegts", "mpeg", "mpegvideo", "h264", "hevc"}
"""Demuxers of streams that are cut from others: there a long step of the stamps is another beginning, not a pause."""

_GUESSING_FORMATS = {"asf", "mpeg", "mpegts"}
"""Demuxers that say of each stream how long the whole is, or what the last stamps nearby seem to say."""

_COUNTED_FORMATS = {"avi", "h264", "hevc", "m4v", "mpegvideo"}
"""Demuxers that guess when frames are shown. Elsewhere one that is out of order was damaged, the others are right."""

_LONGEST_SKIP = 3.0
"""Frames by which the next may be late before it is asked whether there were others."""

_A_FRAME_A_PACKET = {"h264", "hevc"}
"""Codecs of which each packet is a frame that is shown; MPEG-4 and VP9 have others."""

_MOST_SENT = 1000
"""Packets of which no frame comes before the next keyframe, and a few more."""

_KEEP_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Codec -> the decoder that keeps its transparency."""

_TAIL_S = 10.0
"""Of a file's stated end that is searched for the last packet of the picture."""

_MAX_READ_FAILURES = 32
"""Reads that may fail in a row before the rest of a damaged file is given up."""


class VideoFile:
    """An open video file. Only local files are opened, and nothing that they refer to."""

    def __init__(self, file: Path | BinaryIO, *, threads: bool = True) -> None:
        """Open the file, or read one that is open from its beginning on, and find its video stream.

        Args:
            file: A local file, or one that is open and can be rewound.
            threads: Whether the decoder may have threads of its own, which take longer to start than a short clip takes
                to decode: not for who decodes many files side by side.

        Raises:
            MediaError: If there is none, or its frames are larger than `MAX_FRAME_PIXELS`.
        """
        self.name = name_of(file)
        """What messages call it."""
        self._file = file
        self.damaged = 0
        """Packets and frames found corrupt so far."""
        self.decoded = 0
        """Frames decoded so far; those passed over by a seek are estimated."""
        self.end_s = 0.0
        """When the last frame decoded so far ends."""
        self.ended = False
        """Whether the last frame of the file was asked for."""
        self._gaps: list[tuple[float, float]] = []  # in seconds, in which there are frames that cannot be read
        self._sent: deque[int] = deque(maxlen=_MOST_SENT)  # the latest time stamps that went into the decoder
        self._damaged_s: float | None = None  # when the first damaged frame is shown
        self._trimmed = 0  # packets that an edit list leaves out
        self._may_be_mirrored = True
        self._thread_type = ThreadType.AUTO if threads else ThreadType.NONE
        self._open(self._thread_type)
        self.duration_s = self._duration_s()
        """Length of the picture in seconds, as the file tells; None where it does not."""

    def _open(self, thread_type: ThreadType) -> None:
        try:
            self._container = open_local(self._file)
        except (av.FFmpegError, ValueError) as exc:
            raise MediaError(f"{self.name}: not a video or image ({one_line(exc)})") from exc
        try:
            self._stream = self._video_stream()
        except BaseException:
            self._container.close()
            raise
        if self._stream.codec_context.name == "apng":  # what stands before the first picture is no packet
            self._may_be_mirrored = False
        self._holes = Holes(self._container, self._stream)
        self._decoder = _decoder_with_alpha(self._stream) or self._stream.codec_context
        self._decoder.options = {"max_pixels": str(MAX_FRAME_PIXELS)}
        self._decoder.thread_type = thread_type
        self._frame_threads = thread_type == ThreadType.AUTO

    def _video_stream(self) -> av.VideoStream:
        if self._container.format.name in _NOT_VIDEO_FORMATS:
            raise MediaError(f"{self.name}: not a video or image ({self._container.format.long_name})")
        streams = [s for s in self._container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            kind = "only sound" if self._container.streams.audio else "no video stream"
            raise MediaError(f"{self.name}: {kind}, nothing to look at")
        best = self._container.streams.best("video")
        stream = next((s for s in streams if s is best), streams[0])
        if stream.codec_context is None:
            raise MediaError(f"{self.name}: there is no decoder for its video stream; re-encode it as H.264")
        if stream.width * stream.height > MAX_FRAME_PIXELS:
            raise MediaError(
                f"{self.name}: frames of {stream.width}x{stream.height} px, at most {MAX_FRAME_PIXELS} px are read; "
                "scale the video down"
            )
        return stream

    def _duration_s(self) -> float | None:
        time_base = self._stream.time_base or Fraction(0)
        if self._stream.duration and time_base and self._container.format.name not in _GUESSING_FORMATS:
            duration_s = float(self._stream.duration * time_base)
        elif tag_s := _seconds(self._stream.metadata.get("DURATION", "")):  # Matroska: the end, counted from 0
            duration_s = tag_s - float((self._stream.start_time or 0) * time_base)
        elif (
            len(self._container.streams) > 1 or self._container.format.name in _GUESSING_FORMATS
        ):  # what is stated may be the length of the sound
            duration_s = self._last_packet_s()
        else:
            duration_s = self._stated_s()
        return duration_s if 0 < duration_s <= _LONGEST_VIDEO_S else None

    def _stated_s(self) -> float:
        """Return the length of the whole file, as it states it; 0 where it does not."""
        if not self._container.duration:
            return 0.0
        stated_s = self._container.duration / av.time_base
        if self._container.format.name == MATROSKA:  # states the end, counted from 0
            stated_s -= float((self._stream.start_time or 0) * (self._stream.time_base or 0))
        return stated_s

    def _last_packet_s(self) -> float:
        """Return when the last packet of the picture ends; 0 where there is none. Nothing is decoded."""
        time_base = self._stream.time_base or Fraction(0)
        last = None
        for from_s in (self._stated_s() - _TAIL_S, 0.0):
            try:
                if from_s > 0:
                    self._container.seek(round(from_s * av.time_base) + (self._container.start_time or 0))
                elif last is None and self._stated_s() > _TAIL_S:
                    self._container.seek(self._container.start_time or 0)
                for packet in self._container.demux(self._stream):
                    if packet.pts is not None:
                        end = packet.pts + (packet.duration or round(1 / (self.fps * time_base)))
                        last = end if last is None else max(last, end)
            except (av.FFmpegError, IndexError):
                pass  # the end of what can be read
            if last is not None:
                break
        self._container.close()
        self._open(self._thread_type)
        return float((last - (self._stream.start_time or 0)) * time_base) if last is not None else 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    @property
    def fps(self) -> float:
        """Mean frame rate that the file states; 30 where it states none, or an impossible one."""
        for rate in (self._stream.average_rate, self._stream.guessed_rate, self._stream.base_rate):
            if rate is not None and 1 / self._longest_step_s <= rate <= 1000:
                return float(rate)
        return 30.0

    @property
    def _longest_step_s(self) -> float:
        if self._container.format.name in _RESTARTING_FORMATS:
            return LONGEST_STEP_S
        return max(LONGEST_STEP_S, min(self._stated_s(), _LONGEST_VIDEO_S))

    @property
    def has_audio(self) -> bool:
        """Whether there is sound."""
        return bool(self._container.streams.audio)

    @property
    def stated_frames(self) -> int | None:
        """Number of frames that the file states."""
        return self._stream.frames or None

    def shortfall(self) -> str | None:
        """Say what was wrong with the frames asked for; None if nothing was."""
        expected = self.stated_frames or round((self.duration_s or 0.0) * self.fps)
        slack = max(2.0, 0.02 * expected)  # in frames: durations and rates are often stated roughly
        found = self.decoded + self.damaged + self._trimmed
        reached = self.end_s * self.fps + self._trimmed  # more than were found where the rate varies
        damaged = f"{self.damaged} damaged ones passed over or patched up" if self.damaged else ""
        if self._gaps:
            more = f" ({len(self._gaps) - 1} more such gaps)" if len(self._gaps) > 1 else ""
            first_s, last_s = self._gaps[0]
            return (
                f"{self.name}: damaged, no frame can be read from {first_s:.1f} s to {last_s:.1f} s{more}; decoded "
                f"{self.decoded} frames{', ' if damaged else ''}{damaged}"
            )
        if self.ended and max(found, reached) + slack < expected:
            return f"{self.name}: decoded {self.decoded} of about {expected} frames (file cut short?)"
        if self.damaged:
            where = "" if self._damaged_s is None else f", the first around {self._damaged_s:.1f} s"
            return f"{self.name}: decoded {self.decoded} frames, {damaged}{where}"
        return None

    def frames(self, start_s: float = 0.0) -> Iterator[TimedFrame]:
        """Yield the frames from the one shown at `start_s`, or an earlier one, to the last; can be asked for once.

        Packets that cannot be decoded are counted in `damaged` and passed over.
        """
        decoded = self._decode()
        first = list(itertools.islice(decoded, _FIRST_LOOK))
        if not first:
            return
        stamps = Stamps(first, 1.0 / self.fps, counted=self._container.format.name in _COUNTED_FORMATS)
        frames = stamps.mend(itertools.chain(first, decoded))
        del first  # pictures that were shown need not be held
        frame = next(frames)
        clock = Clock(frame, 1.0 / self.fps, self._longest_step_s)
        frames = itertools.chain((frame,), frames)
        if start_s >= _SEEK_FROM_S and self._container.format.name in _SEEKABLE_FORMATS:
            frames = self._seek(start_s, clock, stamps)
        ended_s: float | None = None
        before: int | None = None
        for frame in frames:
            time_s = clock.read(frame)
            duration_s = clock.duration(frame)
            if frame.is_corrupt and self._damaged_s is None:
                self._damaged_s = time_s
            if ended_s is not None and self._is_gap(time_s - ended_s, before, frame.pts):
                self._gaps.append((ended_s, time_s))
            before = frame.pts
            self.decoded += 1
            ended_s = self.end_s = time_s + duration_s
            yield TimedFrame(time_s, duration_s, partial(self._picture, frame))
        self.ended = True

    def _is_gap(self, late_s: float, before: int | None, stamp: int | None) -> bool:
        """Whether frames are missing before one that is late, rather than a pause: where something else tells, too."""
        if late_s * self.fps < _LONGEST_SKIP:
            return False
        if self._container.format.name in _RESTARTING_FORMATS or self._holes.was_one:
            return True  # streams make no pauses
        if before is None or stamp is None or self._stream.codec_context.name not in _A_FRAME_A_PACKET:
            return False
        return any(before < sent < stamp for sent in self._sent)

    def _picture(self, frame: av.VideoFrame) -> Picture:
        return picture_of(frame, self._stream, may_be_mirrored=self._may_be_mirrored)

    def _seek(self, start_s: float, clock: Clock, stamps: Stamps) -> Iterator[av.VideoFrame]:
        """Return the frames from a keyframe before `start_s` on, or from the first on if the file cannot seek there."""
        try:
            self._container.seek(clock.stamp(start_s - _SEEK_MARGIN_S), stream=self._stream)
            self._decoder.flush_buffers()
            self._holes = Holes(self._container, self._stream)
            stamps.rewind()
            frames = stamps.mend(self._decode())
            landed = next(frames, None)
        except av.FFmpegError:
            landed = None
        if landed is not None and landed.pts is not None and clock.jump(landed) <= start_s:
            self.decoded = round(clock.jump(landed) * self.fps)
            return itertools.chain((landed,), frames)
        clock.rewind()
        stamps.rewind()
        self._container.close()
        self._open(self._thread_type)
        return stamps.mend(self._decode())

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Yield what the decoder makes of the packets from here on."""
        sent = shown = -(2**63)  # latest time stamps that went in and came out
        for packet in self._packets():
            if packet is not None and packet.is_discard:
                self._trimmed += 1
            elif packet is not None and packet.pts is not None:
                sent = max(sent, packet.pts)
                self._sent.append(packet.pts)
            for frame in self._decode_packet(packet):
                shown = shown if frame.pts is None else max(shown, frame.pts)
                yield frame
        if shown < sent and self._frame_threads:
            yield from self._last_frames(shown)

    def _last_frames(self, shown: int) -> Iterator[av.VideoFrame]:
        # A decoder with frame threads drops what it still holds when the last packets are damaged
        self._container.close()
        self._open(ThreadType.SLICE)
        if self._container.format.name in _SEEKABLE_FORMATS and shown > 0:
            self._container.seek(shown, stream=self._stream)
        for frame in self._decode():
            if frame.pts is not None and frame.pts > shown:
                yield frame

    def _decode_packet(self, packet: av.Packet[av.VideoStream] | None) -> list[av.VideoFrame]:
        if packet is not None and names_profile(self._stream, packet):
            self._may_be_mirrored = False
        try:
            frames = self._decoder.decode(packet)
        except av.EOFError:
            return []
        except av.FFmpegError:
            self._note_damage()
            return []
        self.damaged += sum(frame.is_corrupt for frame in frames)
        return frames

    def _packets(self) -> Iterator[av.Packet[av.VideoStream] | None]:
        failures = 0
        while failures < _MAX_READ_FAILURES:
            try:
                for packet in self._container.demux(self._holes.packets()):
                    failures = 0
                    self._holes.look(packet)
                    if packet.stream.index == self._stream.index:
                        yield cast("av.Packet[av.VideoStream]", packet)
                return
            except (av.FFmpegError, IndexError):  # IndexError: PyAV, of a stream that began after the file was opened
                failures += 1
                self._note_damage()
        yield None  # empties the decoder

    def _note_damage(self) -> None:
        self.damaged += 1
        if self._damaged_s is None:
            self._damaged_s = self.end_s


def _decoder_with_alpha(stream: av.VideoStream) -> av.VideoCodecContext | None:
    """Return a decoder for a stream of WebM with transparency, which ffmpeg's own leaves out; None for all others."""
    library = _KEEP_ALPHA.get(stream.codec_context.name)
    says_so = {key.lower(): value for key, value in stream.metadata.items()}.get("alpha_mode") == "1"
    if library is None or not says_so or library not in av.codecs_available:
        return None
    decoder = av.VideoCodecContext.create(library, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.extradata = stream.codec_context.extradata
    return decoder


def _seconds(clock: str) -> float | None:
    match = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", clock)
    return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3]) if match else None
