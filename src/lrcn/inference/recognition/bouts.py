"""From the probabilities of overlapping windows to bouts.

Each sampled frame gets the mean of the windows that cover it, those whose middle is near counting most. Its
probabilities are smoothed in time and compared with thresholds: one to become a bout at all, a lower one for where it
begins and ends. Then gaps are closed and what is too short is dropped.

Shapes: T sampled frames, N windows, A classes. The borders of frames `(T + 1,)` are the times at which they are shown,
and the end of the last one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lrcn.bouts import BACKGROUND, Bout
from lrcn.config import BoutSettings, PreprocessConfig, RecognitionHeader
from lrcn.inference.recognition.windows import WindowProbs
from lrcn.results import UNKNOWN
from lrcn.video.sampling import clip_windows

WINDOWS_A_FRAME = 8
"""Of how many windows a frame's probabilities are the mean, at least, but for the first and last ones."""

_NEARNESS = 2.0
"""Exponent of a window's weight, which falls from 1 at its middle to 0 beyond its ends. Of 0.5 to 8 the best F1@50 of
bouts joined from validation clips; 1 to 8 differ by less than half a point."""

_ROUNDING_S = 1e-6
"""Times that were added up are not off by one frame."""


@dataclass(frozen=True)
class FoundBouts:
    """The bouts of a recording, and what they were found in."""

    windows: WindowProbs
    settings: BoutSettings
    labels: tuple[str, ...]
    exclusive: bool
    """Whether one class at a time is shown."""

    @cached_property
    def probs(self) -> NDArray[np.float32]:
        """Class probabilities of every sampled frame, `(T, A)`, not smoothed, without the model's lag."""
        return without_lag(frame_probs(self.windows), self.borders_s, self.settings.lag_s)

    @cached_property
    def borders_s(self) -> NDArray[np.float64]:
        """When each sampled frame is shown, and when the last one ends, `(T + 1,)`."""
        return np.append(self.windows.times_s, max(self.windows.duration_s, self.windows.times_s[-1]))

    @cached_property
    def bouts(self) -> tuple[Bout, ...]:
        """In the order of their starts, each with its probability."""
        bouts = bouts_of(self.probs, self.borders_s, self.labels, self.settings, exclusive=self.exclusive)
        return tuple(replace(bout, subject=self.windows.subject) for bout in bouts)


