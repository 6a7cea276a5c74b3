"""Recordings of half a minute in which a bar moves left, right or stays, and nothing is seen between."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tests.training.tiny_training import LABELS, bar_frames

from lrcn.bouts import Annotations, Bout, Recording

WHOLE = ((0.0, float("inf")),)


def noise(num_frames: int, seed: int) -> np.ndarray:
    """Return frames `(T, 36, 48, 3)` uint8 without a bar."""
    return np.random.default_rng(seed).integers(0, 60, (num_frames, 36, 48, 3)).astype(np.uint8)


def tiny_recording(path: Path, make_clip: Any, *, num_bouts: int = 9, seed: int = 0) -> Recording:
    """Write a recording at 10 frames per second, and return it with its bouts; it was looked at to its end."""
    rng = np.random.default_rng(seed)
    frames: list[np.ndarray] = []
    bouts: list[Bout] = []
    for number in range(num_bouts):
        frames.append(noise(int(rng.integers(8, 16)), 1000 * seed + number))
        start_s = sum(map(len, frames)) / 10
        frames.append(bar_frames(LABELS[number % 3], int(rng.integers(3, 25)), 100 * seed + number))
        bouts.append(Bout(LABELS[number % 3], start_s, sum(map(len, frames)) / 10))
    make_clip(path, np.concatenate(frames), 10)
    return Recording(path.name, path, tuple(bouts), WHOLE)


def tiny_recordings(folder: Path, make_clip: Any, number: int = 2) -> Annotations:
    """Write recordings, and return what is annotated of them."""
    own = [tiny_recording(folder / f"{i}.avi", make_clip, seed=i) for i in range(number)]
    return Annotations("tiny recordings", tuple(own), LABELS)


def overlapping(annotations: Annotations) -> Annotations:
    """Return the same with a further behaviour, `bar`, that is shown as long as any bar is: several at once."""
    recordings = []
    for one in annotations.recordings:
        more = tuple(Bout("bar", bout.start_s, bout.end_s) for bout in one.bouts)
        bouts = sorted((*one.bouts, *more), key=lambda bout: bout.start_s)
        recordings.append(Recording(one.name, one.path, tuple(bouts), one.looked_at))
    return Annotations(annotations.name, tuple(recordings), (*LABELS, "bar"))
