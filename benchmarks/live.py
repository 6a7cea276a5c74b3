"""One live frame in, the answer of its window out: exact windows of features, against running the window again."""

from __future__ import annotations

import time

import numpy as np
import torch

from benchmarks.subjects import CLIP_LENGTH, MEAN, alexnet_lstm, runtimes
from benchmarks.timing import Figure
from lrcn.inference.recognizer import Recognizer
from lrcn.inference.streaming import StreamingRecognizer
from lrcn.models.recognition import RecognitionModel

GOALS = {"torch": 15.0, "torch-bf16": 30.0, "openvino": 15.0, "openvino-bf16": 30.0, "openvino-int8": 48.0}
ROUNDS, PER_ROUND = 8, 12
"""Frames pushed between two runs of the baseline."""


@torch.inference_mode()
def run_window_again(model: RecognitionModel, frames: np.ndarray) -> np.ndarray:
    """The common live loop: the newest 16 frames through the CNN, at every frame."""
    crop = torch.from_numpy(frames[:, 6:233, 46:273].copy()).permute(0, 3, 1, 2).float()
    features = model.encode(crop - torch.tensor(MEAN).view(3, 1, 1))
    return model(features[None]).softmax(-1).mean(1)[0].numpy()


def run() -> list[Figure]:
    """Check that the answers agree, then time."""
    header, model = alexnet_lstm()
    frames = np.random.default_rng(0).integers(0, 256, (40, 240, 320, 3), dtype=np.uint8)
    figures = []
    with runtimes(header, model) as found:
        for name, runtime in found.items():
            streaming = StreamingRecognizer(Recognizer(header, runtime), clip_stride=1, top_k=101)
            for t in range(CLIP_LENGTH):
                segment = streaming.push(frames[t], t / 25)
            assert segment is not None
            probs = np.array([entry.prob for entry in sorted(segment.top, key=lambda entry: entry.label_id)])
            error = float(np.abs(probs - run_window_again(model, frames[:CLIP_LENGTH])).max())
            if error > (1e-4 if name in ("torch", "openvino") else 5e-3):
                raise SystemExit(f"{name}: the answers differ by {error}: nothing was timed")
            ratios, pushes_s = [], []
            for number in range(ROUNDS):
                times = []
                for i in range(PER_ROUND):
                    t = CLIP_LENGTH + number * PER_ROUND + i
                    start = time.perf_counter()
                    streaming.push(frames[t % 40], t / 25)
                    times.append(time.perf_counter() - start)
                start = time.perf_counter()
                run_window_again(model, frames[:CLIP_LENGTH])
                ratios.append((time.perf_counter() - start) / float(np.median(times)))
                pushes_s += times
            median, p99 = np.percentile(pushes_s, [50, 99])
            figures.append(
                Figure(
                    f"push one live frame, {name} ({1000 * median:.1f} ms, p99 {p99 / median:.1f}x)",
                    "its window again",
                    float(np.median(ratios)),
                    min(ratios),
                    max(ratios),
                    f"same probabilities to {error:.0e}",
                    GOALS[name],
                )
            )
    return figures
