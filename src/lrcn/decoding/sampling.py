"""Decode one token after the other: the most probable, or one drawn at random."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from lrcn.decoding.common import Hypothesis, S, Step, TokenRules, without_banned
from lrcn.devices import precise_dtype
from lrcn.errors import ConfigError


@torch.no_grad()
def greedy_search(
    step: Step[S], state: S, *, batch_size: int, rules: TokenRules, device: torch.device | str = "cpu"
) -> list[list[Hypothesis]]:
    """Take the most probable token at every step.

    Args:
        step: The step function.
        state: State of `batch_size` sequences before the first step.
        batch_size: Number of sequences.
        rules: Tokens and length.
        device: Where the step function wants its tokens.

    Returns:
        For each sequence, a list of one hypothesis.
    """
    taken = _roll_out(step, state, lambda log_probs: log_probs.argmax(1), batch_size, rules, device)
    return [[hypothesis] for hypothesis in taken]


@torch.no_grad()
def sample(
    step: Step[S],
    state: S,
    *,
    batch_size: int,
    rules: TokenRules,
    device: torch.device | str = "cpu",
    num_samples: int = 1,
    num_captions: int = 1,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> list[list[Hypothesis]]:
    """Draw sequences at random and keep those the model finds most probable (the paper's best: 100 at T = 1.5).

    Args:
        step: The step function.
        state: State of `batch_size` sequences before the first step.
        batch_size: Number of sequences.
        rules: Tokens and length.
        device: Where the step function wants its tokens.
        num_samples: Draws for each sequence.
        num_captions: Most hypotheses returned for each; equal draws count once.
        temperature: Divides the log probabilities before a token is drawn; the paper's T is 1 / temperature. The log
            probability of a hypothesis is that at temperature 1.
        top_k: Draw from the `top_k` most probable tokens only.
        top_p: Draw from the fewest tokens that hold this much probability only, after `temperature` and `top_k`.
        generator: Source of randomness, on the device of the log probabilities. Draws depend on the whole batch.

    Returns:
        For each sequence, up to `num_captions` hypotheses: those that ended first, then by log probability.

    Raises:
        ConfigError: If a number is out of range.
    """
    if not 1 <= num_captions <= num_samples:
        raise ConfigError(f"num_captions must be between 1 and num_samples ({num_samples}), got {num_captions}")
    if not 0 < temperature < float("inf"):
        raise ConfigError(f"temperature must be above 0, got {temperature}; greedy search is its limit at 0")
    if top_k is not None and top_k < 1:
        raise ConfigError(f"top_k must be 1 or more, got {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ConfigError(f"top_p must be above 0 and at most 1, got {top_p}")

    def draw(log_probs: Tensor) -> Tensor:
        logits = log_probs / temperature
        if top_k is not None and top_k < logits.shape[1]:
            logits = logits.masked_fill(logits < logits.topk(top_k).values[:, -1:], -torch.inf)
        probs = logits.softmax(1)
        if top_p is not None:
            ordered, order = probs.sort(dim=1, descending=True, stable=True)
            beyond = ordered.cumsum(1) - ordered >= top_p  # the first token is never beyond
            probs = probs.scatter(1, order, ordered.masked_fill(beyond, 0))
        return torch.multinomial(probs, 1, generator=generator).squeeze(1)

    rows = torch.arange(batch_size, device=device).repeat_interleave(num_samples)
    drawn = _roll_out(step, state.select(rows), draw, len(rows), rules, device)
    groups = (drawn[start : start + num_samples] for start in range(0, len(drawn), num_samples))
    return [_best(group, num_captions) for group in groups]


def _roll_out(
    step: Step[S],
    state: S,
    choose: Callable[[Tensor], Tensor],
    num_sequences: int,
    rules: TokenRules,
    device: torch.device | str,
) -> list[Hypothesis]:
    """Grow every sequence by the tokens `choose` takes; those that ended drop out of the batch."""
    tokens = torch.full((num_sequences, rules.max_length), rules.eos_id, device=device)
    log_probs = torch.zeros(num_sequences, dtype=precise_dtype(device), device=device)
    growing = torch.arange(num_sequences, device=device)
    last = torch.full((num_sequences,), rules.bos_id, device=device)
    for position in range(rules.max_length):
        step_log_probs, state = step(last, state)
        last = choose(without_banned(step_log_probs, rules))
        tokens[growing, position] = last
        log_probs[growing] += step_log_probs.gather(1, last.unsqueeze(1)).squeeze(1).to(log_probs.dtype)
        kept = (last != rules.eos_id).nonzero().squeeze(1)
        if len(kept) < len(growing):
            growing, last, state = growing[kept], last[kept], state.select(kept)
        if not len(growing):
            break
    cut_off = set(growing.tolist())
    hypotheses = []
    for row, (ids, log_prob) in enumerate(zip(tokens.tolist(), log_probs.tolist(), strict=True)):
        ended = row not in cut_off
        end = ids.index(rules.eos_id) if ended else len(ids)
        hypotheses.append(Hypothesis(tuple(ids[:end]), log_prob, ended))
    return hypotheses


def _best(hypotheses: Iterable[Hypothesis], number: int) -> list[Hypothesis]:
    distinct = {(hypothesis.token_ids, hypothesis.ended): hypothesis for hypothesis in hypotheses}
    return sorted(distinct.values(), key=lambda h: (not h.ended, -h.log_prob))[:number]
