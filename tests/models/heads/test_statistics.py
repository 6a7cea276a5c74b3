"""The statistics head against NumPy, and its classifier against scikit-learn's equations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lrcn.config import RecognitionConfig
from lrcn.models.heads import JointHead, LSTMHead, StatisticsHead, TrainingClips, build_head
from lrcn.models.heads.lstm import change_from_averages
from lrcn.models.heads.principal import Sample
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


def clips(seed: int = 0, number: int = 24) -> TrainingClips:
    """Clips of two classes that differ in nothing but how fast one of three features changes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(number) % 2
    features = rng.normal(size=(number, 8, 3)).astype(np.float32) * 5 + 20
    calm = np.sort(features[:, :, 0], axis=1)
    features[:, :, 0] = np.where(labels[:, None] == 0, calm, features[:, :, 0])
    return TrainingClips(*(torch.from_numpy(part) for part in (features, np.full(number, 8), labels, np.ones(number))))


def test_it_learns_at_once_what_changes_and_no_step_changes_it_again() -> None:
    head = StatisticsHead(RecognitionConfig(num_classes=2), 3)
    train, test = clips(), clips(1)
    head.fit(lambda: [TrainingClips(*(part[:10] for part in train)), TrainingClips(*(part[10:] for part in train))])
    assert (head.clip_probs(test.features).argmax(dim=1) == test.labels).float().mean() > 0.8
    assert not any(parameter.requires_grad for parameter in head.parameters())
    statistics = (clip_statistics(train.features) - head.shift) * head.scale
    torch.testing.assert_close(statistics.mean(dim=0), torch.zeros(9), atol=1e-4, rtol=0)
    torch.testing.assert_close(statistics.std(dim=0, unbiased=False), torch.ones(9), atol=1e-4, rtol=0)


def test_the_fewer_frames_the_more_the_mean_alone_counts() -> None:
    head = StatisticsHead(RecognitionConfig(num_classes=2), 3)
    train = clips()
    head.fit(lambda: [train])
    for length, share in ((1, 1 / 16), (8, 0.5), (20, 1.0)):
        features = torch.randn(2, 20, 3) * 5 + 20
        statistics = (clip_statistics(features[:, :length]) - head.shift) * head.scale
        of_all = head.classifier(statistics).softmax(dim=-1)
        of_mean = head.mean_classifier(statistics[:, :3]).softmax(dim=-1)
        expected = share * of_all + (1 - share) * of_mean
        torch.testing.assert_close(head.clip_probs(features, torch.tensor([length, length])), expected)
        torch.testing.assert_close(head.clip_probs(features[:, :length]), expected)


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


def test_joint_heads_average_probabilities_and_learn_apart() -> None:
    torch.manual_seed(0)
    config = RecognitionConfig(num_classes=2, head="lstm+statistics", hidden_size=4, input_dropout=0, output_dropout=0)
    head = build_head(config, 3).train()
    assert isinstance(head, JointHead)
    train = clips()
    head.fit(lambda: [train])
    lstm, statistics = head.heads
    expected = lstm.clip_probs(train.features) / 3 + statistics.clip_probs(train.features) * 2 / 3
    torch.testing.assert_close(head.clip_probs(train.features), expected)
    torch.testing.assert_close(head(train.features)[:, 0].softmax(dim=-1), expected)
    embedded = head.embed(train.features.flatten(0, 1)).unflatten(0, (24, 8))
    assert embedded.shape[2] == head.embedded_size
    torch.testing.assert_close(head.embedded_clip_probs(embedded), expected)
    loss = head.loss(train.features, train.labels)
    torch.testing.assert_close(loss, lstm.loss(train.features, train.labels))
    loss.backward()
    assert all((p.grad is None) == (not p.requires_grad) for name, p in head.named_parameters())
    assert not head.has_step


def test_joint_heads_step_where_each_part_does() -> None:
    torch.manual_seed(0)
    config = RecognitionConfig(num_classes=2, head="lstm+mean", hidden_size=4, change_memory=(0.5,))
    head = build_head(config, 3).eval()
    features = torch.randn(2, 5, 3)
    lstm, mean = head.heads
    state = head.initial_state(2)
    parts = [lstm.initial_state(2), mean.initial_state(2)]
    for t in range(5):
        logits, state = head.step(features[:, t], state)
        said = []
        for number, part in enumerate((lstm, mean)):
            own, parts[number] = part.step(features[:, t], parts[number])
            said.append(own.softmax(dim=-1))
        torch.testing.assert_close(logits.softmax(dim=-1), (said[0] + said[1]) / 2)
