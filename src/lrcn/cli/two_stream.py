"""What `--crops` and `--flow-model` stand for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lrcn.cli.exits import UsageError
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.inference.recognition.two_stream import TwoStreamRecognizer
from lrcn.video.views import CENTER_VIEW, TEN_CROP_VIEWS, View


def views_of(crops: int) -> Sequence[View]:
    """Return the views whose probabilities are averaged."""
    return TEN_CROP_VIEWS if crops == 10 else (CENTER_VIEW,)


def load_two_stream(
    rgb: str,
    flow: str,
    rgb_weight: float | None,
    crops: int,
    *,
    device: str,
    runtime: str | None = None,
    batch_size: int,
    flow_file_of: Callable[[Path], Path] | None = None,
) -> TwoStreamRecognizer:
    """Load both models and join them.

    Raises:
        LRCNError: If a model cannot be used, or the two do not fit together.
    """
    streams = [
        Recognizer.load(model, device=device, runtime=runtime, batch_size=batch_size, views=views_of(crops))
        for model in (rgb, flow)
    ]
    share = 1 / 3 if rgb_weight is None else rgb_weight
    return TwoStreamRecognizer(streams[0], streams[1], rgb_weight=share, flow_file_of=flow_file_of)


def check_weight(rgb_weight: float | None, flow_model: str | None) -> None:
    """Make sure that there is something to weigh.

    Raises:
        UsageError: If not.
    """
    if rgb_weight is not None and flow_model is None:
        raise UsageError("--rgb-weight goes with --flow-model: there is one stream only")
