"""What every head has."""

from __future__ import annotations

import numpy as np
import torch
from tests.models.heads.training_clips import clips

from lrcn.config import RecognitionConfig
from lrcn.models.heads import build_head


def test_features_are_standardised_by_the_frames_that_count() -> None:
    head = build_head(RecognitionConfig(num_classes=2, head="lstm", standardise=True, hidden_size=4), 3)
    train = clips()
    lengths = torch.tensor([8, 3] * 12)
    weights = torch.tensor([1.0, 0.5] * 12)
    train.features[1::2, 3:] = torch.nan
    head.fit(lambda: [train._replace(lengths=lengths, weights=weights)])
    rows, share = [], []
    for clip, length, weight in zip(train.features, lengths.tolist(), weights.tolist(), strict=True):
        rows.append(clip[:length].numpy())
        share += [weight / length] * length
    expected = np.average(np.concatenate(rows), axis=0, weights=share)
    np.testing.assert_allclose(head.feature_shift, expected, rtol=1e-5)
    deviation = np.sqrt(np.average((np.concatenate(rows) - expected) ** 2, axis=0, weights=share))
    np.testing.assert_allclose(head.feature_scale, 1 / deviation, rtol=1e-4)
