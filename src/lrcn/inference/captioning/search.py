"""From context vectors to captions: the rules for tokens, and the search over one batch."""

from __future__ import annotations

import torch
from torch import Tensor

from lrcn.decoding import Hypothesis, TokenRules, beam_search, greedy_search, sample
from lrcn.inference.captioning.search_settings import CaptionSearch
from lrcn.models.caption_decoder import CaptionDecoder
from lrcn.results import Caption
from lrcn.text import Vocabulary, detokenise

SEQUENCES_AT_ONCE = 1024
"""Sentences, over pictures and beams, that grow together; which bounds the memory."""


def caption_rules(*, max_length: int = 20, unknown_words: bool = False) -> TokenRules:
    """Return which tokens a caption may hold: the one place where searches learn about our vocabulary.

    Args:
        max_length: Most tokens of a caption, its end counted.
        unknown_words: Let the unknown word be chosen, too.
    """
    banned = (Vocabulary.PAD, Vocabulary.BOS) if unknown_words else (Vocabulary.PAD, Vocabulary.BOS, Vocabulary.UNK)
    return TokenRules(bos_id=Vocabulary.BOS, eos_id=Vocabulary.EOS, banned_ids=banned, max_length=max_length)


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
