"""Training step of captions with word logits of valid tokens alone, against logits of the padding too.

The recipe's network (2f, 256 units), 2,700 words, 64 sentences whose lengths spread as those of Flickr8k (11.8 +- 3.6
tokens, 20 at most). Everything else is the same on both sides.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.timing import Figure, compare
from lrcn.config import CaptioningConfig
from lrcn.models.captioning import CaptioningModel, caption_loss
from lrcn.models.pooling import valid_steps

BATCH, NUM_WORDS, FEATURE = 64, 2700, 1280


def run() -> Iterator[Figure]:
    """Check that both losses are equal, then time."""
    rng = np.random.default_rng(0)
    num_tokens = torch.from_numpy(np.clip(rng.normal(11.8, 3.6, BATCH).round().astype(int), 3, 20))
    tokens = torch.from_numpy(rng.integers(4, NUM_WORDS, (BATCH, int(num_tokens.max()) + 1)))
    features = torch.randn(BATCH, 1, FEATURE)
    model = CaptioningModel(
        CaptioningConfig(
            backbone=None,
            vector_size=FEATURE,
            vocabulary_size=NUM_WORDS,
            feature_norm=True,
            projection_size=256,
            embedding_size=128,
            hidden_size=256,
        )
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, fused=True)

    def plain_loss() -> Tensor:
        targets = tokens[:, 1:].masked_fill(~valid_steps(num_tokens, tokens[:, 1:]), -100)
        logits = model(model.context(features), tokens[:, :-1])
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)

    def our_loss() -> Tensor:
        return caption_loss(model, model.context(features), tokens, num_tokens)

    def step(loss: Callable[[], Tensor]) -> Callable[[], None]:
        def run_step() -> None:
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()

        return run_step

    error = abs(plain_loss().item() / our_loss().item() - 1)
    if error > 1e-5:
        raise SystemExit(f"the losses differ by {error}: nothing was timed")
    ratio = compare(step(our_loss), step(plain_loss), rounds=15, clock=time.process_time)
    yield Figure("training step of captions, valid tokens", "all tokens", *ratio, f"loss equal to {error:.0e}")
