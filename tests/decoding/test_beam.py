"""Beam search against enumeration of every sequence, and against one written for one sequence."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.decoding.toy_steps import (
    BOS,
    EOS,
    PAD,
    RULES,
    Prefixes,
    every_ended_sequence,
    log_probs_after,
    start,
    toy_step,
)
from torch import Tensor

from lrcn.decoding import Hypothesis, TokenRules, beam_search, greedy_search


@pytest.mark.parametrize("length_penalty", [0.0, 0.7, 1.0])
def test_a_wide_beam_finds_the_best_of_all_sequences(length_penalty: float) -> None:
    seeds = list(range(20))
    found = beam_search(
        toy_step(),
        start(seeds),
        batch_size=20,
        rules=RULES,
        beam_size=64,
        num_captions=5,
        length_penalty=length_penalty,
    )
    for seed, hypotheses in zip(seeds, found, strict=True):
        everything = sorted(every_ended_sequence(seed, RULES), key=lambda h: -h.score(length_penalty))[:5]
        assert [h.token_ids for h in hypotheses] == [h.token_ids for h in everything]
        assert [h.log_prob for h in hypotheses] == pytest.approx([h.log_prob for h in everything], abs=1e-9)


def textbook_beam(seed: int, rules: TokenRules, beam_size: int, length_penalty: float) -> list[tuple[float, tuple]]:
    """Beam search to the last step for one sequence, greedy's beginning always kept, nothing stopped early."""
    lanes, ended, greedy = [(0.0, ())], [], ()
    for _ in range(rules.max_length):
        after = {}
        for log_prob, ids in lanes:
            row = log_probs_after((seed, BOS, *ids), 7, 1.5).tolist()
            after |= {(*ids, t): log_prob + row[t] for t in range(7) if t not in rules.banned_ids}
        if greedy is not None:
            greedy = max((ids for ids in after if ids[:-1] == greedy), key=lambda ids: after[ids])
        order = sorted(after, key=lambda ids: -after[ids])
        ended += [ids for ids in order[:beam_size] if ids[-1] == EOS]
        lanes = [ids for ids in order if ids[-1] != EOS][:beam_size]
        if greedy is not None and greedy[-1] == EOS:
            ended += [greedy] if greedy not in ended else []
            greedy = None
        elif greedy is not None and greedy not in lanes:
            lanes[-1] = greedy
        ended = [(ids if isinstance(ids[0], float) else (after[ids], ids)) for ids in ended]
        lanes = [(after[ids], ids) for ids in lanes]
    return sorted(((p / len(ids) ** length_penalty, ids) for p, ids in ended), reverse=True)


@settings(deadline=None, max_examples=40)
@given(
    seeds=st.lists(st.integers(0, 10**6), min_size=1, max_size=4),
    beam_size=st.integers(1, 6),
    length_penalty=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_stopping_early_changes_nothing(seeds: list[int], beam_size: int, length_penalty: float) -> None:
    rules = TokenRules(bos_id=BOS, eos_id=EOS, banned_ids=(PAD, BOS), max_length=6)
    found = beam_search(
        toy_step(), start(seeds), batch_size=len(seeds), rules=rules, beam_size=beam_size, length_penalty=length_penalty
    )
    for seed, (best,) in zip(seeds, found, strict=True):
        expected = textbook_beam(seed, rules, beam_size, length_penalty)
        if expected:
            assert best.ended
            assert (*best.token_ids, EOS) == expected[0][1]
            assert best.score(length_penalty) == pytest.approx(expected[0][0], abs=1e-9)
        else:
            assert not best.ended


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), beam_size=st.integers(1, 5), length_penalty=st.sampled_from([0.0, 1.0]))
def test_beam_search_is_never_worse_than_greedy(seed: int, beam_size: int, length_penalty: float) -> None:
    rules = TokenRules(bos_id=BOS, eos_id=EOS, max_length=8)
    step = toy_step(vocabulary_size=12, sharpness=0.7)
    [[greedy]] = greedy_search(step, start([seed]), batch_size=1, rules=rules)
    [[best]] = beam_search(
        step, start([seed]), batch_size=1, rules=rules, beam_size=beam_size, length_penalty=length_penalty
    )
    if beam_size == 1 and length_penalty == 0.0:  # normalised by length, a longer one may win
        assert best == greedy
    assert (best.ended, best.score(length_penalty) + 1e-9) >= (greedy.ended, greedy.score(length_penalty))


def test_the_beginning_greedy_search_follows_keeps_its_place() -> None:
    """Greedy takes 4, 6, end (probability 0.4 x 0.2); a beam of two would follow the two beginnings 5, 6 and 5, 7."""
    flat = torch.full((30,), 1 / 26)
    flat[:4] = 0
    table = {
        (BOS,): {4: 0.4, 5: 0.35, 6: 0.25},
        (BOS, 4): {6: 0.2, **dict.fromkeys(range(7, 15), 0.1)},
        (BOS, 5): {6: 0.5, 7: 0.5},
        (BOS, 4, 6): {EOS: 1.0},
    }

    def step(tokens: Tensor, state: Prefixes) -> tuple[Tensor, Prefixes]:
        rows = tuple((*row, token) for row, token in zip(state.rows, tokens.tolist(), strict=True))
        probs = torch.stack([flat.clone() if row not in table else torch.zeros(30) for row in rows])
        for row, prefix in zip(probs, rows, strict=True):
            for token, prob in table.get(prefix, {}).items():
                row[token] = prob
            if prefix not in table and len(prefix) > 3:
                row.zero_()[EOS] = 1
        return probs.log(), Prefixes(rows)

    [[best]] = beam_search(step, Prefixes(((),)), batch_size=1, rules=RULES, beam_size=2)
    assert best == Hypothesis((4, 6), pytest.approx(math.log(0.08)), ended=True)


def test_beam_search_returns_when_no_token_is_possible() -> None:
    def stuck(tokens: Tensor, state: Prefixes) -> tuple[Tensor, Prefixes]:
        return torch.full((len(tokens), 6), -math.inf), state

    [[hypothesis]] = beam_search(stuck, start([0]), batch_size=1, rules=RULES, beam_size=3)
    assert hypothesis == Hypothesis((), 0.0, ended=False)


def test_a_beam_may_be_wider_than_the_vocabulary() -> None:
    [hypotheses] = beam_search(toy_step(), start([3]), batch_size=1, rules=RULES, beam_size=500, num_captions=500)
    assert len({(h.token_ids, h.ended) for h in hypotheses}) == len(hypotheses)
    assert sum(h.ended for h in hypotheses) == len(every_ended_sequence(3, RULES))
