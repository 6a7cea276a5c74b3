"""A video file to the answer of every window: one CNN pass a frame, against the plain ways that encode windows.

250 frames of 320x240 H.264, AlexNet fc6 + LSTM 256 with random weights, windows of 16 at stride 8. The plain ways, in
fp32: decode every frame, crop, then push the frames of each window through the CNN: all windows in one batch, or
window after window. At stride 8 they encode each frame twice; at stride 1, sixteen times.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.subjects import CLIP_LENGTH, MEAN, NUM_FRAMES, alexnet_lstm, runtimes, write_clip
from benchmarks.timing import Figure, compare
from lrcn.inference.recognizer import Recognizer
from lrcn.models.recognition import RecognitionModel
from lrcn.video.read import read_all
from lrcn.video.views import CENTER_VIEW

GOALS = {"torch": 3.0, "torch-bf16": 5.2, "openvino": 3.0, "openvino-bf16": 5.2, "openvino-int8": 10.5}
TOLERANCES = {"torch": 1e-4, "openvino": 1e-4}
"""Largest difference of any probability; other runtimes round on purpose, and only keep the top class."""


def _decode(path: Path) -> torch.Tensor:
    frames, _ = read_all(path)  # our decoder, in the baseline's favour: the answers are then comparable to the digit
    top, left = (frames.shape[1] - 227) // 2, (frames.shape[2] - 227) // 2
    crop = torch.from_numpy(frames[:, top : top + 227, left : left + 227].copy())
    return crop.permute(0, 3, 1, 2).float() - torch.tensor(MEAN).view(3, 1, 1)


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
    header, model = alexnet_lstm()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder, runtimes(header, model) as found:
        path = write_clip(Path(folder) / "clip.mp4")
        frames, _ = read_all(path, resize=header.preprocess.resize)
        expected = plain_in_one_batch(model, path, 8).mean(0)
        for name, runtime in found.items():
            recognizer = Recognizer(header, runtime)
            ours = np.array(recognizer(path, clip_stride=8).probs)
            error = float(np.abs(ours - expected).max())
            if error > TOLERANCES.get(name, 5e-3) or ours.argmax() != expected.argmax():
                raise SystemExit(f"{name}: the answers differ by {error}: nothing was timed")
            same = f"same probabilities to {error:.0e}"

            def whole(recognizer: Recognizer = recognizer) -> object:
                return recognizer(path, clip_stride=8)

            def cnn_alone(recognizer: Recognizer = recognizer) -> None:
                for first in range(0, NUM_FRAMES, 64):
                    recognizer.runtime.encode(frames[first : first + 64], CENTER_VIEW)

            ratio = compare(whole, lambda: plain_in_one_batch(model, path, 8))
            figures.append(
                Figure(f"video to windows, stride 8, {name}", "all windows in one batch", *ratio, same, GOALS[name])
            )
            share = compare(whole, cnn_alone)
            figures.append(
                Figure(f"share of the CNN's own speed, {name}", "the CNN alone", *share, "same runtime", 0.85)
            )
            if name == "torch":
                ratio = compare(whole, lambda: plain_window_by_window(model, path, 8), rounds=3)
                figures.append(Figure("video to windows, stride 8, torch", "window by window", *ratio, same, 4.5))
            if name in ("torch", "openvino-int8"):
                ratio = compare(
                    lambda recognizer=recognizer: recognizer(path, clip_stride=1),
                    lambda: plain_window_by_window(model, path, 1),
                    rounds=1,
                )
                figures.append(Figure(f"video to windows, stride 1, {name}", "window by window", *ratio, same, 40.0))
    return figures
