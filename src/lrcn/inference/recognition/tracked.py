"""One look for each animal or person: squares around their tracks in place of the whole picture.

Each frame is decoded once, whoever is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrcn.encoding import EncodedChunk
from lrcn.errors import ConfigError, MediaError
from lrcn.inference.recognition.predictor import Recognizer, WindowReading
from lrcn.inference.recognition.runtime import Rows
from lrcn.inference.recognition.windows import WindowProbs
from lrcn.video.ahead import read_ahead
from lrcn.video.read import FrameChunk, probe, read_frames
from lrcn.video.resize import FrameResizer
from lrcn.video.tracks import Track, cut_squares

_CHUNK_SIZE = 16
"""Frames of full size that are decoded at once."""


def track_probs(
    recognizer: Recognizer,
    path: str | Path,
    tracks: Sequence[Track],
    *,
    side: int | None = None,
    clip_stride: int | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> list[WindowProbs]:
    """Return the class probabilities of the windows of each track, as if squares around it were videos of their own.

    No window reaches over a gap of more than `LONGEST_GAP_S`: such a track gives several parts, each with the times of
    the video.

    Args:
        recognizer: Looks at frames.
        path: A video.
        tracks: Where everybody is, by the numbers of the video's frames.
        side: Of the squares, in px; None takes that of each track.
        clip_stride: As for a call of the recognizer.
        on_progress: As for a call of the recognizer.

    Returns:
        The parts of all tracks, track by track, in the order of time; each names its subject.

    Raises:
        ConfigError: If the model looks at flow, or a track has no side of its own and none is given.
        MediaError: If nothing of the video can be decoded, or nobody is seen in it.
    """
    path = Path(path)
    preprocess = recognizer.header.preprocess
    if preprocess.stream != "rgb":
        raise ConfigError("squares that follow a track move over what stands still: tracks need a model of RGB frames")
    if side is None and any(track.side is None for track in tracks):
        raise ConfigError(
            "the tracks are points without a size; say with --track-size how many px to look at around them"
        )
    readings = [_TrackReading(recognizer, track, side or round(track.side or 0), clip_stride) for track in tracks]
    fps = probe(path).fps
    warnings: list[str] = []
    whole = read_frames(path, sample_fps=preprocess.sample_fps, chunk_size=_CHUNK_SIZE, on_warning=warnings.append)
    for chunk in read_ahead(whole):
        for reading in readings:
            reading.push(chunk, fps)
        if on_progress is not None:
            on_progress(float(chunk.times_s[-1]))
    parts = [part for reading in readings for part in reading.finish()]
    if not parts:
        first = min(int(track.frames[0]) for track in tracks)
        raise MediaError(f"{path}: nobody is seen in it, the first in frame {first}; are the tracks of this video?")
    return [replace(parts[0], warnings=tuple(warnings)), *parts[1:]]


class _TrackReading:
    """Looks at one track."""

    def __init__(self, recognizer: Recognizer, track: Track, side: int, clip_stride: int | None) -> None:
        self._recognizer = recognizer
        self._track = track
        self._side = max(1, side)
        self._stride = recognizer.stride(clip_stride)
        self._resizer = FrameResizer(recognizer.header.preprocess.resize)
        self._reading: WindowReading | None = None
        self._stretch = -1
        self._done: list[WindowProbs] = []

    def push(self, chunk: FrameChunk, fps: float) -> None:
        """Look at the next frames of the video, those in which the track is seen."""
        assert chunk.numbers is not None  # it is of a video
        places, stretches = self._track.seen_in(chunk.numbers, fps)
        ends_s = np.append(chunk.times_s[1:], chunk.end_s)
        for own in _runs(places, stretches):
            if self._reading is None or stretches[own[0]] != self._stretch:
                self._close()
                self._reading, self._stretch = WindowReading(self._recognizer, self._stride), int(stretches[own[0]])
            squares = cut_squares(chunk.frames[own], self._track.centres[places[own]], self._side)
            images = self._resizer(squares)
            runtime = self._recognizer.runtime
            features: tuple[Rows, ...] = tuple(runtime.embed_images(images, view) for view in self._recognizer.views)
            self._reading.push(EncodedChunk(features, chunk.times_s[own], float(ends_s[own[-1]])))

    def finish(self) -> list[WindowProbs]:
        """Return the parts of the track."""
        self._close()
        return self._done

    def _close(self) -> None:
        if self._reading is not None:
            self._done.append(self._reading.finish(subject=self._track.id))
            self._reading = None


def _runs(places: NDArray[np.int64], stretches: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield which frames of a chunk are seen, those of each stretch of the track together."""
    seen = np.flatnonzero(places >= 0)
    if len(seen):
        yield from np.split(seen, np.flatnonzero(np.diff(stretches[seen])) + 1)
