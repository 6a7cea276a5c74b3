"""Heads side by side: their probabilities averaged, each learning for itself."""

from __future__ import annotations

import torch
from tests.models.heads.training_clips import clips

from lrcn.config import RecognitionConfig
from lrcn.models.heads import JointHead, build_head


def test_joint_heads_average_probabilities_and_learn_apart() -> None:
    torch.manual_seed(0)
    config = RecognitionConfig(num_classes=2, head="lstm+statistics", hidden_size=4, input_dropout=0, output_dropout=0)
    head = build_head(config, 3).train()
    assert isinstance(head, JointHead)
    train = clips()
    head.fit(lambda: [train])
    lstm, statistics = head.heads
    expected = lstm.clip_probs(train.features) / 8 + statistics.clip_probs(train.features) * 7 / 8
    torch.testing.assert_close(head.clip_probs(train.features), expected)
    torch.testing.assert_close(head(train.features)[:, 0].softmax(dim=-1), expected)
    embedded = head.embed(train.features.flatten(0, 1)).unflatten(0, (24, 8))
    assert embedded.shape[2] == head.embedded_size
    torch.testing.assert_close(head.embedded_clip_probs(embedded), expected)
    loss = head.loss(train.features, train.targets)
    torch.testing.assert_close(loss, lstm.loss(train.features, train.targets))
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
