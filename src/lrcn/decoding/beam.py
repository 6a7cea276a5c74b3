"""Beam search over many sequences at once."""

from __future__ import annotations

import math
from itertools import accumulate

import torch

from lrcn.decoding.common import Hypothesis, S, Step, TokenRules, without_banned
from lrcn.errors import ConfigError


@torch.no_grad()
def beam_search(
    step: Step[S],
    state: S,
    *,
    batch_size: int,
    rules: TokenRules,
    device: torch.device | str = "cpu",
    beam_size: int,
    num_captions: int = 1,
    length_penalty: float = 0.0,
) -> list[list[Hypothesis]]:
    """Follow the `beam_size` most probable beginnings of each sequence at once, and never do worse than greedy search.

    Sequences that ended are kept and compete with those still growing. A sequence is done as soon as nothing that is
    still growing can beat its `num_captions` best. The beginning that greedy search follows always has a place.

    Args:
        step: The step function; called with up to `batch_size * beam_size` sequences.
        state: State of `batch_size` sequences before the first step.
        batch_size: Number of sequences.
        rules: Tokens and length.
        device: Where the step function wants its tokens.
        beam_size: Beginnings followed for each sequence; 1 is greedy search.
        num_captions: Most hypotheses returned for each.
        length_penalty: Rank ended hypotheses by log probability / length ** length_penalty; 0, as in the release,
            favours short ones, 1 ranks by the mean.

    Returns:
        For each sequence, 1 to `num_captions` hypotheses: those that ended first, then by score. There is always one,
        cut off at `max_length` if none ended.

    Raises:
        ConfigError: If a number is out of range.
    """
    if beam_size < 1:
        raise ConfigError(f"beam_size must be 1 or more, got {beam_size}")
    if not 1 <= num_captions <= beam_size:
        raise ConfigError(f"num_captions must be between 1 and beam_size ({beam_size}), got {num_captions}")
    if not length_penalty >= 0:
        raise ConfigError(f"length_penalty must be 0 or more, got {length_penalty}")
    beams = [_Beam(beam_size, num_captions, length_penalty, rules) for _ in range(batch_size)]
    growing = beams
    tokens = torch.full((batch_size,), rules.bos_id, device=device)
    for _ in range(rules.max_length):
        log_probs, state = step(tokens, state)
        log_probs = without_banned(log_probs, rules)
        # One more than the beam is wide: the end may be among them, and the beam must stay full.
        best = log_probs.topk(min(beam_size + 1, log_probs.shape[1]), dim=1)
        values, choices = best.values.tolist(), best.indices.tolist()
        starts = [0, *accumulate(len(beam.lanes) for beam in growing)]
        # of equally probable tokens `topk` names any first; greedy search takes what `argmax` does
        followed = [start + (beam.greedy_lane or 0) for start, beam in zip(starts, growing, strict=False)]
        greedy = log_probs[torch.tensor(followed, device=log_probs.device)].argmax(1).tolist()
        rows: list[int] = []
        for start, end, beam, token in zip(starts, starts[1:], growing, greedy, strict=False):
            parents = beam.grow(values[start:end], choices[start:end], token)
            rows += [start + parent for parent in parents]
        growing = [beam for beam in growing if not beam.done]
        if not growing:
            break
        state = state.select(torch.tensor(rows, device=device))
        tokens = torch.tensor([lane.token_ids[-1] for beam in growing for lane in beam.lanes], device=device)
    return [beam.results() for beam in beams]


class _Beam:
    """The beginnings followed for one sequence (`lanes`), and the hypotheses that ended.

    It is `done` when no lane can come to beat the best hypotheses that ended.
    """

    def __init__(self, size: int, num_captions: int, length_penalty: float, rules: TokenRules):
        self.lanes = [Hypothesis((), 0.0, ended=False)]
        self.done = False
        self.greedy_lane: int | None = 0
        """The lane that greedy search follows, until it ended."""
        self._ended: list[Hypothesis] = []
        self._stuck: list[Hypothesis] = []
        self._size, self._num_captions, self._length_penalty, self._rules = size, num_captions, length_penalty, rules

    def grow(self, values: list[list[float]], choices: list[list[int]], greedy: int) -> list[int]:
        """Grow every lane by a token and keep the best; return the old lane of each, none if the search is over.

        Args:
            values: Log probabilities of the best tokens after each lane, in falling order.
            choices: Those tokens.
            greedy: The token that greedy search takes after the lane which it follows.
        """
        candidates = [
            (self.lanes[lane].log_prob + value, lane, token)
            for lane, (lane_values, tokens) in enumerate(zip(values, choices, strict=True))
            for value, token in zip(lane_values, tokens, strict=True)
            if value > -math.inf
        ]
        candidates.sort(key=lambda candidate: -candidate[0])
        followed = None
        if self.greedy_lane is not None and values[self.greedy_lane][0] > -math.inf:
            log_prob = self.lanes[self.greedy_lane].log_prob + values[self.greedy_lane][0]
            followed = (log_prob, self.greedy_lane, greedy)
        ended = [c for c in candidates[: self._size] if c[2] == self._rules.eos_id]
        kept = [c for c in candidates if c[2] != self._rules.eos_id][: self._size]
        if followed is not None and followed[2] == self._rules.eos_id:
            if followed not in ended:
                ended.append(followed)
            followed = None
        elif followed is not None and followed not in kept:
            kept[-1:] = [followed]
        self._ended += [Hypothesis(self.lanes[lane].token_ids, log_prob, ended=True) for log_prob, lane, _ in ended]
        self.greedy_lane = None if followed is None else kept.index(followed)
        if not kept and not self._ended:
            self._stuck = self.lanes  # no token is possible: what there is must do
        self.lanes = [
            Hypothesis((*self.lanes[lane].token_ids, token), log_prob, ended=False) for log_prob, lane, token in kept
        ]
        self.done = self._is_done()
        return [] if self.done else [lane for _, lane, _ in kept]

    def _is_done(self) -> bool:
        if not self.lanes:
            return True
        if len(self._ended) < self._num_captions:
            return False
        worst = self._ranked()[self._num_captions - 1].score(self._length_penalty)
        # Log probabilities only fall, so this is the most a lane can come to.
        limit = max(lane.log_prob for lane in self.lanes) / float(self._rules.max_length) ** self._length_penalty
        return bool(worst >= limit)

    def results(self) -> list[Hypothesis]:
        """Return the best hypotheses, those that ended first."""
        cut_off = sorted(self.lanes or self._stuck, key=lambda h: -h.score(self._length_penalty))
        return (self._ranked() + cut_off)[: self._num_captions]

    def _ranked(self) -> list[Hypothesis]:
        return sorted(self._ended, key=lambda h: -h.score(self._length_penalty))
