"""RGB frames to an H.264 mp4 that every player opens."""

from __future__ import annotations

import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from lrcn.errors import MediaError
from lrcn.video.footage import one_line
from lrcn.video.resize import Frames


def write_video(
    path: Path, frames: Iterable[Frames], *, fps: float | Fraction, crf: int = 18, audio_from: Path | None = None
) -> None:
    """Write frames as H.264 in yuv420p, BT.709; the file appears only when it is complete.

    Args:
        path: Where to; a file there is replaced.
        frames: RGB `(H, W, 3)` uint8 each, all of one size; taken one by one. An odd side gets its last row or column
            once more, since yuv420p has even sides.
        fps: Frames per second.
        crf: Quality of x264: 0 the best, 18 hardly seen to be lossy, 51 the worst.
        audio_from: A video whose sound goes along.

    Raises:
        MediaError: If there is no frame, or the file cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"}) as container:
            _encode(container, frames, Fraction(fps).limit_denominator(1001), crf)
        os.replace(temporary, path)
    except (av.FFmpegError, OSError) as exc:
        raise MediaError(f"{path}: cannot be written ({one_line(exc)})") from exc
    finally:
        temporary.unlink(missing_ok=True)


def _encode(container: av.container.OutputContainer, frames: Iterable[Frames], fps: Fraction, crf: int) -> None:
    stream = container.add_stream("libx264", rate=fps, options={"crf": str(crf)})
    scaler = VideoReformatter()
    for index, pixels in enumerate(frames):
        even = np.pad(pixels, ((0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2), (0, 0)), mode="edge")
        if index == 0:
            stream.height, stream.width = even.shape[:2]
            stream.pix_fmt = "yuv420p"
            stream.time_base = 1 / fps
            stream.codec_context.color_range = ColorRange.MPEG
            stream.codec_context.colorspace = Colorspace.ITU709
        frame = scaler.reformat(
            av.VideoFrame.from_ndarray(even, format="rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )
        frame.pts = index
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
