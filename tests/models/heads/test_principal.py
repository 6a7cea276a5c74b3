"""The main directions of features and of their changes."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from lrcn.config import RecognitionConfig
from lrcn.models.heads import LSTMHead, TrainingClips, build_head
from lrcn.models.heads.lstm import change_from_averages
from lrcn.models.heads.principal import Sample


def test_a_principal_embedding_has_the_main_directions_of_frames_and_changes() -> None:
    torch.manual_seed(0)
    config = RecognitionConfig(
        num_classes=2,
        hidden_size=4,
        standardise=True,
        embedding_size=2,
        embedding_kind="principal",
        change_memory=(0.0, 0.9),
    )
    head = build_head(config, 6)
    assert isinstance(head, LSTMHead)
    assert head.embedding is not None
    rng = np.random.default_rng(0)
    scene, motion = rng.normal(size=(30, 1)).repeat(9, axis=1), rng.choice([-1.0, 1.0], size=(30, 9)).cumsum(axis=1)
    columns = [scene, 3 * scene, -scene, motion, -2 * motion, np.zeros((30, 9))]
    noisy = np.stack(columns, axis=2) + rng.normal(size=(30, 9, 6)) * 0.05
    features = torch.from_numpy(noisy.astype(np.float32))
    ones = torch.ones(30)
    before = torch.random.get_rng_state()
    head.fit(lambda: [TrainingClips(features, ones.long() * 9, ones.long(), ones)])
    assert torch.equal(torch.random.get_rng_state(), before)
    values = head.embedding(head.standardised(features))
    torch.testing.assert_close(values.square().mean(dim=(0, 1)), torch.ones(2), atol=1e-3, rtol=0)
    of_frames, of_changes = values.numpy().transpose(2, 0, 1)
    assert abs(np.corrcoef(of_frames.ravel(), scene.ravel())[0, 1]) > 0.99
    changes = np.diff(of_changes, axis=1).ravel(), np.diff(motion, axis=1).ravel()
    assert abs(np.corrcoef(*changes)[0, 1]) > 0.95
    inputs = change_from_averages(values, head.change_memory) * head.input_scale[2:]
    torch.testing.assert_close(inputs.square().mean(dim=(0, 1)), torch.ones(4), atol=1e-3, rtol=0)
    assert not head.embedding.weight.requires_grad


@given(st.lists(st.integers(0, 40), max_size=12), st.integers(1, 20))
def test_a_sample_is_rows_at_equal_distances(sizes: list[int], most: int) -> None:
    sample, rows = Sample(most), torch.arange(sum(sizes)).unsqueeze(1)
    sample.push(rows[:0])
    for part in rows.split(sizes):
        sample.push(part)
    kept = sample.rows().squeeze(1)
    assert len(kept) <= most
    if len(kept) > 1:
        step = int(kept[1] - kept[0])
        assert kept.tolist() == list(range(0, len(rows), step))
        assert step == 1 or len(kept) > most / 2 - 1
