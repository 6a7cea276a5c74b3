"""The statistics head against NumPy, and its classifier against scikit-learn's equations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.models.heads.training_clips import clips

from lrcn.config import RecognitionConfig
from lrcn.models.heads import StatisticsHead, TrainingClips, build_head
from lrcn.models.heads.statistics import clip_statistics, logistic_regression


@given(st.integers(1, 6), st.integers(0, 2**31))
def test_statistics_are_numpys_and_never_see_the_padding(length: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    padded = rng.normal(size=(2, 6, 3)).astype(np.float32)
    clip = padded[0, :length]
    change = np.abs(np.diff(clip, axis=0)).mean(axis=0) if length > 1 else np.zeros(3)
    expected = np.concatenate([clip.mean(axis=0), clip.std(axis=0), change])
    padded[0, length:] = np.nan
    found = clip_statistics(torch.from_numpy(padded), torch.tensor([length, 6]))
    np.testing.assert_allclose(found[0], expected, atol=1e-6)
    np.testing.assert_allclose(clip_statistics(torch.from_numpy(clip[None]))[0], expected, atol=1e-6)


@pytest.mark.parametrize(("rows", "size"), [(12, 40), (60, 5)], ids=["fewer rows", "more rows"])
def test_logistic_regression_is_at_its_minimum(rows: int, size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(rows, size, generator=generator)
    labels = torch.arange(rows) % 3
    weights = torch.rand(rows, generator=generator) + 0.1
    weight, bias = logistic_regression(inputs, labels, weights, num_classes=3, freedom=0.7)
    weight, bias = weight.double().requires_grad_(), bias.double().requires_grad_()
    errors = torch.nn.functional.cross_entropy(inputs.double() @ weight.T + bias, labels, reduction="none")
    ((errors * weights).sum() + weight.square().sum() / (2 * 0.7)).backward()  # convex: no gradient, the minimum
    assert weight.grad is not None
    assert bias.grad is not None
    assert weight.detach().abs().max() > 0.05
    assert max(float(weight.grad.abs().max()), float(bias.grad.abs().max())) < 5e-5 * float(weights.sum())


def test_clips_that_come_twice_are_no_trouble() -> None:
    inputs = torch.randn(10, 40, generator=torch.Generator().manual_seed(0)).repeat(3, 1)
    labels = torch.arange(10).repeat(3) % 2
    weight, _ = logistic_regression(inputs, labels, torch.ones(30), num_classes=2, freedom=1.0)
    once, _ = logistic_regression(inputs[:10], labels[:10], torch.full((10,), 3.0), num_classes=2, freedom=1.0)
    torch.testing.assert_close(weight, once, atol=1e-4, rtol=0)


def test_it_learns_at_once_what_changes_and_no_step_changes_it_again() -> None:
    head = StatisticsHead(RecognitionConfig(num_classes=2), 3)
    train, test = clips(), clips(1)
    head.fit(lambda: [TrainingClips(*(part[:10] for part in train)), TrainingClips(*(part[10:] for part in train))])
    assert (head.clip_probs(test.features).argmax(dim=1) == test.targets).float().mean() > 0.8
    assert not any(parameter.requires_grad for parameter in head.parameters())
    statistics = (clip_statistics(train.features) - head.shift) * head.scale
    torch.testing.assert_close(statistics.mean(dim=0), torch.zeros(9), atol=1e-4, rtol=0)
    torch.testing.assert_close(statistics.std(dim=0, unbiased=False), torch.ones(9), atol=1e-4, rtol=0)


def test_the_fewer_frames_the_more_the_mean_alone_counts() -> None:
    head = StatisticsHead(RecognitionConfig(num_classes=2), 3)
    train = clips()
    head.fit(lambda: [train])
    for length, share in ((1, 1 / 24), (8, 1 / 3), (20, 2 / 3)):
        features = torch.randn(2, 20, 3) * 5 + 20
        statistics = (clip_statistics(features[:, :length]) - head.shift) * head.scale
        of_change = head.classifier(statistics[:, 3:]).softmax(dim=-1)
        of_mean = head.mean_classifier(statistics[:, :3]).softmax(dim=-1)
        expected = share * of_change + (1 - share) * of_mean
        torch.testing.assert_close(head.clip_probs(features, torch.tensor([length, length])), expected)
        torch.testing.assert_close(head.clip_probs(features[:, :length]), expected)


def test_what_never_changed_in_training_says_nothing() -> None:
    head = build_head(RecognitionConfig(num_classes=2, head="mean", standardise=True), 3)
    train = clips()
    train.features[:, :, 1] = 0.0
    head.fit(lambda: [train])
    assert head.standardised(torch.full((1, 1, 3), 0.1))[0, 0, 1] == 0
