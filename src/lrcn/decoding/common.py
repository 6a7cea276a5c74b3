"""What every way of decoding shares: the step function, the rules for tokens, the hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor

from lrcn.errors import ConfigError


class Selectable(Protocol):
    """The state of several sequences."""

    def select(self, index: Tensor) -> Self:
        """Return the state of sequences `index`, `(M,)` int64 on the state's device."""
        ...


S = TypeVar("S", bound=Selectable)
Step = Callable[[Tensor, S], tuple[Tensor, S]]


@dataclass(frozen=True, kw_only=True)
class TokenRules:
    """Which tokens begin, end and may stand in a sequence, and how many there may be."""

    bos_id: int
    """Token the first step is given; never returned."""
    eos_id: int
    """Token that ends a sequence; never returned."""
    banned_ids: tuple[int, ...] = ()
    """Tokens that are never chosen, for example padding, beginning and unknown word."""
    max_length: int = 20
    """Most tokens of a sequence, its end counted (released LRCN captioning nets were trained on 20)."""

    def __post_init__(self) -> None:
        if self.max_length < 1:
            raise ConfigError(f"max_length must be 1 or more, got {self.max_length}")
        if self.eos_id in self.banned_ids:
            raise ConfigError(f"token {self.eos_id} ends a sequence and cannot be banned")


@dataclass(frozen=True)
class Hypothesis:
    """One generated sequence."""

    token_ids: tuple[int, ...]
    """Tokens between beginning and end."""
    log_prob: float
    """Sum of the model's log probabilities of the tokens and, if it ended, of the end."""
    ended: bool
    """False where it was cut off at `max_length`."""

    def score(self, length_penalty: float = 0.0) -> float:
        """Return the log probability over the number of tokens, the end counted, to the power `length_penalty`."""
        length = float(max(1, len(self.token_ids) + self.ended))
        return float(self.log_prob / length**length_penalty)


def without_banned(log_probs: Tensor, rules: TokenRules) -> Tensor:
    """Return log probabilities `(N, V)`, which are megabytes, with the banned tokens set to minus infinity in place."""
    if not rules.banned_ids:
        return log_probs
    return log_probs.index_fill_(1, torch.tensor(rules.banned_ids, device=log_probs.device), -torch.inf)
