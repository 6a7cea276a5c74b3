"""How captions are searched for: the settings, and one batch of contexts to captions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import torch
from torch import Tensor

from lrcn.decoding import Hypothesis, beam_search, greedy_search, sample
from lrcn.errors import ConfigError
from lrcn.inference.captioning.rules import caption_rules
from lrcn.models.caption_decoder import CaptionDecoder
from lrcn.results import Caption
from lrcn.text import Vocabulary, detokenise

SEQUENCES_AT_ONCE = 1024
"""Sentences, over pictures and beams, that grow together; which bounds the memory."""


@dataclass(frozen=True, kw_only=True)
class CaptionSearch:
    """How captions are searched for."""

    beam_size: int = 5
    """Beginnings of sentences followed at once for each picture; 1 is greedy search (released: 1)."""
    num_captions: int = 1
    """Captions returned for each picture, best first; at most `beam_size`, or `num_samples`."""
    max_length: int = 20
    """Most tokens of a caption, its end counted (released nets were trained on 20)."""
    length_penalty: float = 0.0
    """Rank by log probability / length ** this: 0, as in the release, favours short captions, 1 ranks by the mean."""
    num_samples: int = 0
    """Draw this many captions at random instead, and keep the most probable (the paper's best: 100 at its T = 1.5,
    which is a temperature of 0.667 here); 0 for beam search."""
    temperature: float = 1.0
    """Divides the logits before a word is drawn: below 1 sharpens. The paper and its code multiply instead."""
    top_k: int | None = None
    """Draw from this many most probable words only."""
    top_p: float | None = None
    """Draw from the fewest words that hold this much probability only."""
    seed: int = 0
    """Of the draws: the same picture gets the same captions, whatever else is captioned with it."""
    unknown_words: bool = False
    """Let the model say <unk> where it means a word outside its vocabulary."""

    def __post_init__(self) -> None:
        drawing = {"temperature": 1.0, "top_k": None, "top_p": None}
        for name, default in drawing.items():
            if not self.num_samples and getattr(self, name) != default:
                raise ConfigError(f"{name} belongs to captions drawn at random: set num_samples, too")
        most = self.num_samples or self.beam_size
        if self.num_samples < 0:
            raise ConfigError(f"num_samples must be 0 or more, got {self.num_samples}")
        if self.beam_size < 1:
            raise ConfigError(f"beam_size must be 1 or more, got {self.beam_size}")
        if not 1 <= self.num_captions <= most:
            limit = "num_samples" if self.num_samples else "beam_size"
            raise ConfigError(f"num_captions must be between 1 and {limit} ({most}), got {self.num_captions}")
        if self.max_length < 1:
            raise ConfigError(f"max_length must be 1 or more, got {self.max_length}")


class SearchOptions(TypedDict, total=False):
    """The fields of `CaptionSearch`, as keywords of a call."""

    beam_size: int
    num_captions: int
    max_length: int
    length_penalty: float
    num_samples: int
    temperature: float
    top_k: int | None
    top_p: float | None
    seed: int
    unknown_words: bool


@torch.inference_mode()
def search_captions(
    decoder: CaptionDecoder, contexts: Tensor, vocabulary: Vocabulary, search: CaptionSearch
) -> list[tuple[Caption, ...]]:
    """Return 1 to `num_captions` captions for each context `(N, E)`, best first."""
    rules = caption_rules(max_length=search.max_length, unknown_words=search.unknown_words)
    captions: list[tuple[Caption, ...]] = []
    if search.num_samples:
        for context in contexts:
            # one by one, each with its own generator: draws depend on all sentences that grow together
            generator = torch.Generator(contexts.device).manual_seed(search.seed)
            (drawn,) = sample(
                decoder.step,
                decoder.initial_state(context[None]),
                batch_size=1,
                rules=rules,
                device=contexts.device,
                num_samples=search.num_samples,
                num_captions=search.num_captions,
                temperature=search.temperature,
                top_k=search.top_k,
                top_p=search.top_p,
                generator=generator,
            )
            captions.append(_captions(drawn, vocabulary))
        return captions
    at_once = max(1, SEQUENCES_AT_ONCE // search.beam_size)
    for start in range(0, len(contexts), at_once):
        block = contexts[start : start + at_once]
        state = decoder.initial_state(block)
        if search.beam_size == 1:
            found = greedy_search(decoder.step, state, batch_size=len(block), rules=rules, device=block.device)
        else:
            found = beam_search(
                decoder.step,
                state,
                batch_size=len(block),
                rules=rules,
                device=block.device,
                beam_size=search.beam_size,
                num_captions=search.num_captions,
                length_penalty=search.length_penalty,
            )
        captions += [_captions(hypotheses, vocabulary) for hypotheses in found]
    return captions


def _captions(hypotheses: list[Hypothesis], vocabulary: Vocabulary) -> tuple[Caption, ...]:
    return tuple(
        Caption(detokenise(_words(hypothesis.token_ids, vocabulary)), hypothesis.log_prob) for hypothesis in hypotheses
    )


def _words(ids: tuple[int, ...], vocabulary: Vocabulary) -> list[str]:
    """The words of token ids; `decode` would pass over the unknown word, which stands here only if asked for."""
    words = []
    for number in ids:
        words += [Vocabulary.SPECIALS[Vocabulary.UNK]] if number == Vocabulary.UNK else vocabulary.decode([number])
    return words
