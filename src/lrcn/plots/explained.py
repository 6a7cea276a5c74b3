"""Where a model looks, as a picture: frames, the same with their maps over them, the probability beneath."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lrcn.files import replacing
from lrcn.inference.recognition.explaining import Explanation

NUM_FRAMES = 8
FRAME_PX = 160
_BAR_PX = 60
_TEXT_PX = 16
_MARGIN_PX = 8
_INK, _GROUND, _BAR, _NO_BAR = (28, 28, 28), (255, 255, 255), (194, 65, 12), (238, 238, 238)


def save_explanation(explanation: Explanation, path: Path) -> None:
    """Draw an explanation.

    Args:
        explanation: From `lrcn.explain`.
        path: PNG file to write.
    """
    number = min(NUM_FRAMES, len(explanation.frames))
    places = np.linspace(0, len(explanation.frames) - 1, number).round().astype(int).tolist()
    probs = np.interp(explanation.times_s[places], explanation.probs_s, explanation.probs[:, explanation.label_id])
    top = _TEXT_PX + 2 * _MARGIN_PX
    bars_top = top + 2 * FRAME_PX + _MARGIN_PX
    picture = Image.new("RGB", (number * FRAME_PX, bars_top + _BAR_PX + 2 * _TEXT_PX + 2 * _MARGIN_PX), _GROUND)
    canvas = ImageDraw.Draw(picture)
    font = ImageFont.load_default(_TEXT_PX)
    title = f"{explanation.label} {explanation.prob:.0%}: {Path(explanation.source).name}"
    canvas.text((_MARGIN_PX, _MARGIN_PX), title, font=font, fill=_INK)
    rows = (explanation.frames[places], explanation.overlaid(places))
    for column, (place, prob) in enumerate(zip(places, probs.tolist(), strict=True)):
        left = column * FRAME_PX
        for row, frames in enumerate(rows):
            frame = Image.fromarray(frames[column]).resize((FRAME_PX, FRAME_PX), Image.Resampling.BICUBIC)
            picture.paste(frame, (left, top + row * FRAME_PX))
        box = (left + _MARGIN_PX, bars_top, left + FRAME_PX - _MARGIN_PX, bars_top + _BAR_PX)
        canvas.rectangle(box, fill=_NO_BAR)
        canvas.rectangle((box[0], box[3] - round(_BAR_PX * prob), box[2], box[3]), fill=_BAR)
        lines = (f"{prob:.0%}", f"{explanation.times_s[place]:.1f} s")
        for number_of_line, text in enumerate(lines):
            at = (left + FRAME_PX / 2, box[3] + _MARGIN_PX / 2 + number_of_line * _TEXT_PX)
            canvas.text(at, text, font=font, fill=_INK, anchor="ma")
    with replacing(path) as unfinished:
        picture.save(unfinished, format="PNG")
