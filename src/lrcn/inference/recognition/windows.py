"""Cut frames into windows while they arrive, and join what the windows say into a result.

A frame is a row of values here. Nothing knows how they or the probabilities are made, so that two streams can be fused
between the two steps. Shapes: T frames, L frames a window, N windows, A classes.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrcn.inference.recognition.runtime import Rows
from lrcn.results import UNKNOWN, LabelProb, RecognitionResult, Segment


@dataclass(frozen=True)
class Window:
    """The frames `start` up to but not including `end`."""

    start: int
    end: int
    frames: Rows
    """`(end - start, ...)`, as they were pushed."""


class WindowBuffer:
    """Gives the windows of a sequence of frames as they fill, holding no more than one window and one chunk.

    The windows are those of `video.sampling.clip_windows`: one every `clip_stride` frames, then the last `clip_length`
    frames if those before left some out; a sequence shorter than `clip_length` is one short window.
    """

    def __init__(
        self, clip_length: int, clip_stride: int, join: Callable[[Sequence[Rows]], Rows] = np.concatenate
    ) -> None:
        """Take the lengths in frames, and `Runtime.join` of what made the frames."""
        self.clip_length = clip_length
        self.clip_stride = clip_stride
        self.num_frames = 0
        self._join = join
        self._kept: Rows = None
        self._next_start = 0
        self._covered = 0

    def push(self, frames: Rows) -> list[Window]:
        """Add the next frames, `(n, ...)`, and return the windows that they complete."""
        kept = frames if self._kept is None else self._join([self._kept, frames])
        self.num_frames += len(frames)
        first = self.num_frames - len(kept)
        ready = []
        while self._next_start + self.clip_length <= self.num_frames:
            start, self._covered = self._next_start, self._next_start + self.clip_length
            ready.append(Window(start, self._covered, kept[start - first : self._covered - first]))
            self._next_start += self.clip_stride
        # The next window and the tail both lie within the last clip_length frames. The copy lets the chunk go.
        self._kept = self._join([kept[-self.clip_length :]])
        return ready

    def finish(self) -> list[Window]:
        """Return the tail window if frames are left that no window covers, else nothing."""
        if self._kept is None or self._covered == self.num_frames:
            return []
        return [Window(self.num_frames - len(self._kept), self.num_frames, self._kept)]

    def memory(self) -> tuple[Rows, int, int, int]:
        """Return all that it remembers, for `remember`."""
        return self._kept, self.num_frames, self._next_start, self._covered

    def remember(self, memory: tuple[Rows, int, int, int]) -> None:
        """Go on where another buffer of the same lengths was."""
        self._kept, self.num_frames, self._next_start, self._covered = memory


@dataclass(frozen=True)
class WindowProbs:
    """What one stream says about one video, or of one track through it, window by window."""

    windows: tuple[tuple[int, int], ...]
    """Half-open ranges of frame indices, N of them."""
    probs: NDArray[np.float64]
    """`(N, A)`: the model's class probabilities; each row adds up to 1, unless the model is `multi_label`."""
    times_s: NDArray[np.float64]
    """When each sampled frame is shown, `(T,)`, from the start of the video."""
    duration_s: float
    """When the last frame ends, from the start of the video."""
    warnings: tuple[str, ...] = ()
    subject: str = ""
    """Whose track it is; empty for the whole picture."""


def rank_labels(
    probs: Sequence[float] | NDArray[np.float64], labels: Sequence[str], top_k: int
) -> tuple[LabelProb, ...]:
    """Return the `top_k` most probable classes; between equal ones the lower label id stands first."""
    order = np.argsort(-np.asarray(probs), kind="stable")[:top_k]
    return tuple(LabelProb(labels[i], int(i), float(probs[i])) for i in order)


def is_known(probs: NDArray[np.float64], labels: Sequence[str], unknown_below: float) -> bool:
    """Whether probabilities `(A,)` name a class: one of at least that probability, and none for what has no class."""
    best = int(np.argmax(probs))
    return bool(probs[best] >= unknown_below) and labels[best] != UNKNOWN


def as_array(probs: NDArray[np.float64]) -> array[float]:
    """Return the probabilities `(A,)` as segments keep them: a value of Python that is as small as NumPy's."""
    return array("d", np.ascontiguousarray(probs, np.float64).tobytes())


def to_result(
    windows: WindowProbs,
    *,
    source: str,
    labels: Sequence[str],
    top_k: int,
    model: dict[str, str],
    timing_s: dict[str, float],
    unknown_below: float = 0.0,
) -> RecognitionResult:
    """Return the mean over the windows for the video, and one segment a window.

    A segment ends when the first frame after its window is shown, or with the video.
    """
    num_frames = len(windows.times_s)
    video_probs = windows.probs.mean(axis=0)
    segments = tuple(
        Segment(
            start_s=float(windows.times_s[start]),
            end_s=float(windows.times_s[end]) if end < num_frames else windows.duration_s,
            top=rank_labels(probs, labels, top_k),
            probs=as_array(probs),
            known=is_known(probs, labels, unknown_below),
        )
        for (start, end), probs in zip(windows.windows, windows.probs, strict=True)
    )
    return RecognitionResult(
        source=source,
        duration_s=windows.duration_s,
        top=rank_labels(video_probs, labels, top_k),
        segments=segments,
        probs=tuple(video_probs.tolist()),
        warnings=windows.warnings,
        model=model,
        timing_s=timing_s,
        labels=tuple(labels),
        known=is_known(video_probs, labels, unknown_below),
    )
