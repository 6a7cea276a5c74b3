"""What a labelled frame looks like: a dark band with label and probability, and the timeline under it.

Every size follows the frame's height, so that it reads alike on a thumbnail and on full HD.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from lrcn.inference.recognition.timeline import Stretch
from lrcn.plots.palette import colours_for
from lrcn.results import named

BAND_OPACITY = 0.75
BAND_COLOUR = (12, 14, 20)
NOTHING_COLOUR = (70, 74, 84)
"""Of a stretch of the timeline without label."""
MIN_TEXT_PX = 11
"""Below this height letters fall apart."""
MIN_FRAME_PX = 32
"""A frame with a smaller side stays as it is: nothing could be read on it."""


class Overlay:
    """Draws the label of a moment, and where that moment lies in the video, onto frames of one size.

    Args:
        stretches: The labels of the video in order of time.
        duration_s: Length of the video.
    """

    def __init__(self, stretches: Sequence[Stretch], duration_s: float) -> None:
        self.stretches = stretches
        self.duration_s = max(duration_s, stretches[-1].end_s)
        self.colours = {**colours_for(stretch.label for stretch in stretches if stretch.label), "": NOTHING_COLOUR}
        self._ends_s = np.array([stretch.end_s for stretch in stretches])
        self._strip = np.empty((0, 3), dtype=np.uint8)

    def draw(self, frame: NDArray[np.uint8], time_s: float) -> NDArray[np.uint8]:
        """Return a labelled copy of a frame `(H, W, 3)`."""
        height, width, _ = frame.shape
        if min(height, width) < MIN_FRAME_PX:
            return frame.copy()
        text_px = max(MIN_TEXT_PX, round(height * 0.055))
        margin = max(3, round(text_px * 0.45))
        strip_px = max(4, round(text_px * 0.35))
        band_px = min(height, text_px + 3 * margin + strip_px)

        labelled = frame.copy()
        band = labelled[-band_px:]
        dark = np.array(BAND_COLOUR, dtype=np.float32) * BAND_OPACITY
        band[:] = band.astype(np.float32) * (1 - BAND_OPACITY) + dark
        self._draw_strip(band[-margin - strip_px : -margin, margin : width - margin], time_s)
        image = Image.fromarray(band)
        self._draw_text(ImageDraw.Draw(image), self.stretches[self._at(time_s)], width, text_px, margin)
        band[:] = np.asarray(image)
        return labelled

    def _at(self, time_s: NDArray[np.float64] | float) -> Any:
        return np.minimum(np.searchsorted(self._ends_s, time_s, side="right"), len(self.stretches) - 1)

    def _draw_text(self, canvas: ImageDraw.ImageDraw, now: Stretch, width: int, text_px: int, margin: int) -> None:
        font = _font(text_px)
        if not now.label:
            return
        swatch = round(text_px * 0.8)
        top = margin + (text_px - swatch) // 2
        canvas.rectangle((margin, top, margin + swatch - 1, top + swatch - 1), fill=self.colours[now.label])
        percent = f"{now.prob:.0%}"
        left, right = 2 * margin + swatch, width - margin - font.getlength(percent)
        middle = margin + text_px / 2
        canvas.text((right, middle), percent, font=font, fill=(225, 228, 235), anchor="lm")
        label = _fitted(named(now.label, known=now.known), font, right - margin - left)
        canvas.text((left, middle), label, font=font, fill=(255, 255, 255), anchor="lm")

    def _draw_strip(self, strip: NDArray[np.uint8], time_s: float) -> None:
        strip_px, width, _ = strip.shape
        if len(self._strip) != width:  # the same for every frame, and a long video has thousands of stretches
            times_s = (np.arange(width) + 0.5) / width * self.duration_s
            colours = np.array([self.colours[stretch.label] for stretch in self.stretches], dtype=np.uint8)
            self._strip = colours[self._at(times_s)]
        strip[:] = self._strip
        marker_px = max(2, strip_px // 2)
        left = round((width - marker_px) * min(1.0, time_s / self.duration_s))
        strip[:, left : left + marker_px] = 255


@lru_cache(maxsize=8)
def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size_px)


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width_px: float) -> str:
    if font.getlength(text) <= width_px:
        return text
    while text and font.getlength(text + "...") > width_px:
        text = text[:-1]
    return text + "..."
