"""The losses of captioning against enumeration."""

from __future__ import annotations

import itertools

import pytest
import torch
from tests.training.tiny_captions import caption_config

from lrcn.config import CaptioningConfig, PreprocessConfig
from lrcn.data.captioning.datasets import CaptionBatch, Sentence, collate_captions
from lrcn.decoding import Hypothesis
from lrcn.inference.captioning.search import caption_rules
from lrcn.metrics.captioning import cider_d
from lrcn.models.captioning import CaptioningModel
from lrcn.text import Vocabulary
from lrcn.training.captioning.data import sentences_of
from lrcn.training.captioning.module import CaptioningModule, Reward
from lrcn.training.module import RunPlan
from lrcn.training.run_state import RunState

VOCABULARY = Vocabulary(["a", "b"])
RULES = caption_rules(max_length=2)
REFERENCES = (("a b", "b a"), ("b b",))
DRAWS = 20000


def some_model() -> CaptioningModel:
    torch.manual_seed(3)
    config = CaptioningConfig(backbone=None, vector_size=2, vocabulary_size=6, embedding_size=3, hidden_size=4)
    model = CaptioningModel(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.7)
    return model


def module_for(model: CaptioningModel, draws: int, reward: Reward | None) -> CaptioningModule:
    config = caption_config(reward_draws=draws)
    plan = RunPlan(total_steps=1, fixed_statistics=False)
    return CaptioningModule(model, PreprocessConfig(), config, RunState(), plan, rules=RULES, reward=reward)


def possible() -> list[tuple[tuple[int, ...], bool]]:
    """Every caption under the rules: its words, and whether it ends."""
    words = (4, 5)
    ended = [((), True), *(((word,), True) for word in words)]
    return [*ended, *((pair, False) for pair in itertools.product(words, words))]


def expected_reward(model: CaptioningModel, context: torch.Tensor, reward: Reward) -> tuple[torch.Tensor, float]:
    """The mean over all captions of one picture, weighted by their probabilities, and their mean length."""
    total, length = torch.zeros(()), 0.0
    for ids, ended in possible():
        said = [*ids, *([RULES.eos_id] if ended else [])]
        logits = model(context, torch.tensor([[RULES.bos_id, *said[:-1]]]))[0]
        log_probs = logits.index_fill(1, torch.tensor(RULES.banned_ids), -torch.inf).log_softmax(-1)
        prob = log_probs[torch.arange(len(said)), torch.tensor(said)].sum().exp()
        total = total + prob * reward([Hypothesis(ids, 0.0, ended)], [0])[0]
        length += prob.item() * len(said)
    return total, length


@pytest.mark.parametrize("draws", [DRAWS, 2, 1])
def test_self_critical_gradient_is_that_of_the_expected_reward(draws: int) -> None:
    model = some_model()
    reward = Reward(REFERENCES, VOCABULARY)
    module = module_for(model, draws, reward).train()
    features = torch.tensor([[[0.3, -1.0]]])
    expected, length = expected_reward(model, model.context(features), reward)
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    right = torch.cat([grad.flatten() for grad in torch.autograd.grad(expected, weights)])

    pictures = DRAWS // draws
    no_tokens = torch.zeros(pictures, 2, dtype=torch.int64)
    ones = torch.ones(pictures, dtype=torch.int64)
    batch = CaptionBatch(features.expand(pictures, 1, 2), ones, no_tokens, ones, torch.zeros_like(ones))
    torch.manual_seed(0)
    loss = module.loss(batch)
    found = -torch.cat([grad.flatten() for grad in torch.autograd.grad(loss, weights)]) * length
    assert (found - right).norm() < 0.05 * right.norm(), names
    assert module.state.sums["train_cider_d"] == pytest.approx(expected.item(), rel=0.05)


def test_reward_counts_the_end_as_a_word() -> None:
    reward = Reward(REFERENCES, VOCABULARY)
    hypotheses = [Hypothesis((4, 5), 0.0, True), Hypothesis((4, 5), 0.0, False), Hypothesis((5, 5), 0.0, True)]
    found = reward(hypotheses, [0, 0, 1]).tolist()
    assert found[0] > found[1]
    references = [[f"{caption} <eos>" for caption in item] for item in REFERENCES]
    assert [found[0], found[2]] == pytest.approx(cider_d(["a b <eos>", "b b <eos>"], references)["cider_d"].per_item)


def test_without_a_reward_captions_are_forced() -> None:
    model = some_model()
    sentences = [Sentence(0, (1, 4, 5, 2)), Sentence(1, (1, 5, 2))]
    features = torch.randn(2, 1, 2)
    batch = collate_captions([(features[i].numpy(), sentence) for i, sentence in enumerate(sentences)])
    loss = module_for(model, 1, None).loss(batch)
    log_probs = model(model.context(features), batch.tokens[:, :-1]).log_softmax(-1)
    expected = -(log_probs[0, 0, 4] + log_probs[0, 1, 5] + log_probs[0, 2, 2] + log_probs[1, 0, 5] + log_probs[1, 1, 2])
    torch.testing.assert_close(loss, expected / 5)


def test_self_critical_training_has_no_dropout() -> None:
    model = some_model()
    model.output_dropout.p = 0.5
    assert not module_for(model, 2, Reward(REFERENCES, VOCABULARY)).train().model.output_dropout.training
    assert module_for(model, 2, None).train().model.output_dropout.training


def test_sentences_alone_see_an_empty_context() -> None:
    model = some_model()
    batch = collate_captions([(None, Sentence(0, (1, 4, 2)))])
    loss = module_for(model, 1, None).loss(batch)
    log_probs = model(torch.zeros(1, 2), torch.tensor([[1, 4]])).log_softmax(-1)
    torch.testing.assert_close(loss, -(log_probs[0, 0, 4] + log_probs[0, 1, 2]) / 2)


def test_long_captions_are_cut_as_in_the_release() -> None:
    tokens = [(("a", "b"), ("a",) * 5), (("a", "c"),)]
    found = sentences_of(tokens, VOCABULARY, max_length=3)
    assert [sentence.example for sentence in found] == [0, 0, 1]
    assert [sentence.token_ids for sentence in found] == [(1, 4, 5, 2), (1, 4, 4, 4), (1, 4, 3, 2)]
