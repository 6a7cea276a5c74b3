"""Steps that stand for a model: every prefix has its own probabilities."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from lrcn.decoding import Hypothesis, TokenRules

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
