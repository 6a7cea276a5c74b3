"""What `--crops` and `--flow-model` stand for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lrcn.cli.exits import UsageError
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.inference.recognition.two_stream import TwoStreamRecognizer
from lrcn.video.views import CENTER_VIEW, TEN_CROP_VIEWS


def load_streams(
    model: str,
    flow_model: str | None,
    rgb_weight: float | None,
    crops: int,
    *,
    device: str,
    runtime: str | None = None,
    batch_size: int,
    flow_file_of: Callable[[Path], Path] | None = None,
) -> Recognizer | TwoStreamRecognizer:
    """Load a model, or two and join them; `LRCNError` if one cannot be used, or they do not fit together."""
    views = TEN_CROP_VIEWS if crops == 10 else (CENTER_VIEW,)
    streams = [
        Recognizer.load(name, device=device, runtime=runtime, batch_size=batch_size, views=views)
        for name in (model, flow_model)
        if name is not None
    ]
    if flow_model is None:
        return streams[0]
    share = 1 / 3 if rgb_weight is None else rgb_weight
    return TwoStreamRecognizer(streams[0], streams[1], rgb_weight=share, flow_file_of=flow_file_of)


def check_weight(rgb_weight: float | None, flow_model: str | None) -> None:
    """Make sure that there is something to weigh; `UsageError` if not."""
    if rgb_weight is not None and flow_model is None:
        raise UsageError("--rgb-weight goes with --flow-model: there is one stream only")
