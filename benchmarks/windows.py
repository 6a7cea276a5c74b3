"""A video file to the answer of every window: one CNN pass a frame, against the plain ways that encode windows.

250 frames of 320x240 H.264, AlexNet fc6 + LSTM 256 with random weights, windows of 16 at stride 8, fp32.
The plain ways: decode every frame, crop, then push the frames of each window through the CNN: all windows in one
batch, or window after window. At stride 8 they encode each frame twice; at stride 1, sixteen times.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.timing import Figure, compare
from lrcn.config import BackboneConfig, PreprocessConfig, RecognitionConfig, RecognitionHeader
from lrcn.inference.recognizer import Recognizer
from lrcn.models.recognition import RecognitionModel
from lrcn.video.read import read_all
from lrcn.video.write import write_video

NUM_FRAMES, CLIP_LENGTH = 250, 16


def _clip(path: Path) -> Path:
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    write_video(path, (np.roll(scene, 3 * t, axis=1) for t in range(NUM_FRAMES)), fps=25)
    return path


def _decode(path: Path) -> torch.Tensor:
    frames, _ = read_all(path)  # our decoder, in the baseline's favour: the answers are then comparable to the digit
    top, left = (frames.shape[1] - 227) // 2, (frames.shape[2] - 227) // 2
    crop = torch.from_numpy(frames[:, top : top + 227, left : left + 227].copy())
    mean = torch.tensor([123.68, 116.779, 103.939]).view(3, 1, 1)
    return crop.permute(0, 3, 1, 2).float() - mean


def _starts(stride: int) -> list[int]:
    last = NUM_FRAMES - CLIP_LENGTH
    return sorted({*range(0, last + 1, stride), last})


@torch.inference_mode()
def plain_in_one_batch(model: RecognitionModel, path: Path, stride: int) -> np.ndarray:
    """Every window's frames in one CNN batch."""
    frames = _decode(path)
    windows = torch.stack([frames[start : start + CLIP_LENGTH] for start in _starts(stride)])
    features = model.encode(windows.flatten(0, 1)).unflatten(0, windows.shape[:2])
    return model(features).softmax(-1).mean(1).numpy()


@torch.inference_mode()
def plain_window_by_window(model: RecognitionModel, path: Path, stride: int) -> np.ndarray:
    """The common loop: one window at a time."""
    frames = _decode(path)
    probs = []
    for start in _starts(stride):
        features = model.encode(frames[start : start + CLIP_LENGTH])[None]
        probs.append(model(features).softmax(-1).mean(1))
    return torch.cat(probs).numpy()


def run() -> list[Figure]:
    """Check that the answers agree, then time."""
    torch.manual_seed(0)
    config = RecognitionConfig(backbone=BackboneConfig(name="alexnet", layer="fc6"), num_classes=101)
    preprocess = PreprocessConfig(
        sample_fps=None, resize=(240, 320), crop=227, mean=(123.68, 116.779, 103.939), std=(1.0, 1.0, 1.0)
    )
    model = RecognitionModel(config).eval()
    labels = tuple(f"class {k}" for k in range(101))
    header = RecognitionHeader(model=config, preprocess=preprocess, labels=labels)
    recognizer = Recognizer(header, model)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        path = _clip(Path(folder) / "clip.mp4")
        for stride, plain, baseline, goal in (
            (8, plain_in_one_batch, "all windows in one batch", 3.0),
            (8, plain_window_by_window, "window by window", 4.5),
            (1, plain_window_by_window, "window by window", None),
        ):
            expected = plain(model, path, stride)
            ours = np.array(recognizer(path, clip_stride=stride).probs)
            error = float(np.abs(ours - expected.mean(0)).max())
            if error > 1e-4:
                raise SystemExit(f"the answers differ by {error}: nothing was timed")
            ratio = compare(
                lambda stride=stride: recognizer(path, clip_stride=stride),
                lambda stride=stride, plain=plain: plain(model, path, stride),
                rounds=5 if stride > 1 else 2,
            )
            name = f"video to windows of 16 at stride {stride}, AlexNet fc6, fp32"
            figures.append(Figure(name, baseline, *ratio, same=f"same probabilities to {error:.0e}", goal=goal))
    return figures
