"""A model for the process that serves it: loaded as everywhere, and shared by the threads that ask."""

from __future__ import annotations

from typing import Any

from lrcn.config import RecognitionHeader
from lrcn.errors import ConfigError
from lrcn.inference.loading import load
from lrcn.inference.parity import real_images
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.serving.settings import ServedModel
from lrcn.serving.shared_network import MOST_TOGETHER, NetworkThread, SharedEncoder, SharedRuntime, exact_sizes
from lrcn.video.views import CENTER_VIEW, cut_crops


def load_shared(served: ServedModel) -> tuple[Any, NetworkThread, dict[str, Any]]:
    """Return a recognizer or captioner, the thread that runs its network, and what `/v1/models` says about it.

    Raises:
        LRCNError: If the model cannot be used.
    """
    predictor = load(served.path, device=served.device, runtime=served.runtime, batch_size=served.batch_size)
    runtime, preprocess = predictor.runtime, predictor.header.preprocess
    if runtime is None or preprocess is None or preprocess.stream == "vectors":
        raise ConfigError(f"{served.path}: a model that reads ready vectors; only those that read pictures are served")
    network = NetworkThread()
    images = cut_crops(real_images(preprocess)[:MOST_TOGETHER], CENTER_VIEW, preprocess)
    network.sizes = network.run(lambda: exact_sizes(runtime, images, CENTER_VIEW))
    about: dict[str, Any] = {
        "sha256": predictor.header.sha256,
        "runtime": runtime.name,
        "stream": preprocess.stream,
        "sample_fps": preprocess.sample_fps,
        "frames_together": list(network.sizes),
    }
    if isinstance(predictor, Recognizer):
        assert isinstance(predictor.header, RecognitionHeader)
        about |= {"clip_length": preprocess.clip_length, "clip_stride": preprocess.clip_stride}
        about |= {"labels": list(predictor.labels)}
        predictor.runtime = SharedRuntime(predictor.runtime, network)
    else:
        predictor.runtime = SharedEncoder(runtime, network)
    return predictor, network, about
