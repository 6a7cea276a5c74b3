"""What a labelled frame looks like: a dark band with label and probability, and the timeline under it.

Every size follows the frame's height, so that it reads alike on a thumbnail and on full HD.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from lrcn.inference.timeline import Stretch
from lrcn.plots.palette import colours_for

BAND_OPACITY = 0.75
BAND_COLOUR = (12, 14, 20)
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
        self.colours = colours_for(stretch.label for stretch in stretches)
        self._position = 0

    def draw(self, frame: NDArray[np.uint8], time_s: float) -> NDArray[np.uint8]:
        """Return a labelled copy of a frame `(H, W, 3)`; times must not go back from call to call."""
        while self._position + 1 < len(self.stretches) and self.stretches[self._position].end_s <= time_s:
            self._position += 1
        now = self.stretches[self._position]
        height, width, _ = frame.shape
        if min(height, width) < MIN_FRAME_PX:
            return frame.copy()
        text_px = max(MIN_TEXT_PX, round(height * 0.055))
        margin = max(3, round(text_px * 0.45))
        strip_px = max(4, round(text_px * 0.35))
        band_top = max(0, height - (text_px + 3 * margin + strip_px))

        labelled = frame.copy()
        band = labelled[band_top:].astype(np.float32)
        labelled[band_top:] = (band * (1 - BAND_OPACITY) + np.array(BAND_COLOUR) * BAND_OPACITY).astype(np.uint8)
        image = Image.fromarray(labelled)
        canvas = ImageDraw.Draw(image)
        self._draw_text(canvas, now, width, band_top + margin, text_px, margin)
        self._draw_strip(canvas, width, height - margin - strip_px, strip_px, margin, time_s)
        return np.asarray(image)

    def _draw_text(
        self, canvas: ImageDraw.ImageDraw, now: Stretch, width: int, top: int, text_px: int, margin: int
    ) -> None:
        font = _font(text_px)
        swatch = round(text_px * 0.8)
        offset = (text_px - swatch) // 2
        canvas.rectangle(
            (margin, top + offset, margin + swatch - 1, top + offset + swatch - 1), fill=self.colours[now.label]
        )
        percent = f"{now.prob:.0%}"
        left, right = 2 * margin + swatch, width - margin - font.getlength(percent)
        middle = top + text_px / 2
        canvas.text((right, middle), percent, font=font, fill=(225, 228, 235), anchor="lm")
        label = _fitted(now.label, font, right - margin - left)
        canvas.text((left, middle), label, font=font, fill=(255, 255, 255), anchor="lm")

    def _draw_strip(
        self, canvas: ImageDraw.ImageDraw, width: int, top: int, strip_px: int, margin: int, time_s: float
    ) -> None:
        inner = width - 2 * margin
        canvas.rectangle((margin, top, margin + inner - 1, top + strip_px - 1), fill=(70, 74, 84))
        for stretch in self.stretches:
            first = margin + round(inner * stretch.start_s / self.duration_s)
            last = margin + round(inner * stretch.end_s / self.duration_s) - 1
            canvas.rectangle((first, top, max(first, last), top + strip_px - 1), fill=self.colours[stretch.label])
        head_px = max(2, strip_px // 3)
        at = margin + round((inner - head_px) * min(1.0, time_s / self.duration_s))
        reach = max(1, strip_px // 3)
        canvas.rectangle((at, top - reach, at + head_px - 1, top + strip_px - 1 + reach), fill=(255, 255, 255))


@lru_cache(maxsize=8)
def _font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size_px)


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width_px: float) -> str:
    if font.getlength(text) <= width_px:
        return text
    while text and font.getlength(text + "...") > width_px:
        text = text[:-1]
    return text + "..."
