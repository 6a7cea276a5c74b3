"""From the name of a runtime to what runs the CNN of a captioning model."""

from __future__ import annotations

from pathlib import Path

from lrcn.config import CaptioningHeader
from lrcn.encoding import FrameEncoder
from lrcn.inference.captioning.parity import CaptionParityCheck
from lrcn.inference.parity import FeatureCheck
from lrcn.inference.runtimes import Choice, Encoders, Kept, check_name
from lrcn.models.captioning import CaptioningModel


def open_caption_runtime(
    name: str, header: CaptioningHeader, model: CaptioningModel, *, device: str, cache_dir: Path
) -> FrameEncoder:
    """Return what runs the backbone of a captioning model; arguments and errors as for `open_backbone_runtime`.

    What reads the features stays in torch, in float32.

    Raises:
        ConfigError: If the model reads ready vectors.
    """
    check_name(name)
    encoders = Encoders(header, model, Kept(header, model, cache_dir, names=("backbone",)), device)
    check = CaptionParityCheck(model.to(device).eval(), FeatureCheck(encoders.reference, encoders.preprocess))
    return Choice[FrameEncoder](encoders.reference, encoders.made, check, encoders.kept).open(name)
