"""Flow images as a video file that says what it is, so that flow computed once is recognised wherever it is used."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.video.stream
import numpy as np
import numpy.typing as npt

from lrcn.errors import MediaError
from lrcn.files import parse_json, replacing
from lrcn.video.footage import open_local
from lrcn.video.isolation import current
from lrcn.video.resize import MAX_FRAME_PIXELS

FLOW_SUFFIX = ".flow.mkv"
_TAG = "LRCN_FLOW"
_QUALITY = "10"  # x264 crf in RGB: mean error 0.3 grey levels, 0.02 px, at about the size of JPEG 95 (see docs)


@dataclass(frozen=True)
class FlowTag:
    """How the images in a flow file were made; kept in the container."""

    method: str
    sample_fps: float | None
    """Frames per second taken from the video before the flow; None: every frame."""
    resize: int | tuple[int, int]
    """As in `PreprocessConfig`."""


def read_flow_tag(path: Path) -> FlowTag | None:
    """Return how a flow file was made; None for any other file."""
    if not path.name.endswith(FLOW_SUFFIX):
        return None
    if (isolation := current()) is not None:
        found = isolation.ask("flow_tag", path)
        resize = found["resize"] if found else None
        return FlowTag(**{**found, "resize": tuple(resize) if isinstance(resize, list) else resize}) if found else None
    try:
        with open_local(path) as container:
            text = container.metadata.get(_TAG)
        if text is None:
            return None
        values = parse_json(text)
        resize, rate = values["resize"], values["sample_fps"]
        sides = resize if isinstance(resize, list) and len(resize) == 2 else [resize]
        if not all(isinstance(side, int) and 1 <= side <= MAX_FRAME_PIXELS for side in sides):
            raise ValueError(f"resize is {resize!r}")
        if rate is not None and not 0 < rate < math.inf:
            raise ValueError(f"sample_fps is {rate!r}")
        return FlowTag(str(values["method"]), rate, tuple(resize) if isinstance(resize, list) else resize)
    except (av.FFmpegError, ValueError, KeyError, TypeError) as exc:
        raise MediaError(f"{path}: damaged flow file ({exc}); delete it and run `lrcn data flow` again") from exc


def write_flow_file(path: Path, images: Iterable[npt.NDArray[np.uint8]], *, fps: float, tag: FlowTag) -> int:
    """Write flow images `(H, W, 3)` and return how many; the file appears only when it is complete.

    Red and green come back with a mean error of about 0.3 grey levels, that is 0.02 px of motion.
    """
    count = 0
    with replacing(path) as unfinished, av.open(f"file:{unfinished.absolute()}", "w", format="matroska") as container:
        container.metadata[_TAG] = json.dumps(asdict(tag))
        stream: av.video.stream.VideoStream | None = None
        for image in images:
            if stream is None:
                rate = Fraction(fps).limit_denominator(1001)
                options = {"crf": _QUALITY, "preset": "veryfast"}
                stream = container.add_stream("libx264rgb", rate=rate, options=options)
                stream.height, stream.width, stream.pix_fmt = image.shape[0], image.shape[1], "rgb24"
                stream.codec_context.thread_count = 1  # files are written in parallel, and the bytes repeat
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
            count += 1
        if stream is None:
            raise MediaError(f"{path}: no flow image to write")
        container.mux(stream.encode(None))
    return count
