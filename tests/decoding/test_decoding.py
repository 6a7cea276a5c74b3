"""Decoding against enumeration of every sequence, and against a beam search written for one sequence."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lrcn.decoding import Hypothesis, TokenRules, beam_search, greedy_search, sample
from lrcn.errors import ConfigError

PAD, BOS, EOS, UNK = range(4)
RULES = TokenRules(bos_id=BOS, eos_id=EOS, banned_ids=(PAD, BOS, UNK), max_length=4)


@dataclass(frozen=True)
class Prefixes:
    """A state that remembers everything: which toy model a row belongs to, and all its tokens."""

    rows: tuple[tuple[int, ...], ...]

    def select(self, index: Tensor) -> Prefixes:
        return Prefixes(tuple(self.rows[i] for i in index.tolist()))


@cache
def log_probs_after(prefix: tuple[int, ...], vocabulary_size: int, sharpness: float) -> Tensor:
    """The toy model: any prefix has its own distribution."""
    generator = torch.Generator().manual_seed(hash(prefix) % 2**31)
    return (sharpness * torch.randn(vocabulary_size, generator=generator, dtype=torch.float64)).log_softmax(0)


def toy_step(vocabulary_size: int = 7, sharpness: float = 1.5):
    def step(tokens: Tensor, state: Prefixes) -> tuple[Tensor, Prefixes]:
        assert len(tokens) == len(state.rows)
        rows = tuple((*row, token) for row, token in zip(state.rows, tokens.tolist(), strict=True))
        return torch.stack([log_probs_after(row, vocabulary_size, sharpness) for row in rows]), Prefixes(rows)

    return step


def start(seeds: list[int]) -> Prefixes:
    return Prefixes(tuple((seed,) for seed in seeds))


def every_ended_sequence(seed: int, rules: TokenRules, vocabulary_size: int = 7) -> list[Hypothesis]:
    words = [token for token in range(vocabulary_size) if token not in (*rules.banned_ids, rules.eos_id)]
    found = []
    for length in range(rules.max_length):
        for ids in itertools.product(words, repeat=length):
            total, prefix = 0.0, (seed, BOS)
            for token in (*ids, EOS):
                total += log_probs_after(prefix, vocabulary_size, 1.5)[token].item()
                prefix = (*prefix, token)
            found.append(Hypothesis(ids, total, ended=True))
    return found


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


def test_beam_search_returns_when_no_token_is_possible() -> None:
    def stuck(tokens: Tensor, state: Prefixes) -> tuple[Tensor, Prefixes]:
        return torch.full((len(tokens), 6), -math.inf), state

    [[hypothesis]] = beam_search(stuck, start([0]), batch_size=1, rules=RULES, beam_size=3)
    assert hypothesis == Hypothesis((), 0.0, ended=False)


def test_a_beam_may_be_wider_than_the_vocabulary() -> None:
    [hypotheses] = beam_search(toy_step(), start([3]), batch_size=1, rules=RULES, beam_size=500, num_captions=500)
    assert len({(h.token_ids, h.ended) for h in hypotheses}) == len(hypotheses)
    assert sum(h.ended for h in hypotheses) == len(every_ended_sequence(3, RULES))


def test_banned_tokens_never_come_out() -> None:
    seeds = list(range(40))
    keywords = {"batch_size": 40, "rules": RULES}
    found = [
        *greedy_search(toy_step(), start(seeds), **keywords),
        *beam_search(toy_step(), start(seeds), beam_size=4, num_captions=4, **keywords),
        *sample(toy_step(), start(seeds), num_samples=5, num_captions=5, **keywords),
    ]
    assert {token for hypotheses in found for h in hypotheses for token in h.token_ids} == {4, 5, 6}


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


@pytest.mark.parametrize(
    ("search", "keywords", "message"),
    [
        (beam_search, {"beam_size": 0}, "beam_size must be 1 or more, got 0"),
        (
            beam_search,
            {"beam_size": 2, "num_captions": 3},
            r"num_captions must be between 1 and beam_size \(2\), got 3",
        ),
        (beam_search, {"length_penalty": -1.0}, "length_penalty must be 0 or more, got -1.0"),
        (sample, {"num_captions": 2}, r"num_captions must be between 1 and num_samples \(1\), got 2"),
        (sample, {"temperature": 0.0}, "temperature must be above 0, got 0.0"),
        (sample, {"top_k": 0}, "top_k must be 1 or more, got 0"),
        (sample, {"top_p": 1.5}, "top_p must be above 0 and at most 1, got 1.5"),
    ],
)
def test_wrong_numbers_are_refused(search, keywords, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        search(toy_step(), start([0]), batch_size=1, rules=RULES, **keywords)


def test_the_end_cannot_be_banned() -> None:
    with pytest.raises(ConfigError, match="token 2 ends a sequence"):
        TokenRules(bos_id=BOS, eos_id=EOS, banned_ids=(EOS,))
