"""One epoch of training the head: on cached features, against the plain epoch that runs the CNN each time.

64 clips of 16 frames, AlexNet fc6, LSTM 256, batches of 8. The cached epoch does less work: the CNN is not
fine-tuned and its views were drawn once. That is the point of it, and what it gives up.
"""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.timing import Figure, compare
from lrcn.config import BackboneConfig, PreprocessConfig, RecognitionConfig
from lrcn.models.recognition import RecognitionModel, frame_loss
from lrcn.video.transforms import Preprocess

NUM_CLIPS, CLIP_LENGTH, BATCH = 64, 16, 8


def run() -> list[Figure]:
    """Check that both epochs see the same features, then time."""
    torch.manual_seed(0)
    config = RecognitionConfig(backbone=BackboneConfig(name="alexnet", layer="fc6"), num_classes=14)
    model = RecognitionModel(config)
    model.freeze_backbone()
    preprocess = Preprocess(PreprocessConfig(resize=(240, 320), crop=227))
    frames = np.random.default_rng(0).integers(0, 256, (NUM_CLIPS, CLIP_LENGTH, 240, 320, 3), dtype=np.uint8)
    labels = torch.arange(NUM_CLIPS) % 14
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3)

    def step(features: torch.Tensor, clips: slice) -> None:
        loss = frame_loss(model(features), labels[clips])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def plain_features(clip: int) -> torch.Tensor:
        # the common loop: the CNN looks at one frame after the other
        with torch.no_grad():
            return torch.cat([model.encode(preprocess(frame[None])) for frame in frames[clip]])

    def plain_epoch() -> None:
        for first in range(0, NUM_CLIPS, BATCH):
            clips = range(first, first + BATCH)
            step(torch.stack([plain_features(clip) for clip in clips]), slice(first, first + BATCH))

    with torch.no_grad():
        cached = torch.stack([model.encode(preprocess(clip)) for clip in frames]).half()
    error = float((cached[0].float() - plain_features(0)).abs().max() / cached[0].abs().max())
    if error > 1e-3:
        raise SystemExit(f"the features differ by {error}: nothing was timed")

    def cached_epoch() -> None:
        for first in range(0, NUM_CLIPS, BATCH):
            step(cached[first : first + BATCH].float(), slice(first, first + BATCH))

    ratio = compare(cached_epoch, plain_epoch, rounds=3)
    name = "training epoch of the head, AlexNet fc6 + LSTM 256"
    return [
        Figure(
            name, "CNN frame by frame, each epoch", *ratio, same=f"features equal to {error:.0e} (float16)", goal=100
        )
    ]
