"""A frame before its pixels are converted: how to hold the picture, and when it is shown."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import av
import numpy as np
import numpy.typing as npt
from av.buffer import Buffer
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideDataType
from PIL import Image

from lrcn.video.resize import MAX_FRAME_PIXELS

Media = Path | BinaryIO | Image.Image
"""What can be read: a local file or folder, an open file that can be rewound, or an image that is open already."""

LONGEST_STEP_S = 600.0
"""A frame that claims to follow its predecessor by more than this, or to precede it, has a broken time stamp: unless
the file says as a whole that it lasts so long, as a time lapse with a picture an hour does."""

_MOST_REORDERED = 16
"""Frames by which stamps may be out of order: as many as H.264 and HEVC hold back at most."""


_FEW_STRAYS = 4
"""Frames of a damaged stretch that may come late, one after the other."""


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
    pixel_aspect: float = 1.0
    """Width of a stored pixel by its height."""

    @property
    def upright_size(self) -> tuple[int, int]:
        """Height and width in px as players show it: pixels that are not square change the stored width."""
        width = max(1, round(self.frame.width * self.pixel_aspect))
        return self.orientation.upright(self.frame.height, width)


class TimedFrame(NamedTuple):
    """A frame of a video, not yet converted."""

    time_s: float
    """When it appears, counted from the first frame of the video."""
    duration_s: float
    """How long it stays, as far as the file says; the next frame may come sooner or later."""
    load: Callable[[], Picture | None]
    """Fetches the picture, None if it is damaged; called only for frames that are wanted."""


_TURNS = (
    Orientation(),
    Orientation(transpose=True, flip_rows=True),
    Orientation(flip_rows=True, flip_columns=True),
    Orientation(transpose=True, flip_columns=True),
)
"""By quarter turns counterclockwise."""


_ODDEST_PIXEL = 8.0
"""Sides of a pixel that differ by more are a damaged header; broadcast and DVD stay below 2."""


def picture_of(frame: av.VideoFrame, stream: av.VideoStream, *, may_be_mirrored: bool) -> Picture:
    """Return a decoded frame of a stream with what shows it as players do; `may_be_mirrored` as in `orientation_of`."""
    stated = float(stream.sample_aspect_ratio or 1)
    aspect = stated if 1 / _ODDEST_PIXEL <= stated <= _ODDEST_PIXEL else 1.0
    return Picture(frame, orientation_of(frame, may_be_mirrored=may_be_mirrored), aspect)


def names_profile(stream: av.VideoStream, data: Buffer) -> bool:
    """Whether a packet of a stream may hold a colour profile with a name.

    PyAV frees that name twice, and the process ends, once somebody has looked at a frame's side data.
    """
    return stream.codec_context.name in ("png", "apng") and b"iCCP" in bytes(data)


def orientation_of(frame: av.VideoFrame, *, may_be_mirrored: bool) -> Orientation:
    """Return what the frame's display matrix asks for, to the nearest right angle.

    Args:
        frame: As decoded.
        may_be_mirrored: False leaves out whether the matrix mirrors, which only side data tell; see `names_profile`.
    """
    if not may_be_mirrored:
        return _TURNS[round(frame.rotation / 90) % 4]
    try:
        matrix = frame.side_data.get(SideDataType.DISPLAYMATRIX)  # type: ignore[call-overload]
    except ValueError:  # PyAV 18.1 trips over side data that came with ffmpeg 8, EXIF for one; the angle is left
        return _TURNS[round(frame.rotation / 90) % 4]
    if matrix is None:
        return Orientation()
    # x' = a x + c y, y' = b x + d y in 16.16 fixed point, y pointing down (libavutil/display.h)
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(matrix), np.int32)[:5])
    if abs(b) > abs(a):
        return Orientation(transpose=True, flip_rows=b < 0, flip_columns=c < 0)
    return Orientation(transpose=False, flip_rows=d < 0, flip_columns=a < 0)


def open_local(file: Path | BinaryIO) -> InputContainer:
    """Return the container in a local file, or in one that is open, from its beginning on; it must be closed.

    The one place where media are opened that may come from anybody: nothing that a name or the bytes refer to is
    fetched or opened.

    Raises:
        av.FFmpegError, ValueError: If it is no container.
    """
    target: str | BinaryIO
    if isinstance(file, Path):
        target, protocols = f"file:{os.path.abspath(file)}", "file"
    else:
        target, protocols = file, "pipe"  # none that opens what the bytes name
        file.seek(0)
    options = {"protocol_whitelist": protocols, "max_pixels": str(MAX_FRAME_PIXELS)}
    return av.open(target, mode="r", options=options, metadata_errors="replace")


def name_of(media: Media) -> str:
    """Return what messages call it: its path, where it has one."""
    if isinstance(media, Path):
        return str(media)
    name = getattr(media, "filename" if isinstance(media, Image.Image) else "name", None)
    if name and isinstance(name, str | Path):
        return str(name)
    return "image" if isinstance(media, Image.Image) else "bytes" if isinstance(media, BytesIO) else "open file"


def one_line(error: BaseException) -> str:
    """Return what an error of ffmpeg, Pillow or the system says, without codes and paths."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split()).rstrip(".")


