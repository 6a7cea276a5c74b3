"""Formats that count frames: from frame numbers to seconds, by the rate that the file, the user or the video tells."""

from __future__ import annotations

from pathlib import Path

from lrcn.annotations.media import MediaFinder
from lrcn.annotations.reading import ReadOptions, rounded
from lrcn.bouts import Recording
from lrcn.errors import DataError

NO_RATE = "counts frames, and their rate is not known; put the video where it is found (--videos), or say it: --fps"


def rate_of(path: Path | None, stated: float | None, options: ReadOptions) -> float | None:
    """Return frames a second: as the user says, else as the file states, else of the video; None if nobody knows."""
    if options.fps or stated:
        return options.fps or stated
    info = options.media.info(path)
    return info.fps if info else None


def frame_span(first: int, last: int, fps: float) -> tuple[float, float]:
    """Return start and end in seconds of frames that are counted from 0, the last one included."""
    return rounded(first / fps), rounded((last + 1) / fps)


def frames_of(start_s: float, end_s: float, fps: float) -> tuple[int, int]:
    """Return the first and the last frame, counted from 0, of a stretch; at least one."""
    first = round(start_s * fps)
    return first, max(first, round(end_s * fps) - 1)


def known_rate(recording: Recording, file: Path) -> float:
    """Return a recording's frame rate, for a file that is written.

    Raises:
        DataError: If neither it nor its video tells.
    """
    info = None if recording.fps else MediaFinder(file).info(recording.path)
    fps = recording.fps or (info.fps if info else None)
    if fps is None:
        raise DataError(f"{file}: {recording.name} {NO_RATE}")
    return fps


def whole_number(value: object) -> int:
    """Return a frame number.

    Raises:
        DataError: If it is none from 0 up.
    """
    text = str(value).strip().removesuffix(".0")
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        raise DataError(f"{value!r} is no frame number; correct it")
    return int(text)
