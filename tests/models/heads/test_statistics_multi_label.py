"""Behaviours that are shown at once are as many regressions as there are: each against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from tests.models.heads.training_clips import clips

from lrcn.config import RecognitionConfig
from lrcn.models.heads import StatisticsHead
from lrcn.models.heads.statistics import logistic_regression


@pytest.mark.parametrize(("rows", "size"), [(20, 40), (80, 5)], ids=["fewer rows", "more rows"])
def test_each_class_is_scikit_learns_regression(rows: int, size: int) -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(rows, size)).astype(np.float32)
    shown = rng.random((rows, 3)) < 0.4
    weights = rng.random(rows) + 0.1
    weight, bias = logistic_regression(
        torch.from_numpy(inputs),
        torch.from_numpy(shown).float(),
        torch.from_numpy(weights).float(),
        num_classes=3,
        freedom=0.7,
    )
    for label in range(3):
        expected = LogisticRegression(C=0.7, tol=1e-8, max_iter=10_000).fit(inputs, shown[:, label], weights)
        np.testing.assert_allclose(weight[label], expected.coef_[0], atol=2e-3)
        np.testing.assert_allclose(bias[label], expected.intercept_[0], atol=2e-3)


def test_it_learns_two_behaviours_that_come_together_and_alone() -> None:
    head = StatisticsHead(RecognitionConfig(num_classes=2, multi_label=True), 3)
    train, test = clips(number=60), clips(1, number=60)
    # the first class is what the clips show, the second their complement but for a third of them, which show both
    for one in (train, test):
        assert one.targets.dim() == 1
    both = torch.arange(60) % 3 == 0
    targets = torch.stack([train.targets == 1, (train.targets == 0) | both], dim=1).float()
    head.fit(lambda: [train._replace(targets=targets)])
    found = head.clip_probs(test.features) > 0.5
    assert (found[:, 0] == (test.targets == 1)).float().mean() > 0.85
    assert not any(parameter.requires_grad for parameter in head.parameters())
