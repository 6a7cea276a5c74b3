"""Which frames make up which clip. Pure arithmetic over frame indices: no pixels, no time."""

from __future__ import annotations

import numpy as np

from lrcn.errors import ConfigError


def _check(num_frames: int, clip_length: int) -> None:
    if num_frames < 1 or clip_length < 1:
        raise ConfigError(f"a clip needs at least one frame, got {num_frames} frames and clip_length {clip_length}")


def clip_windows(num_frames: int, clip_length: int, clip_stride: int) -> list[tuple[int, int]]:
    """Return half-open windows `[start, end)` over the frames, every frame in at least one.

    Windows start at multiples of `clip_stride`. Where the last of them would stop short of the end, one more is the
    last `clip_length` frames. A video shorter than `clip_length` gives one short window.

    Raises:
        ConfigError: If there is no frame, or `clip_stride` is not between 1 and `clip_length`.
    """
    _check(num_frames, clip_length)
    if not 1 <= clip_stride <= clip_length:
        raise ConfigError(
            f"clip_stride must be between 1 and clip_length ({clip_length}), got {clip_stride}: "
            "a larger stride would skip frames silently"
        )
    if num_frames <= clip_length:
        return [(0, num_frames)]
    starts = list(range(0, num_frames - clip_length + 1, clip_stride))
    if starts[-1] + clip_length < num_frames:
        starts.append(num_frames - clip_length)
    return [(start, start + clip_length) for start in starts]


def random_window(num_frames: int, clip_length: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return one half-open window of `clip_length` frames, every start equally likely; all frames of a shorter video.

    Raises:
        ConfigError: If there is no frame.
    """
    _check(num_frames, clip_length)
    if num_frames <= clip_length:
        return 0, num_frames
    start = int(rng.integers(num_frames - clip_length + 1))
    return start, start + clip_length
