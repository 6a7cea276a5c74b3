"""One epoch of training the head: on cached features, against epochs that run the CNN each time.

24 clips of 16 frames, AlexNet fc6, LSTM 256, batches of 8. The plain epoch is the end-to-end one of the network in
`plain.py`: each frame through torchvision's transforms, one time step of the batch through the CNN after the other, and
the gradient through all of it; decoding is left out in its favour. The kind epoch keeps the CNN fixed, without
gradient, and calls our network object frame by frame. The cached epoch does less work than either: the CNN is not
fine-tuned and its views were drawn once. That is the point of it, and what it gives up.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.plain import TRANSFORM, PlainNetwork
from benchmarks.subjects import MEAN, alexnet_lstm
from benchmarks.timing import Figure, compare_all
from lrcn.config import PreprocessConfig
from lrcn.models.recognition import frame_loss
from lrcn.video.transforms import Preprocess

NUM_CLIPS, CLIP_LENGTH, BATCH = 24, 16, 8


def run() -> Iterator[Figure]:
    """Check that all epochs see the same features, then time."""
    _, model = alexnet_lstm()
    network = PlainNetwork(model)
    model.freeze_backbone()
    preprocess = Preprocess(PreprocessConfig(resize=(240, 320), crop=227, mean=MEAN, std=(1.0, 1.0, 1.0)))
    frames = np.random.default_rng(0).integers(0, 256, (NUM_CLIPS, CLIP_LENGTH, 240, 320, 3), dtype=np.uint8)
    labels = torch.arange(NUM_CLIPS) % 14
    head = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-6)
    everything = torch.optim.SGD(network.parameters(), lr=1e-6)

    def step(optimizer: torch.optim.Optimizer, logits: Tensor, first: int) -> None:
        loss = frame_loss(logits, labels[first : first + BATCH])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def plain_features(first: int) -> Tensor:
        clips = [
            torch.stack([TRANSFORM(Image.fromarray(frame)) for frame in clip]) for clip in frames[first : first + BATCH]
        ]
        return network.encode_in_a_loop(torch.stack(clips))

    def plain_epoch() -> None:
        for first in range(0, NUM_CLIPS, BATCH):
            step(everything, network.logits(plain_features(first)), first)

    def kind_features(clip: int) -> Tensor:
        with torch.no_grad():
            return torch.cat([model.encode(preprocess(frame[None])) for frame in frames[clip]])

    def kind_epoch() -> None:
        for first in range(0, NUM_CLIPS, BATCH):
            step(head, model(torch.stack([kind_features(first + i) for i in range(BATCH)])), first)

    with torch.no_grad():
        cached = torch.stack([model.encode(preprocess(clip)) for clip in frames]).half()
        plain_one = plain_features(0)[0]
    error = max(float((cached[0].float() - one).abs().max() / one.abs().max()) for one in (plain_one, kind_features(0)))
    if error > 1e-3:
        raise SystemExit(f"the features differ by {error}: nothing was timed")

    def cached_epoch() -> None:
        for first in range(0, NUM_CLIPS, BATCH):
            step(head, model(cached[first : first + BATCH].float()), first)

    title = "training epoch of the head, AlexNet fc6 + LSTM 256 (less work: no fine-tuning)"
    same = f"features equal to {error:.0e} (float16)"
    goals = {"plain: end to end, one time step after the other": 100.0, "kind: a fixed CNN, frame by frame": None}
    epochs = dict(zip(goals, (plain_epoch, kind_epoch), strict=True))
    for (_, against), ratio in compare_all({"cached": cached_epoch}, epochs, rounds=3).items():
        yield Figure(title, against, *ratio, same, goals[against])
