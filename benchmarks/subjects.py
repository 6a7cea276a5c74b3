"""What is timed: the clip, the network of the paper's size with random weights, and every runtime of it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from lrcn.config import BackboneConfig, PreprocessConfig, RecognitionConfig, RecognitionHeader
from lrcn.errors import ConfigError
from lrcn.graphs.conversion import write_graphs
from lrcn.graphs.sessions import openvino_has_bf16
from lrcn.inference.recognition.graph_runtime import GraphRuntime
from lrcn.inference.recognition.runtime import Runtime
from lrcn.inference.recognition.torch_runtime import TorchRuntime
from lrcn.models.recognition import RecognitionModel
from lrcn.video.read import read_all
from lrcn.video.views import CENTER_VIEW, cut_crops
from lrcn.video.write import write_video

NUM_FRAMES, CLIP_LENGTH = 250, 16
MEAN = (123.68, 116.779, 103.939)
PREPROCESS = PreprocessConfig(sample_fps=None, resize=(240, 320), crop=227, mean=MEAN, std=(1.0, 1.0, 1.0))


def write_clip(path: Path, *, num_frames: int = NUM_FRAMES, seed: int = 0) -> Path:
    """Write a moving scene, 320x240 H.264."""
    rng = np.random.default_rng(seed)
    scene = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    write_video(path, (np.roll(scene, 3 * t, axis=1) for t in range(num_frames)), fps=25)
    return path


def alexnet_lstm() -> tuple[RecognitionHeader, RecognitionModel]:
    """AlexNet to fc6 at 227 px and an LSTM of 256 units, 101 classes, random weights."""
    torch.manual_seed(0)
    config = RecognitionConfig(backbone=BackboneConfig(name="alexnet", layer="fc6"), num_classes=101)
    labels = tuple(f"class {k}" for k in range(101))
    header = RecognitionHeader(task="recognition", model=config, preprocess=PREPROCESS, labels=labels)
    return header, RecognitionModel(config).eval()


@contextmanager
def runtimes(header: RecognitionHeader, model: RecognitionModel) -> Iterator[dict[str, Runtime]]:
    """Every runtime that runs here; int8 is calibrated on another clip than the one that is timed."""
    found: dict[str, Runtime] = {"torch": TorchRuntime(model, header.preprocess)}
    try:
        found["torch-bf16"] = TorchRuntime(model, header.preprocess, precision="bf16")
    except ConfigError as exc:
        print(f"left out: {exc}")
    with tempfile.TemporaryDirectory() as folder:
        other, _ = read_all(write_clip(Path(folder) / "other.mp4", num_frames=60, seed=1), resize=(240, 320))
        crops = [cut_crops(other, CENTER_VIEW, header.preprocess)]
        for name, calibration in (("fp32", None), ("int8", crops)):
            (Path(folder) / name).mkdir()
            exported = write_graphs(header, model, Path(folder) / name, "openvino", calibration=calibration)
            runtime = GraphRuntime(exported)
            found[runtime.name] = runtime
            if name == "fp32" and openvino_has_bf16():
                found["openvino-bf16"] = GraphRuntime(exported, bf16=True)
        yield found
