"""Heads that judge several behaviours at once: each class by its own sigmoid, whatever the others are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.models.heads.training_clips import clips

from lrcn.config import RecognitionConfig
from lrcn.models.heads import Head, build_head, frame_loss

HEADS = ["lstm", "frame", "mean", "statistics", "lstm+statistics", "lstm+mean"]


def head_of(name: str, **changes: Any) -> Head:
    torch.manual_seed(0)
    settings = {"hidden_size": 5, "embedding_size": 4, "change_memory": (0.0, 0.9), **changes}
    head = build_head(RecognitionConfig(num_classes=3, multi_label=True, head=name, **settings), 3).eval()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return head


@pytest.mark.parametrize("name", HEADS)
def test_probabilities_are_of_each_class_alone_and_never_see_the_padding(name: str) -> None:
    head = head_of(name)
    features = torch.randn(4, 6, 3)
    lengths = torch.tensor([6, 1, 3, 6])
    probs = head.clip_probs(features, lengths)
    assert not torch.allclose(probs.sum(dim=1), torch.ones(4))
    assert ((probs > 0) & (probs < 1)).all()
    padded = features.clone()
    for number, length in enumerate(lengths.tolist()):
        padded[number, length:] = 99.0
        alone = head.clip_probs(features[number : number + 1, :length])
        torch.testing.assert_close(probs[number : number + 1], alone, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(head.clip_probs(padded, lengths), probs)
    embedded = head.embed(features.flatten(0, 1)).unflatten(0, (4, 6))
    torch.testing.assert_close(head.embedded_clip_probs(embedded, lengths), probs, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", HEADS)
def test_logits_are_those_of_the_probabilities(name: str) -> None:
    head = head_of(name)
    logits = head(torch.randn(4, 6, 3))
    expected = 1 / (1 + np.exp(-logits.detach().double().numpy()))
    np.testing.assert_allclose(head.probs_of(logits).detach(), expected, rtol=1e-5)
    probs = torch.tensor([[0.0, 1e-6, 0.3], [0.999, 0.5, 1.0]])
    torch.testing.assert_close(head.probs_of(head.logits_of(probs)), probs, atol=1e-6, rtol=1e-5)


def test_steps_say_what_the_parts_say() -> None:
    head = head_of("lstm+mean")
    features = torch.randn(2, 5, 3)
    state = head.initial_state(2)
    parts = [part.initial_state(2) for part in head.heads]
    for frame in features.unbind(1):
        logits, state = head.step(frame, state)
        said = []
        for number, part in enumerate(head.heads):
            of_part, parts[number] = part.step(frame, parts[number])
            said.append(of_part.sigmoid())
        torch.testing.assert_close(head.probs_of(logits), torch.stack(said).mean(dim=0), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_loss_is_the_binary_cross_entropy_of_valid_frames(smoothing: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3, 4, 2)) * 3
    shown = np.array([[0, 0], [1, 0], [1, 1]])
    lengths = [4, 1, 3]
    probs = 1 / (1 + np.exp(-logits))
    errors = []
    for clip, length in enumerate(lengths):
        for frame in range(length):
            for label in range(2):
                share = shown[clip, label] * (1 - smoothing) + smoothing / 2
                prob = probs[clip, frame, label]
                errors.append(-share * np.log(prob) - (1 - share) * np.log(1 - prob))
    logits[1, 1:] = 55.0
    found = frame_loss(
        torch.from_numpy(logits), torch.from_numpy(shown).float(), torch.tensor(lengths), label_smoothing=smoothing
    )
    assert found.item() == pytest.approx(np.mean(errors), rel=1e-6)


def test_one_class_at_a_time_is_as_it_was() -> None:
    config = RecognitionConfig(num_classes=2, head="lstm+statistics", hidden_size=4)
    head = build_head(config, 3).eval()
    train = clips()
    head.fit(lambda: [train])
    probs = head.clip_probs(train.features)
    torch.testing.assert_close(probs.sum(dim=1), torch.ones(len(probs)))
    torch.testing.assert_close(head(train.features).softmax(-1).squeeze(1), probs)
