"""Greedy search and sampling against the probabilities of the steps."""

from __future__ import annotations

import math

import pytest
import torch
from tests.decoding.toy_steps import BOS, EOS, RULES, every_ended_sequence, log_probs_after, start, toy_step
from torch import Tensor

from lrcn.decoding import Hypothesis, TokenRules, greedy_search, sample


def test_greedy_takes_the_most_probable_token_each_time() -> None:
    seeds = list(range(30))
    found = greedy_search(toy_step(), start(seeds), batch_size=30, rules=RULES)
    for seed, [hypothesis] in zip(seeds, found, strict=True):
        ids, total = (), 0.0
        for _ in range(RULES.max_length):
            row = log_probs_after((seed, BOS, *ids), 7, 1.5).clone()
            row[list(RULES.banned_ids)] = -math.inf
            token = int(row.argmax())
            total += row[token].item()
            if token == EOS:
                break
            ids = (*ids, token)
        assert hypothesis == Hypothesis(ids, pytest.approx(total), ended=token == EOS)


def first_tokens(count: int, **keywords) -> Tensor:
    """Frequencies of the first token over many samples of one sequence."""
    rules = TokenRules(bos_id=BOS, eos_id=EOS, max_length=1)
    keywords |= {"generator": torch.Generator().manual_seed(1), "rules": rules, "batch_size": count}
    found = sample(toy_step(), start([5] * count), **keywords)
    tokens = [h.token_ids[0] if h.token_ids else EOS for [h] in found]
    return torch.bincount(torch.tensor(tokens), minlength=7) / count


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_samples_follow_the_tempered_distribution(temperature: float) -> None:
    expected = (log_probs_after((5, BOS), 7, 1.5) / temperature).softmax(0)
    torch.testing.assert_close(first_tokens(4000, temperature=temperature).double(), expected, atol=0.03, rtol=0)


def test_top_k_and_nucleus_keep_the_most_probable_tokens() -> None:
    probs = log_probs_after((5, BOS), 7, 1.5).exp()
    order = probs.argsort(descending=True)
    assert set(first_tokens(2000, top_k=2).nonzero().squeeze(1).tolist()) == set(order[:2].tolist())
    needed = int((probs[order].cumsum(0) < 0.8).sum()) + 1
    assert set(first_tokens(2000, top_p=0.8).nonzero().squeeze(1).tolist()) == set(order[:needed].tolist())
    assert first_tokens(50, top_p=1e-9)[order[0]] == 1


def test_best_of_many_samples_is_the_most_probable_at_temperature_one() -> None:
    [many] = sample(
        toy_step(),
        start([2]),
        batch_size=1,
        rules=RULES,
        num_samples=400,
        num_captions=400,
        generator=torch.Generator().manual_seed(0),
    )
    everything = {h.token_ids: h.log_prob for h in every_ended_sequence(2, RULES)}
    ended = [h for h in many if h.ended]
    assert len({h.token_ids for h in ended}) == len(ended)
    assert [h.log_prob for h in ended] == sorted((h.log_prob for h in ended), reverse=True)
    assert all(h.log_prob == pytest.approx(everything[h.token_ids], abs=1e-9) for h in ended)
    assert ended[0].token_ids == max(everything, key=everything.__getitem__)


def test_a_seed_gives_the_same_samples() -> None:
    draws = [
        sample(
            toy_step(),
            start([1, 2]),
            batch_size=2,
            rules=RULES,
            num_samples=3,
            temperature=1.5,
            generator=torch.Generator().manual_seed(9),
        )
        for _ in range(2)
    ]
    assert draws[0] == draws[1]
