from __future__ import annotations

import numpy as np
import torch
from benchmarks.simple_probes import FREEDOMS, VECTORS, fit_probe


def test_vectors_of_a_clip() -> None:
    features = np.array([[0.0, 1.0], [2.0, 1.0], [0.0, 1.0], [2.0, 5.0]], np.float32)
    vectors = {name: vector(features).tolist() for name, vector in VECTORS.items()}
    assert vectors["middle frame"] == [0.0, 1.0]
    assert vectors["mean"] == [1.0, 2.0]
    assert vectors["six frames joined"] == [0, 1, 2, 1, 2, 1, 0, 1, 0, 1, 2, 5]
    expected = [1.0, 2.0, 1.0, 3**0.5, 2.0, 4 / 3]
    np.testing.assert_allclose(vectors["mean, deviation, mean absolute change"], expected, rtol=1e-6)


def test_vectors_of_one_frame_have_the_same_size() -> None:
    for vector in VECTORS.values():
        assert len(vector(np.ones((1, 3), np.float32))) == len(vector(np.ones((9, 3), np.float32)))


def _made(seed: int, *, num_groups: int = 8) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """Three classes told by three of 50 values of very unlike size; every group has an offset of its own."""
    rng = np.random.default_rng(seed)
    labels = np.tile([0, 1, 2], 4 * num_groups)
    groups = np.repeat(np.arange(num_groups), 12)
    rows = rng.normal(size=(len(labels), 50)) + rng.normal(size=(num_groups, 50))[groups]
    rows[np.arange(len(labels)), labels] += 4
    rows *= 10.0 ** (np.arange(50) % 6 - 3)
    return torch.from_numpy(rows).float(), torch.from_numpy(labels), [f"{seed}-{group}" for group in groups]


def test_a_probe_finds_what_tells_classes_apart() -> None:
    rows, labels, groups = _made(0)
    probe = fit_probe(rows, labels, groups, num_classes=3)
    others, right, _ = _made(1)
    assert probe.freedom in FREEDOMS
    assert (probe.predict(others) == right.numpy()).mean() > 0.9


def test_fewer_clips_than_values_and_fewer_values_than_clips_agree() -> None:
    rows, labels, groups = _made(0)
    wide = torch.cat([rows, torch.zeros(len(rows), 200)], dim=1)  # values that never change add nothing
    narrow, padded = (fit_probe(each, labels, groups, num_classes=3) for each in (rows, wide))
    assert narrow.freedom == padded.freedom
    np.testing.assert_allclose(narrow.weight.numpy(), padded.weight[:, :50].numpy(), atol=1e-3)