def bout_stride(preprocess: PreprocessConfig) -> int:
    """Return the frames between the starts of windows from which bouts are found.

    The windows of the model's own stride are among them.
    """
    own = preprocess.clip_stride
    wanted = max(1, preprocess.clip_length // WINDOWS_A_FRAME)
    return max(stride for stride in range(1, min(own, wanted) + 1) if own % stride == 0)


def own_windows(windows: WindowProbs, preprocess: PreprocessConfig) -> WindowProbs:
    """Return those windows that the model's own stride gives: all that a call of the recognizer sees."""
    own = set(clip_windows(len(windows.times_s), preprocess.clip_length, preprocess.clip_stride))
    kept = [place for place, window in enumerate(windows.windows) if window in own]
    return replace(windows, windows=tuple(windows.windows[place] for place in kept), probs=windows.probs[kept])


def default_settings(header: RecognitionHeader, unknown_below: float = 0.0) -> BoutSettings:
    """Return how bouts are found with a model: as was fitted for it, or else what follows from the length of its clips.

    The shares of a clip were chosen on bouts joined from validation clips, and are on the careful side.

    Args:
        header: What the model file says.
        unknown_below: Least probability of what counts as known, a threshold where none was fitted.
    """
    if header.bouts is not None:
        return header.bouts
    clip_s = header.preprocess.clip_length / (header.preprocess.sample_fps or 30.0)
    num_classes = len(header.labels)
    return BoutSettings(
        smooth_s=round(clip_s / 5, 2),
        thresholds=(max(0.4, unknown_below),) * num_classes,
        low_thresholds=(0.2,) * num_classes,
        shortest_s=(round(clip_s / 3, 2),) * num_classes,
        longest_gap_s=(round(clip_s / 8, 2),) * num_classes,
        lag_s=round(clip_s / 6, 2) if header.model.head == "lstm" and header.model.readout == "mean" else 0.0,
    )


def with_overrides(
    settings: BoutSettings,
    *,
    threshold: float | None = None,
    smooth_s: float | None = None,
    shortest_s: float | None = None,
    longest_gap_s: float | None = None,
) -> BoutSettings:
    """Return the settings with what is given, for all classes, in place of their own.

    A lower threshold keeps its share of the threshold.
    """
    num_classes = len(settings.thresholds)
    if threshold is not None:
        pairs = zip(settings.thresholds, settings.low_thresholds, strict=True)
        low = tuple(threshold * (low / high if high else 1.0) for high, low in pairs)
        settings = replace(settings, thresholds=(threshold,) * num_classes, low_thresholds=low)
    if smooth_s is not None:
        settings = replace(settings, smooth_s=smooth_s)
    if shortest_s is not None:
        settings = replace(settings, shortest_s=(shortest_s,) * num_classes)
    if longest_gap_s is not None:
        settings = replace(settings, longest_gap_s=(longest_gap_s,) * num_classes)
    return settings


def frame_probs(windows: WindowProbs) -> NDArray[np.float32]:
    """Return the class probabilities of every sampled frame, `(T, A)`: a weighted mean of the windows that cover it."""
    starts = np.array([start for start, _ in windows.windows])
    length = windows.windows[0][1] - windows.windows[0][0]  # all of one length, as `WindowBuffer` gives them
    num_frames = len(windows.times_s)
    middle = (length - 1) / 2
    weights = (1 - np.abs(np.arange(length) - middle) / (length / 2)) ** _NEARNESS
    total = np.zeros((num_frames, windows.probs.shape[1]), dtype=np.float32)
    weight = np.zeros(num_frames, dtype=np.float32)
    for place, share in enumerate(weights):  # the windows start at different frames, so that none is added to twice
        total[starts + place] += share * windows.probs
        weight[starts + place] += share
    total /= weight[:, None]
    return total


def without_lag(probs: NDArray[np.float32], borders_s: NDArray[np.float64], lag_s: float) -> NDArray[np.float32]:
    """Return, for each frame, what is said of the one that is shown `lag_s` later, or of the last one: `(T, A)`."""
    if lag_s == 0:
        return probs
    times_s = borders_s[:-1]
    later = np.searchsorted(times_s, times_s + lag_s + _ROUNDING_S, side="right") - 1
    return probs[later]


def smoothed(probs: NDArray[np.float32], borders_s: NDArray[np.float64], smooth_s: float) -> NDArray[np.float32]:
    """Return the mean of each value over the frames that are shown up to half of `smooth_s` before or after it."""
    half_s = smooth_s / 2 + _ROUNDING_S
    first = np.searchsorted(borders_s[:-1], borders_s[:-1] - half_s)
    last = np.searchsorted(borders_s[:-1], borders_s[:-1] + half_s, side="right")
    mean = np.empty_like(probs)
    for column in range(probs.shape[1]):  # one class at a time, or sums in double precision would be the largest of all
        sums = np.concatenate([[0.0], np.cumsum(probs[:, column], dtype=np.float64)])
        mean[:, column] = (sums[last] - sums[first]) / (last - first)
    return mean


def bouts_of(
    probs: NDArray[np.float32],
    borders_s: NDArray[np.float64],
    labels: tuple[str, ...],
    settings: BoutSettings,
    *,
    exclusive: bool,
) -> tuple[Bout, ...]:
    """Return the bouts that the probabilities of frames show, in the order of their starts.

    Args:
        probs: `(T, A)`.
        borders_s: `(T + 1,)`.
        labels: A class names; of classes called `background` and `unknown` there are no bouts.
        settings: Thresholds and times.
        exclusive: Whether one class at a time is shown: the most probable one, or none where it is below its threshold.
    """
    smooth = smoothed(probs, borders_s, settings.smooth_s)
    best = smooth.argmax(axis=1) if exclusive else None
    found = []
    for label_id, label in enumerate(labels):
        if label in (BACKGROUND, UNKNOWN):
            continue
        own = smooth[:, label_id]
        shown = own >= np.float32(settings.low_thresholds[label_id])
        if best is not None:
            shown &= best == label_id
        found.append(_runs(shown, own >= np.float32(settings.thresholds[label_id]), label_id))
    runs = np.concatenate(found) if found else np.empty((0, 3), dtype=np.int64)
    # a bout is closed with the next one in order: of its class, or, where only one can be shown, of any
    runs = runs[np.lexsort((runs[:, 1],) if exclusive else (runs[:, 1], runs[:, 0]))]
    longest_gap_s, shortest_s = np.array(settings.longest_gap_s), np.array(settings.shortest_s)
    runs = _closed(runs, borders_s, longest_gap_s)
    lengths_s = borders_s[runs[:, 2]] - borders_s[runs[:, 1]]
    runs = runs[lengths_s >= shortest_s[runs[:, 0]] - _ROUNDING_S]
    runs = _closed(runs, borders_s, longest_gap_s)  # what was too short may have stood between two others
    bouts = [
        Bout(labels[label_id], float(borders_s[start]), float(borders_s[end]), prob=prob)
        for (label_id, start, end), prob in zip(runs.tolist(), _mean_over(probs, runs), strict=True)
    ]
    return tuple(sorted(bouts, key=lambda bout: (bout.start_s, bout.end_s)))


def doubt(found: FoundBouts) -> NDArray[np.float64]:
    """Return how doubtful each bout is, in 0-1: the mean over its frames and as long as a quarter clip on either side.

    A frame is doubtful as its two most probable classes are equally so; or, where several classes may be shown
    at once, as the nearest to one half of their probabilities is.
    """
    frames = frame_doubt(found.probs, exclusive=found.exclusive)
    sums = np.concatenate([[0.0], np.cumsum(frames, dtype=np.float64)])
    times_s, windows = found.borders_s[:-1], found.windows.windows
    margin_s = (found.borders_s[windows[0][1]] - found.borders_s[windows[0][0]]) / 4
    starts_s = np.array([bout.start_s for bout in found.bouts])
    ends_s = np.array([bout.end_s for bout in found.bouts])
    first = np.searchsorted(times_s, starts_s - margin_s - _ROUNDING_S)
    last = np.searchsorted(times_s, ends_s + margin_s - _ROUNDING_S)
    mean: NDArray[np.float64] = (sums[last] - sums[first]) / np.maximum(1, last - first)
    return mean


def frame_doubt(probs: NDArray[np.floating], *, exclusive: bool) -> NDArray[np.float64]:
    """Return how doubtful each row of probabilities `(T, A)` is, in 0-1; see `doubt`."""
    if not exclusive:
        least: NDArray[np.float64] = np.abs(2 * np.asarray(probs, np.float64) - 1).min(axis=1)
        return 1 - least
    if probs.shape[1] == 1:
        return np.zeros(len(probs))
    two = np.partition(np.asarray(probs, np.float64), -2, axis=1)[:, -2:]
    margin: NDArray[np.float64] = two[:, 1] - two[:, 0]
    return 1 - margin


def _runs(shown: NDArray[np.bool_], reached: NDArray[np.bool_], label_id: int) -> NDArray[np.int64]:
    """Return class, start and end of every run of shown frames, `(n, 3)`, in which some frame has reached."""
    steps = np.diff(np.concatenate([[False], shown, [False]]).astype(np.int8))
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    counts = np.concatenate([[0], np.cumsum(shown & reached)])
    kept = counts[ends] > counts[starts]
    return np.stack([np.full(int(kept.sum()), label_id), starts[kept], ends[kept]], axis=1)


def _closed(
    runs: NDArray[np.int64], borders_s: NDArray[np.float64], longest_gap_s: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return the runs with neighbours of one class joined that are near enough."""
    if not len(runs):
        return runs
    gaps_s = borders_s[runs[1:, 1]] - borders_s[runs[:-1, 2]]
    joins = (runs[1:, 0] == runs[:-1, 0]) & (gaps_s <= longest_gap_s[runs[1:, 0]] + _ROUNDING_S)
    begins = np.concatenate([[True], ~joins])
    ends = np.concatenate([~joins, [True]])
    return np.stack([runs[begins, 0], runs[begins, 1], runs[ends, 2]], axis=1)


def _mean_over(probs: NDArray[np.float32], runs: NDArray[np.int64]) -> list[float]:
    """Return the mean of each run's class over its frames."""
    means = np.zeros(len(runs))
    for label_id in np.unique(runs[:, 0]):
        sums = np.concatenate([[0.0], np.cumsum(probs[:, label_id], dtype=np.float64)])
        own = runs[:, 0] == label_id
        starts, ends = runs[own, 1], runs[own, 2]
        means[own] = (sums[ends] - sums[starts]) / (ends - starts)
    return [float(mean) for mean in np.clip(means, 0.0, 1.0)]
