"""What every head has."""

from __future__ import annotations

import numpy as np
import torch
from tests.models.heads.training_clips import clips

from lrcn.config import RecognitionConfig
from lrcn.models.heads import TrainingClips, build_head


def test_small_deviations_of_large_values_are_found() -> None:
    # a head that is held still in a large picture: places around 3000 px that move by a third of one
    head = build_head(RecognitionConfig(num_classes=2, head="mean", standardise=True), 2)
    rng = np.random.default_rng(0)
    values = (3000.0 + rng.normal(size=(40, 16, 2)) * [0.3, 300.0]).astype(np.float32)
    lengths = torch.full((40,), 16)
    still = TrainingClips(torch.from_numpy(values), lengths, torch.zeros(40, dtype=torch.int64), torch.ones(40))
    head.fit(lambda: [still])
    found = head.standardised(torch.from_numpy(values)).numpy()
    np.testing.assert_allclose(found.std(axis=(0, 1)), 1.0, rtol=0.01)


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
