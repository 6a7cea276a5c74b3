"""A video file to the answer of every window: one CNN pass a frame, against ways that decode and encode windows.

250 frames of 320x240 H.264, AlexNet fc6 + LSTM 256 with random weights, windows of 16 at stride 8 and 1. The plain ways
are those of `plain.py`. The kind ones share our network object, with the channels last, and our decoder, which reads
the file once: what is left is that they encode each frame of each window, at stride 8 twice and at stride 1 sixteen
times.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks import plain
from benchmarks.subjects import CLIP_LENGTH, MEAN, NUM_FRAMES, alexnet_lstm, runtimes, write_clip
from benchmarks.timing import Figure, compare, compare_all
from lrcn.inference.recognition.predictor import Recognizer
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


def run() -> Iterator[Figure]:
    """Check that the answers agree, then time."""
    header, model = alexnet_lstm()
    network = plain.PlainNetwork(model)
    with tempfile.TemporaryDirectory() as folder, runtimes(header, model) as found:
        path = write_clip(Path(folder) / "clip.mp4")
        frames, _ = read_all(path, resize=header.preprocess.resize)
        starts = {8: _starts(8), 1: _starts(1)}
        plain_goals = {"plain: all windows in one batch": GOALS, "plain: window by window": {"torch": 4.5}}
        baselines: dict[str, Callable[[], np.ndarray]] = {
            "plain: all windows in one batch": lambda: plain.in_one_batch(network, path, starts[8]),
            "kind: all windows in one batch": lambda: kind_in_one_batch(model, path, starts[8]),
            "plain: window by window": lambda: plain.window_by_window(network, path, starts[8]),
            "plain: window by window, frame by frame": lambda: plain.frame_by_frame(network, path, starts[8]),
            "kind: window by window": lambda: kind_window_by_window(model, path, starts[8]),
        }
        dense_baselines: dict[str, Callable[[], np.ndarray]] = {
            "plain: window by window": lambda: plain.window_by_window(network, path, starts[1]),
            "kind: window by window": lambda: kind_window_by_window(model, path, starts[1]),
        }
        expected = kind_in_one_batch(model, path, starts[8])
        for title, baseline in baselines.items():
            _check(f"the baseline {title!r}", baseline(), expected, 1e-5)
        recognizers, same = {}, {}
        for name, runtime in found.items():
            recognizer = Recognizer(header, runtime)
            probs = np.array(recognizer(path, clip_stride=8).probs)
            try:
                error = _check(name, probs, expected.mean(0), TOLERANCES.get(name, 5e-3))
            except SystemExit as exc:
                if name in TOLERANCES:
                    raise
                print(f"left out: {exc}")  # what rounds on purpose may name another class of random weights
                continue
            recognizers[name] = recognizer
            same[name] = f"same probabilities to {error:.0e}"

        def whole(recognizer: Recognizer, stride: int) -> Callable[[], object]:
            return lambda: recognizer(path, clip_stride=stride)

        def cnn_alone(recognizer: Recognizer) -> None:
            for first in range(0, NUM_FRAMES, 64):
                recognizer.runtime.encode(frames[first : first + 64], CENTER_VIEW)

        sparse = {name: whole(recognizer, 8) for name, recognizer in recognizers.items()}
        again = {"itself once more: how noisy this machine is": sparse["torch"]}
        for (name, against), ratio in compare_all(sparse, baselines | again).items():
            if against in again and name != "torch":
                continue
            goal = plain_goals.get(against, {}).get(name)
            yield Figure(f"video to windows, stride 8, {name}", against, *ratio, same[name], goal)
        for name, recognizer in recognizers.items():
            share = compare(sparse[name], partial(cnn_alone, recognizer))
            yield Figure(f"share of the CNN's own speed, {name}", "the CNN alone", *share, "same runtime", 0.85)
        dense = {name: whole(recognizers[name], 1) for name in ("torch", "openvino-int8") if name in recognizers}
        for (name, against), ratio in compare_all(dense, dense_baselines, rounds=1, warm_up=False).items():
            goal = 40.0 if against.startswith("plain") else None
            yield Figure(f"video to windows, stride 1, {name}", against, *ratio, same[name], goal)


def _check(what: str, found: np.ndarray, expected: np.ndarray, tolerance: float) -> float:
    error = float(np.abs(found - expected).max())
    if error > tolerance or (found.argmax(-1) != expected.argmax(-1)).any():
        raise SystemExit(f"{what}: the answers differ by {error}: nothing was timed")
    return error
