"""What all ways of decoding have in common."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.decoding.toy_steps import EOS, RULES, Prefixes, start, toy_step
from torch import Tensor

from lrcn.decoding import Hypothesis, beam_search, greedy_search, sample
from lrcn.errors import ConfigError


def run_all(seeds: list[int]) -> list[list[list[Hypothesis]]]:
    return [
        greedy_search(toy_step(), start(seeds), batch_size=len(seeds), rules=RULES),
        beam_search(toy_step(), start(seeds), batch_size=len(seeds), rules=RULES, beam_size=3, num_captions=2),
    ]


@settings(deadline=None, max_examples=20)
@given(st.permutations(list(range(6))))
def test_neither_order_nor_company_of_a_batch_matters(seeds: list[int]) -> None:
    for method, alone in zip(run_all(seeds), zip(*(run_all([seed]) for seed in seeds), strict=True), strict=True):
        assert method == [one for [one] in alone]


def never_ends(tokens: Tensor, state: Prefixes) -> tuple[Tensor, Prefixes]:
    log_probs = torch.full((len(tokens), 6), math.log(0.2))
    log_probs[:, EOS] = -math.inf
    return log_probs, state


@pytest.mark.parametrize("beam_size", [1, 3])
def test_decoding_returns_when_nothing_ends(beam_size: int) -> None:
    [[beam], _] = beam_search(never_ends, start([0, 1]), batch_size=2, rules=RULES, beam_size=beam_size)
    [[greedy], _] = greedy_search(never_ends, start([0, 1]), batch_size=2, rules=RULES)
    for hypothesis in (beam, greedy):
        assert not hypothesis.ended
        assert len(hypothesis.token_ids) == RULES.max_length
        assert hypothesis.log_prob == pytest.approx(4 * math.log(0.2))


def test_banned_tokens_never_come_out() -> None:
    seeds = list(range(40))
    keywords = {"batch_size": 40, "rules": RULES}
    found = [
        *greedy_search(toy_step(), start(seeds), **keywords),
        *beam_search(toy_step(), start(seeds), beam_size=4, num_captions=4, **keywords),
        *sample(toy_step(), start(seeds), num_samples=5, num_captions=5, **keywords),
    ]
    assert {token for hypotheses in found for h in hypotheses for token in h.token_ids} == {4, 5, 6}


@pytest.mark.parametrize(
    ("search", "keywords", "message"),
    [
        (beam_search, {"beam_size": 0}, "beam_size must be 1 or more, got 0"),
        (
            beam_search,
            {"beam_size": 2, "num_captions": 3},
            r"num_captions must be between 1 and beam_size \(2\), got 3",
        ),
        (beam_search, {"beam_size": 2, "length_penalty": -1.0}, "length_penalty must be 0 or more, got -1.0"),
        (sample, {"num_captions": 2}, r"num_captions must be between 1 and num_samples \(1\), got 2"),
        (sample, {"temperature": 0.0}, "temperature must be above 0, got 0.0"),
        (sample, {"top_k": 0}, "top_k must be 1 or more, got 0"),
        (sample, {"top_p": 1.5}, "top_p must be above 0 and at most 1, got 1.5"),
    ],
)
def test_wrong_numbers_are_refused(search, keywords, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        search(toy_step(), start([0]), batch_size=1, rules=RULES, **keywords)
