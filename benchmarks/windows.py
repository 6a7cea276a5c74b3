"""A video file to the answer of every window: one CNN pass a frame, against ways that decode and encode windows.

250 frames of 320x240 H.264, AlexNet fc6 + LSTM 256 with random weights, windows of 16 at stride 8 and 1. The plain ways
are those of `plain.py`. The kind ones share our network object, with the channels last, and our decoder, which reads
the file once: what is left is that they encode each frame of each window, at stride 8 twice and at stride 1 sixteen
times.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks import plain
from benchmarks.subjects import CLIP_LENGTH, MEAN, NUM_FRAMES, alexnet_lstm, runtimes, write_clip
from benchmarks.timing import Figure, compare
from lrcn.inference.recognizer import Recognizer
from lrcn.models.recognition import RecognitionModel
from lrcn.video.read import read_all
from lrcn.video.views import CENTER_VIEW

GOALS = {"torch": 3.0, "torch-bf16": 5.2, "openvino": 3.0, "openvino-bf16": 5.2, "openvino-int8": 10.5}
TOLERANCES = {"torch": 1e-5, "openvino": 1e-5}
"""Largest difference of any probability, where neighbouring windows differ by 5e-4; other runtimes round on purpose."""


def _starts(stride: int) -> list[int]:
    last = NUM_FRAMES - CLIP_LENGTH
    return sorted({*range(0, last + 1, stride), last})


def _decode_once(path: Path) -> torch.Tensor:
    frames, _ = read_all(path)
    top, left = (frames.shape[1] - 227) // 2, (frames.shape[2] - 227) // 2
    crop = torch.from_numpy(frames[:, top : top + 227, left : left + 227].copy())
    return crop.permute(0, 3, 1, 2).float() - torch.tensor(MEAN).view(3, 1, 1)


@torch.inference_mode()
def kind_in_one_batch(model: RecognitionModel, path: Path, starts: list[int]) -> np.ndarray:
    """Every window's frames in one CNN batch."""
    frames = _decode_once(path)
    windows = torch.stack([frames[start : start + CLIP_LENGTH] for start in starts])
    features = model.encode(windows.flatten(0, 1)).unflatten(0, windows.shape[:2])
    return model(features).softmax(-1).mean(1).numpy()


@torch.inference_mode()
def kind_window_by_window(model: RecognitionModel, path: Path, starts: list[int]) -> np.ndarray:
    """One window after the other."""
    frames = _decode_once(path)
    probs = []
    for start in starts:
        features = model.encode(frames[start : start + CLIP_LENGTH])[None]
        probs.append(model(features).softmax(-1).mean(1))
    return torch.cat(probs).numpy()


def run() -> list[Figure]:
    """Check that the answers agree, then time."""
    header, model = alexnet_lstm()
    network = plain.PlainNetwork(model)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder, runtimes(header, model) as found:
        path = write_clip(Path(folder) / "clip.mp4")
        frames, _ = read_all(path, resize=header.preprocess.resize)
        starts = {8: _starts(8), 1: _starts(1)}
        in_one_batch: dict[str, Callable[[], np.ndarray]] = {
            "plain: all windows in one batch": lambda: plain.in_one_batch(network, path, starts[8]),
            "kind: all windows in one batch": lambda: kind_in_one_batch(model, path, starts[8]),
        }
        one_by_one: dict[str, Callable[[], np.ndarray]] = {
            "plain: window by window": lambda: plain.window_by_window(network, path, starts[8]),
            "plain: window by window, frame by frame": lambda: plain.frame_by_frame(network, path, starts[8]),
            "kind: window by window": lambda: kind_window_by_window(model, path, starts[8]),
        }
        dense: dict[str, Callable[[], np.ndarray]] = {
            "plain: window by window": lambda: plain.window_by_window(network, path, starts[1]),
            "kind: window by window": lambda: kind_window_by_window(model, path, starts[1]),
        }
        expected = kind_in_one_batch(model, path, starts[8])
        for title, baseline in (in_one_batch | one_by_one).items():
            _check(f"the baseline {title!r}", baseline(), expected, 1e-5)
        for name, runtime in found.items():
            recognizer = Recognizer(header, runtime)
            tolerance = TOLERANCES.get(name, 5e-3)
            error = _check(name, np.array(recognizer(path, clip_stride=8).probs), expected.mean(0), tolerance)
            same = f"same probabilities to {error:.0e}"

            def whole(recognizer: Recognizer = recognizer) -> object:
                return recognizer(path, clip_stride=8)

            def densely(recognizer: Recognizer = recognizer) -> object:
                return recognizer(path, clip_stride=1)

            def cnn_alone(recognizer: Recognizer = recognizer) -> None:
                for first in range(0, NUM_FRAMES, 64):
                    recognizer.runtime.encode(frames[first : first + 64], CENTER_VIEW)

            title = f"video to windows, stride 8, {name}"
            for against, baseline in in_one_batch.items():
                goal = GOALS[name] if against.startswith("plain") else None
                figures.append(Figure(title, against, *compare(whole, baseline), same, goal))
            share = compare(whole, cnn_alone)
            figures.append(
                Figure(f"share of the CNN's own speed, {name}", "the CNN alone", *share, "same runtime", 0.85)
            )
            if name == "torch":
                for against, baseline in one_by_one.items():
                    goal = 4.5 if against.startswith("plain") else None
                    figures.append(Figure(title, against, *compare(whole, baseline, rounds=3), same, goal))
            if name in ("torch", "openvino-int8"):
                for against, baseline in dense.items():
                    goal = 40.0 if against.startswith("plain") else None
                    ratio = compare(densely, baseline, rounds=1)
                    figures.append(Figure(f"video to windows, stride 1, {name}", against, *ratio, same, goal))
    return figures


def _check(what: str, found: np.ndarray, expected: np.ndarray, tolerance: float) -> float:
    error = float(np.abs(found - expected).max())
    if error > tolerance or (found.argmax(-1) != expected.argmax(-1)).any():
        raise SystemExit(f"{what}: the answers differ by {error}: nothing was timed")
    return error
