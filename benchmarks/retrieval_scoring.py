"""Scores of every picture with every sentence, for retrieval, against the training forward pass over all pairs.

Default net (2f, 512 units, 5120 features projected to 512), 400 words, 40 pictures and 40 sentences of 8 words, two
thirds of which are beginnings shared with no other sentence.
"""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.timing import Figure, compare
from lrcn.config import CaptioningConfig
from lrcn.models.caption_scoring import score_sentences
from lrcn.models.captioning import CaptioningModel

NUM_PICTURES, NUM_SENTENCES, LENGTH = 40, 40, 8


def run() -> list[Figure]:
    """Check that the scores agree, then time."""
    torch.manual_seed(0)
    config = CaptioningConfig(
        backbone=None,
        vector_size=5120,
        projection_size=512,
        vocabulary_size=400,
        embedding_size=256,
        hidden_size=512,
    )
    model = CaptioningModel(config).eval()
    rng = np.random.default_rng(0)
    sentences = [[1, 4, *rng.integers(4, 12, 1), *rng.integers(4, 400, LENGTH - 2), 2] for _ in range(NUM_SENTENCES)]
    tokens = torch.tensor(np.array(sentences))
    with torch.no_grad():
        contexts = model.context(torch.randn(NUM_PICTURES, 1, 5120))

    @torch.inference_mode()
    def plain() -> torch.Tensor:
        rows = []
        for context in contexts:
            logits = model(context.expand(NUM_SENTENCES, -1), tokens[:, :-1])
            log_probs = logits.log_softmax(2).gather(2, tokens[:, 1:, None]).squeeze(2)
            rows.append(log_probs.sum(1))
        return torch.stack(rows)

    def ours() -> torch.Tensor:
        return score_sentences(model, contexts, sentences, score_end=True, floor=False)

    error = float((plain() - ours()).abs().max())
    if error > 1e-2:
        raise SystemExit(f"the scores differ by {error}: nothing was timed")
    ratio = compare(ours, plain, rounds=5)
    name = f"retrieval, {NUM_PICTURES} pictures x {NUM_SENTENCES} sentences"
    return [Figure(name, "forward pass, picture by picture", *ratio, same=f"log probabilities equal to {error:.0e}")]
