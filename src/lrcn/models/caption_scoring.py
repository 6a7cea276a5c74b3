"""Score many sentences under many contexts: the log probabilities that retrieval ranks by.

What depends on the picture alone (the context's share of the gates) is computed once a picture; what depends on the
words alone (the embeddings, and layers below the context) once a beginning of a sentence; and a beginning that several
sentences share is followed once. The rest, a recurrent product and the word logits, is done for every pair of picture
and beginning: no shortcut is possible there.

Shapes: N contexts, M sentences, P distinct beginnings of one length, K hidden units, V tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lrcn.devices import precise_dtype
from lrcn.errors import DataError
from lrcn.models.captioning import CaptioningModel
from lrcn.models.lstm import LayerWeights, next_cell

PROB_FLOOR = 1e-12
"""Least probability of a word in the released retrieval_experiment.py."""

VALUES_AT_ONCE = 2**24
"""Values of the largest tensor at a time (64 MB in float32), which bounds the memory whatever N and M are."""


@dataclass(frozen=True)
class _Level:
    """The distinct beginnings of one length, as a tree: beginnings of one more token follow them."""

    tokens: Tensor
    """Last token of each, `(P,)`."""
    parents: Tensor
    """Which beginning of the level before each continues, `(P,)`."""


@dataclass(frozen=True)
class _Tree:
    levels: list[_Level]
    """Level 0 holds one beginning: the BOS token."""
    ends: list[tuple[int, int]]
    """For each sentence the level and the place in it of its last token."""


@torch.inference_mode()
def score_sentences(
    model: CaptioningModel, contexts: Tensor, sentences: Sequence[Sequence[int]], *, score_end: bool, floor: bool
) -> Tensor:
    """Return the log probability of every sentence under every context, `(N, M)` float32 on the CPU.

    Args:
        model: In evaluation mode.
        contexts: `(N, E)`, on the model's device.
        sentences: Token ids as `Vocabulary.encode` gives them, from BOS to EOS, with one word or more.
        score_end: Whether the EOS counts; the release leaves it out.
        floor: Whether a word counts at least `PROB_FLOOR`, as in the release.

    Raises:
        DataError: If a sentence holds no word.
    """
    kept = [list(sentence) if score_end else list(sentence[:-1]) for sentence in sentences]
    for number, sentence in enumerate(sentences):
        if len(sentence) < 3:
            raise DataError(f"sentence {number} holds no word: nothing to score")
    scores = torch.empty(len(contexts), len(kept))
    # sorted, so that neighbours share their beginnings; in blocks, so that the tree of a block fits
    order = sorted(range(len(kept)), key=lambda i: kept[i])
    widest = max(model.config.hidden_size * 4, 1)
    at_once = max(1, min(len(kept), VALUES_AT_ONCE // widest))
    for start in range(0, len(order), at_once):
        block = order[start : start + at_once]
        tree = _tree([kept[i] for i in block], contexts.device)
        num_contexts = max(1, VALUES_AT_ONCE // (widest * max(len(level.tokens) for level in tree.levels)))
        for first in range(0, len(contexts), num_contexts):
            some = contexts[first : first + num_contexts]
            scores[first : first + len(some), block] = _score(model, some, tree, floor=floor).cpu()
    return scores


def _tree(sentences: list[list[int]], device: torch.device) -> _Tree:
    levels = [_Level(torch.tensor([sentences[0][0]], device=device), torch.zeros(1, dtype=torch.long, device=device))]
    places = [0] * len(sentences)
    ends = [(0, 0)] * len(sentences)
    for depth in range(1, max(map(len, sentences))):
        found: dict[tuple[int, int], int] = {}
        for number, sentence in enumerate(sentences):
            if depth < len(sentence):
                places[number] = found.setdefault((places[number], sentence[depth]), len(found))
                ends[number] = (depth, places[number])
        parents, tokens = zip(*found, strict=True)
        levels.append(_Level(torch.tensor(tokens, device=device), torch.tensor(parents, device=device)))
    return _Tree(levels, ends)


def _score(model: CaptioningModel, contexts: Tensor, tree: _Tree, *, floor: bool) -> Tensor:
    """Scores `(n, M)` of a tree's sentences."""
    lstm, num = model.lstm, len(contexts)
    below = lstm.context_layer
    layers = [LayerWeights(lstm, index) for index in range(lstm.num_layers)]
    of_context = contexts.to(layers[below].input_weight.dtype) @ layers[below].context_weight.T  # (n, 4K)

    # layers below the context know no picture: their state is (P, K); that of the others (P, n, K)
    state: list[tuple[Tensor, Tensor]] = []
    for index in range(lstm.num_layers):
        zeros = contexts.new_zeros((1, lstm.hidden_size) if index < below else (1, num, lstm.hidden_size))
        state.append((zeros, zeros))
    total = contexts.new_zeros(1, num, dtype=precise_dtype(contexts.device))
    totals = [total]
    for depth, level in enumerate(tree.levels[:-1]):
        inputs = model.embedding(level.tokens)  # (P, D)
        for index, layer in enumerate(layers):
            hidden, cell = (part[level.parents] for part in state[index])
            gates = inputs @ layer.input_weight.T + layer.bias
            if index == below:
                gates = gates.unsqueeze(1) + of_context
            state[index] = next_cell(gates + hidden @ layer.hidden_weight.T, cell)
            inputs = state[index][0]
        following = tree.levels[depth + 1]
        log_probs = _log_probs(model, inputs, following)  # (P', n)
        if floor:
            log_probs = log_probs.clamp(min=math.log(PROB_FLOOR))
        total = total[following.parents] + log_probs.to(total.dtype)
        totals.append(total)
    scores = torch.stack([totals[depth][place] for depth, place in tree.ends], dim=1)
    return scores.float()


def _log_probs(model: CaptioningModel, hidden: Tensor, following: _Level) -> Tensor:
    """Log probability of each following token, given its parent's output `(P, n, K)`: `(P', n)`."""
    num_beginnings, num_contexts, hidden_size = hidden.shape
    at_once = max(1, VALUES_AT_ONCE // (num_contexts * max(hidden_size, model.config.vocabulary_size)))
    normaliser = torch.cat(
        [
            model.classifier(hidden[start : start + at_once]).float().logsumexp(dim=2)
            for start in range(0, num_beginnings, at_once)
        ]
    )
    # the logits wanted are few: a product with their own rows of the classifier
    rows = torch.cat(
        [
            torch.einsum(
                "pch,ph->pc",
                hidden[following.parents[start : start + at_once]],
                model.classifier.weight[following.tokens[start : start + at_once]],
            )
            for start in range(0, len(following.tokens), at_once)
        ]
    )
    logits = rows + model.classifier.bias[following.tokens].unsqueeze(1)
    return logits.float() - normaliser[following.parents]
