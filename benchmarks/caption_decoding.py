"""Captions of 64 pictures grown together, against the plain loop over pictures that says the same words.

Two layers of 1000 units (2f, the paper's), 9,000 words, random weights, 20 words a caption. Both sides start from the
pictures' features and compute the context once a picture; the CNN is in neither. The plain loop takes one picture after
the other, and keeps the hypotheses of a beam in a Python list; its beam goes through the network as one batch.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.timing import Figure, compare
from lrcn.config import CaptioningConfig
from lrcn.inference.captioning.search import search_captions
from lrcn.inference.captioning.search_settings import CaptionSearch
from lrcn.models.caption_decoder import TorchCaptionDecoder
from lrcn.models.captioning import CaptioningModel
from lrcn.text import Vocabulary

NUM_PICTURES, NUM_WORDS, LENGTH = 64, 9000, 20
GOALS = {1: 12.0, 5: 8.0, 10: 5.5}
"""By beam size."""
NEVER_SAID = [Vocabulary.PAD, Vocabulary.BOS, Vocabulary.UNK]


@torch.inference_mode()
def plain_greedy(model: CaptioningModel, features: Tensor) -> list[list[int]]:
    """The most probable word, again and again, picture by picture."""
    captions = []
    for feature in features:
        state = model.initial_state(model.context(feature[None, None]))
        words = [Vocabulary.BOS]
        while words[-1] != Vocabulary.EOS and len(words) <= LENGTH:
            log_probs, state = model.step(torch.tensor(words[-1:]), state)
            log_probs[:, NEVER_SAID] = -torch.inf
            words.append(int(log_probs.argmax()))
        captions.append([word for word in words[1:] if word != Vocabulary.EOS])
    return captions


@torch.inference_mode()
def plain_beam(model: CaptioningModel, features: Tensor, size: int) -> list[list[int]]:
    """The `size` most probable beginnings, picture by picture."""
    captions = []
    for feature in features:
        state = model.initial_state(model.context(feature[None, None]))
        alive: list[tuple[float, list[int]]] = [(0.0, [Vocabulary.BOS])]
        done: list[tuple[float, list[int]]] = []
        greedy: list[int] | None = [Vocabulary.BOS]  # as in our search, what greedy search says is never given up
        for _ in range(LENGTH):
            log_probs, state = model.step(torch.tensor([words[-1] for _, words in alive]), state)
            log_probs[:, NEVER_SAID] = -torch.inf
            best = log_probs.topk(size + 1)
            grown = [
                (alive[row][0] + value, [*alive[row][1], word], row)
                for row in range(len(alive))
                for value, word in zip(best.values[row].tolist(), best.indices[row].tolist(), strict=True)
            ]
            grown.sort(key=lambda one: one[0], reverse=True)
            done += [one[:2] for one in grown[:size] if one[1][-1] == Vocabulary.EOS]
            kept = [one for one in grown if one[1][-1] != Vocabulary.EOS][:size]
            if greedy is not None:
                followed = next(one for one in grown if one[1][:-1] == greedy)
                greedy = followed[1]
                if greedy[-1] == Vocabulary.EOS:
                    done.append(followed[:2])
                    greedy = None
                elif followed not in kept:
                    kept[-1] = followed
            alive = [one[:2] for one in kept]
            state = state.select(torch.tensor([row for _, _, row in kept]))
            if done and max(done)[0] >= alive[0][0]:
                break
        captions.append([word for word in max(done or alive)[1][1:] if word != Vocabulary.EOS])
    return captions


def subject() -> tuple[CaptioningModel, Vocabulary, Tensor]:
    """The network, its words, and the features of the pictures."""
    torch.manual_seed(0)
    config = CaptioningConfig(
        backbone=None, vector_size=4096, projection_size=1000, vocabulary_size=NUM_WORDS + len(Vocabulary.SPECIALS)
    )
    model = CaptioningModel(config).eval()
    with torch.no_grad():
        model.classifier.weight.mul_(8.0)  # as sure of its words as a trained network is: no two tie within rounding
        model.embedding.weight.mul_(8.0)
    return model, Vocabulary([f"w{number}" for number in range(NUM_WORDS)]), torch.randn(NUM_PICTURES, 4096)


def run() -> Iterator[Figure]:
    """Check that the words are the same, then time."""
    model, vocabulary, features = subject()
    for size, goal in GOALS.items():
        search = CaptionSearch(beam_size=size, max_length=LENGTH)

        def ours(search: CaptionSearch = search) -> list[str]:
            with torch.inference_mode():
                contexts = model.context(features[:, None])
            # a new decoder each time: it remembers what it has computed of words
            decoder = TorchCaptionDecoder(model)
            return [best[0].text for best in search_captions(decoder, contexts, vocabulary, search)]

        def plain(size: int = size) -> list[list[int]]:
            return plain_greedy(model, features) if size == 1 else plain_beam(model, features, size)

        expected = [" ".join(vocabulary.decode(words)) for words in plain()]
        found = [text.lower() for text in ours()]
        num_equal = sum(a == b for a, b in zip(found, expected, strict=True))
        if num_equal < NUM_PICTURES:
            raise SystemExit(f"beam {size}: {NUM_PICTURES - num_equal} captions differ: nothing was timed")
        name = "greedy" if size == 1 else f"beam {size}"
        ratio = compare(ours, plain, rounds=3)
        yield Figure(f"captions of {NUM_PICTURES} pictures, {name}", "picture by picture", *ratio, "same words", goal)
