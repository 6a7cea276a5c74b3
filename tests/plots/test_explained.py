from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from lrcn.inference.recognition.explaining import Explanation
from lrcn.plots.explained import FRAME_PX, save_explanation


def test_the_picture_shows_frames_maps_and_probabilities(tmp_path: Path) -> None:
    frames = np.full((3, 50, 50, 3), 100, np.uint8)
    maps = np.zeros((3, 50, 50), np.float32)
    maps[1, :25, :25] = 1.0
    explanation = Explanation(
        "a/mouse.avi", "walk", 0, 0.9, frames, np.array([0.0, 0.1, 0.2]), maps,
        np.array([[0.0, 1.0], [1.0, 0.0]], np.float32), np.array([0.0, 0.2]),
    )  # fmt: skip
    save_explanation(explanation, tmp_path / "out.png")
    drawn = np.asarray(Image.open(tmp_path / "out.png").convert("RGB")).astype(int)
    assert drawn.shape[1] == 3 * FRAME_PX
    bars_top = np.flatnonzero((drawn == (238, 238, 238)).all(axis=2).sum(axis=1) > 100)[0]
    top = bars_top - 8 - 2 * FRAME_PX
    assert (drawn[top : top + FRAME_PX] == 100).all()
    mapped = drawn[top + FRAME_PX : top + 2 * FRAME_PX]
    changed = (mapped != 100).any(axis=2)
    assert changed[:70, FRAME_PX : FRAME_PX + 70].all()
    assert not changed[:, :FRAME_PX].any()
    assert not changed[90:].any()
    bars = (drawn == (194, 65, 12)).all(axis=2).sum(axis=0)
    assert [bars[(2 * column + 1) * FRAME_PX // 2] for column in range(3)] == [1, 31, 61]  # 0, half and all of 60 px
