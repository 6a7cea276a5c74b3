"""The frames whose activations set the ranges of int8."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lrcn.config import PreprocessConfig
from lrcn.data.captioning.examples import CaptionExample
from lrcn.data.recognition.examples import RecognitionExample
from lrcn.errors import DataError, MediaError
from lrcn.video.inputs import network_images
from lrcn.video.views import CENTER_VIEW, cut_crops

CALIBRATION_FRAMES = 300
"""Frames whose activations set the ranges of int8 (NNCF's own default)."""

_GOLDEN_RATIO = (5**0.5 - 1) / 2
"""Its multiples, less their whole part, spread evenly: one frame a video is then not always the first."""

_MOST_KEPT = 1024
"""Crops of a long video held while it is read, at equal distances."""

Examples = Sequence[RecognitionExample] | Sequence[CaptionExample]


def calibration_crops(examples: Examples, preprocess: PreprocessConfig) -> list[NDArray[np.uint8]]:
    """Return crops of frames spread evenly over training videos or pictures, `CALIBRATION_FRAMES` at most.

    Raises:
        DataError: If none of them can be read.
    """
    chosen = [examples[i] for i in np.linspace(0, len(examples) - 1, min(len(examples), CALIBRATION_FRAMES), dtype=int)]
    per_video = max(1, CALIBRATION_FRAMES // len(chosen))
    crops, failure = [], ""
    for rank, example in enumerate(chosen):
        try:
            crops.append(_some_crops(example, preprocess, per_video, phase=(rank + 0.5) * _GOLDEN_RATIO % 1.0))
        except MediaError as exc:
            failure = str(exc)
    if not crops:
        raise DataError(f"none of the {len(chosen)} training files can be read for calibration: {failure}")
    return crops


def _some_crops(
    example: RecognitionExample | CaptionExample, preprocess: PreprocessConfig, number: int, *, phase: float
) -> NDArray[np.uint8]:
    """Return the crops of frames at equal distances, of which `phase`, in [0, 1), stands before the first."""
    kept: list[NDArray[np.uint8]] = []
    place, step = 0, 1
    for chunk in network_images(
        example.path,
        preprocess,
        start_s=example.start_s,
        end_s=example.end_s,
        roi=example.roi if isinstance(example, RecognitionExample) else None,
        on_warning=lambda message: None,
    ):
        for crop in cut_crops(chunk.frames, CENTER_VIEW, preprocess):
            if place % step == 0:
                kept.append(crop.copy())
            place += 1
            if len(kept) > _MOST_KEPT:
                kept, step = kept[::2], 2 * step
    positions = np.unique(((np.arange(number) + phase) * len(kept) / number).astype(int))
    return np.stack([kept[position] for position in positions])