class _Ahead:
    """Frames, the next of which can be looked at before they come."""

    def __init__(self, frames: Iterable[av.VideoFrame]) -> None:
        self._frames = iter(frames)
        self._seen: deque[av.VideoFrame] = deque()

    def __iter__(self) -> Iterator[av.VideoFrame]:
        while self.look(1):
            yield self._seen.popleft()

    def look(self, count: int) -> Sequence[av.VideoFrame]:
        """Return the next frames, or those that are left."""
        self._seen.extend(itertools.islice(self._frames, max(0, count - len(self._seen))))
        return list(itertools.islice(self._seen, count))


class Stamps:
    """Gives every frame a time stamp in the order of display, which is the order in which decoders hand frames out.

    AVI states no times of display: libavformat guesses them, wrongly where B-frames lie packed (XviD, DivX) or refer to
    one another (H.264). Where stamps step back by a few frames, that of the packet at which the frame came out counts:
    each packet brings one frame out. A larger step is a stream that starts anew, and is left to `Clock`.
    """

    def __init__(self, first: Sequence[av.VideoFrame], nominal_s: float, *, counted: bool = True) -> None:
        """Look at the first frames of the file, whose stamps are not changed.

        Args:
            first: Those frames.
            nominal_s: How long a frame stays.
            counted: Whether the container states no times of display. Where it does, and the first frames are in order,
                one that comes out of order later was damaged, and the stamps of the others are right.
        """
        time_base_s = float(first[0].time_base or 0) or 1.0
        self._furthest = _MOST_REORDERED * nominal_s / time_base_s
        self._by_packet = False
        self._shift = 0
        self.rewind()
        stamps = [frame.pts for frame in first if frame.pts is not None]
        self._by_packet = any(self._is_disorder(later, earlier) for earlier, later in itertools.pairwise(stamps))
        self._may_change = counted

    def rewind(self) -> None:
        """Expect the first frame next."""
        self._last: int | None = None
        self._last_packet = 0

    def mend(self, frames: Iterable[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        """Yield the frames, each with its stamp as `pts`; None where none can be believed."""
        ahead = _Ahead(frames)
        for frame in ahead:
            stamp = frame.pts
            if not self._may_change and not self._by_packet:
                stamp = None if self._is_stray(stamp, ahead) else stamp
            elif not self._by_packet and self._is_disorder(stamp, self._last):
                self._by_packet = True
                self._shift = (self._last or 0) - self._last_packet
            if self._by_packet:
                stamp = None if frame.dts is None else frame.dts + self._shift
                stamp = None if self._is_disorder(stamp, self._last) else stamp
            if stamp is not None:
                self._last = stamp
                self._last_packet = stamp if frame.dts is None else frame.dts
            frame.pts = stamp
            yield frame

    def _is_stray(self, stamp: int | None, ahead: _Ahead) -> bool:
        """Whether a stamp steps back, and those after it go on as if it were not there: no stream starts anew."""
        if stamp is None or self._last is None or stamp >= self._last:
            return False
        return any(frame.pts is not None and frame.pts > self._last for frame in ahead.look(_FEW_STRAYS))

    def _is_disorder(self, stamp: int | None, last: int | None) -> bool:
        return stamp is not None and last is not None and 0 < last - stamp <= self._furthest


class Clock:
    """Turns time stamps into seconds since the first frame, which never run backwards."""

    def __init__(self, first: av.VideoFrame, nominal_s: float, longest_step_s: float = LONGEST_STEP_S) -> None:
        self._time_base_s = float(first.time_base or 0)
        self._nominal_s = nominal_s
        self._longest_step_s = longest_step_s
        self._first = first.pts or 0
        self.rewind()

    def rewind(self) -> None:
        """Expect the first frame next."""
        self._origin_s = self._first * self._time_base_s
        self._expected_s = 0.0

    def stamp(self, time_s: float) -> int:
        """Return the time stamp of a time."""
        return self._first + round(time_s / self._time_base_s)

    def jump(self, frame: av.VideoFrame) -> float:
        """Return the time of a frame that was jumped to, and expect that frame next."""
        self._expected_s = (frame.pts or 0) * self._time_base_s - self._origin_s
        return self._expected_s

    def read(self, frame: av.VideoFrame) -> float:
        """Return the time of the next frame."""
        time_s = self._expected_s
        if frame.pts is not None and self._time_base_s:
            stamp_s = frame.pts * self._time_base_s
            earliest_s = self._expected_s - self._nominal_s
            if earliest_s - 1e-9 <= stamp_s - self._origin_s <= earliest_s + self._longest_step_s:
                time_s = stamp_s - self._origin_s
            else:
                self._origin_s = stamp_s - time_s  # count on from here
        self._expected_s = time_s + self._nominal_s
        return time_s

    def duration(self, frame: av.VideoFrame) -> float:
        """Return how long a frame stays."""
        stated_s = frame.duration * self._time_base_s
        return stated_s if 0 < stated_s <= self._longest_step_s else self._nominal_s
