"""Write a recognised video again with its labels drawn on every frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrcn.inference.recognition.timeline import bout_timeline, timeline
from lrcn.plots.overlay import Overlay
from lrcn.results import RecognitionResult
from lrcn.video.read import probe, read_frames
from lrcn.video.write import write_video


def write_labelled_video(
    source: Path, result: RecognitionResult, path: Path, *, on_progress: Callable[[float], None] | None = None
) -> None:
    """Write `source` as an mp4 with label, probability and timeline on every frame; size, rate and sound are kept.

    A source of varying frame rate becomes one of its mean rate, in step with its sound.

    Args:
        source: The video that was recognised.
        result: What `Recognizer` said about it; where it names bouts, they are drawn in place of the windows.
        path: The mp4 to write; it appears only when it is complete.
        on_progress: Called with the seconds of video drawn so far.

    Raises:
        MediaError: If the source cannot be read or the file cannot be written.
    """
    info = probe(source)
    if result.bouts is None:
        stretches = timeline(result)
    else:
        stretches = bout_timeline(result.bouts, result.labels, result.duration_s)
    overlay = Overlay(stretches, result.duration_s)

    def drawn() -> Iterator[NDArray[np.uint8]]:
        # what is wrong with the source is among the warnings of the result already
        for chunk in read_frames(source, sample_fps=info.fps, on_warning=lambda message: None):
            for frame, time_s in zip(chunk.frames, chunk.times_s, strict=True):
                yield overlay.draw(frame, float(time_s))
            if on_progress is not None:
                on_progress(float(chunk.times_s[-1]))

    write_video(path, drawn(), fps=info.fps, audio_from=source if info.has_audio else None)
