"""One live frame in, the answer of its window out: exact windows of features, against running the window again.

The plain ways keep the last 16 frames, transformed, and push them all through the network of `plain.py` for each new
frame: through the CNN one after the other, or in one call. The kind one calls our network object, channels last.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator

import numpy as np
import torch
from PIL import Image

from benchmarks.plain import TRANSFORM, PlainNetwork
from benchmarks.subjects import CLIP_LENGTH, MEAN, alexnet_lstm, runtimes
from benchmarks.timing import Figure
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.inference.recognition.streaming import StreamingRecognizer
from lrcn.models.recognition import RecognitionModel

GOALS = {"torch": 15.0, "torch-bf16": 30.0, "openvino": 15.0, "openvino-bf16": 30.0, "openvino-int8": 48.0}
ROUNDS, PER_ROUND = 8, 12
"""Frames pushed between two runs of each baseline."""


class PlainStream:
    """The common live loop: a queue of frames, and the whole of it through the network at each new one."""

    def __init__(self, network: PlainNetwork, encode: Callable[[torch.Tensor], torch.Tensor]) -> None:
        """Take the network and how its CNN is called."""
        self._network = network
        self._encode = encode
        self._frames: deque[torch.Tensor] = deque(maxlen=CLIP_LENGTH)

    @torch.inference_mode()
    def push(self, frame: np.ndarray) -> np.ndarray | None:
        """Return the probabilities `(A,)` once there are 16 frames."""
        self._frames.append(TRANSFORM(Image.fromarray(frame)))
        if len(self._frames) < CLIP_LENGTH:
            return None
        return self._network.probs(self._encode(torch.stack(list(self._frames))[None]))[0].numpy()


class KindStream:
    """The same with our network object and one CNN call for all frames."""

    def __init__(self, model: RecognitionModel) -> None:
        """Take the network."""
        self._model = model
        self._frames: deque[np.ndarray] = deque(maxlen=CLIP_LENGTH)

    @torch.inference_mode()
    def push(self, frame: np.ndarray) -> np.ndarray | None:
        """As `PlainStream.push`."""
        self._frames.append(frame)
        if len(self._frames) < CLIP_LENGTH:
            return None
        crop = torch.from_numpy(np.stack(self._frames)[:, 6:233, 46:273].copy()).permute(0, 3, 1, 2).float()
        features = self._model.encode(crop - torch.tensor(MEAN).view(3, 1, 1))
        return self._model(features[None]).softmax(-1).mean(1)[0].numpy()


def run() -> Iterator[Figure]:
    """Check that the answers agree, then time."""
    header, model = alexnet_lstm()
    network = PlainNetwork(model)
    frames = np.random.default_rng(0).integers(0, 256, (40, 240, 320, 3), dtype=np.uint8)
    with runtimes(header, model) as found:
        for name, runtime in found.items():
            streaming = StreamingRecognizer(Recognizer(header, runtime), clip_stride=1, top_k=101)
            baselines: dict[str, PlainStream | KindStream] = {
                "plain: its window again, frame by frame": PlainStream(network, network.encode_in_a_loop),
                "plain: its window again, one CNN call": PlainStream(network, network.encode_together),
                "kind: its window again, one CNN call": KindStream(model),
            }
            for t in range(CLIP_LENGTH):
                segment = streaming.push(frames[t], t / 25)
                expected = {against: stream.push(frames[t]) for against, stream in baselines.items()}
            assert segment is not None
            probs = np.array([entry.prob for entry in sorted(segment.top, key=lambda entry: entry.label_id)])
            error = max(float(np.abs(probs - theirs).max()) for theirs in expected.values() if theirs is not None)
            if error > (1e-5 if name in ("torch", "openvino") else 5e-3):
                raise SystemExit(f"{name}: the answers differ by {error}: nothing was timed")
            ratios: dict[str, list[float]] = {against: [] for against in baselines}
            pushes_s = []
            for number in range(ROUNDS):
                times = []
                for i in range(PER_ROUND):
                    t = CLIP_LENGTH + number * PER_ROUND + i
                    start = time.perf_counter()
                    streaming.push(frames[t % 40], t / 25)
                    times.append(time.perf_counter() - start)
                for against, stream in baselines.items():
                    start = time.perf_counter()
                    stream.push(frames[number])
                    ratios[against].append((time.perf_counter() - start) / float(np.median(times)))
                pushes_s += times
            median, p99 = np.percentile(pushes_s, [50, 99])
            title = f"push one live frame, {name} ({1000 * median:.1f} ms, p99 {p99 / median:.1f}x)"
            for against, found_ratios in ratios.items():
                goal = GOALS[name] if against.startswith("plain") else None
                middle = float(np.median(found_ratios))
                same = f"same probabilities to {error:.0e}"
                yield Figure(title, against, middle, min(found_ratios), max(found_ratios), same, goal)
