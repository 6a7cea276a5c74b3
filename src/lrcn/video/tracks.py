"""Where one animal or person is, frame by frame, and the square around it that is cut out of each picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrcn.video.resize import Frames

LONGEST_GAP_S = 1.0
"""Nobody moves far in a shorter one: what is looked at stays where it was. A longer one parts a track in two."""


@dataclass(frozen=True)
class Track:
    """The places of one animal or person."""

    id: str
    """Who it is; empty where the file names nobody."""
    frames: NDArray[np.int64]
    """Numbers of the frames in which it is seen, `(n,)`, from 0 and rising."""
    centres: NDArray[np.float64]
    """Where its middle is, `(n, 2)`: from the left and from the top of the picture, in px."""
    side: float | None = None
    """Of a square that it fits into nine times out of ten, in px; None where only points are known."""

    def seen_in(self, frames: NDArray[np.int64], fps: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return which of its places to look at in frames of the video.

        Args:
            frames: Their numbers, `(T,)`.
            fps: Of the video; says how many frames a gap may have.

        Returns:
            The place for each frame, `(T,)`: its own, or in a short gap the last one before; -1 where it is not seen.
            And which stretch of the track each frame lies in, `(T,)`, counted from 0: between two there is a long gap.
        """
        places = np.searchsorted(self.frames, frames, side="right") - 1
        is_long = np.diff(self.frames) - 1 > LONGEST_GAP_S * fps
        stretches = np.concatenate([[0], np.cumsum(is_long)])
        in_gap = self.frames[places] != frames
        not_held = np.append(is_long, True)[places]  # nothing follows the last place
        seen = (places >= 0) & ~(in_gap & not_held)
        return np.where(seen, places, -1), stretches[places]


def cut_squares(frames: Frames, centres: NDArray[np.float64], side: int) -> Frames:
    """Return a square of each frame, `(T, side, side, 3)`.

    Args:
        frames: `(T, H, W, 3)`.
        centres: The middle of each square, `(T, 2)`; where it would leave the picture, it is moved into it.
        side: In px; squares are no larger than the picture.
    """
    height, width = frames.shape[1:3]
    side = min(side, height, width)
    corners = np.clip(np.rint(centres - side / 2).astype(np.int64), 0, [width - side, height - side])
    squares = np.empty((len(frames), side, side, 3), np.uint8)
    for square, frame, (left, top) in zip(squares, frames, corners.tolist(), strict=True):
        square[:] = frame[top : top + side, left : left + side]
    return squares
