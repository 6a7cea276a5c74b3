"""How well a captioning model describes the validation split: perplexity of the captions, CIDEr-D of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lrcn.config import PreprocessConfig
from lrcn.data.batches import FeatureVideo, stacked
from lrcn.data.captioning.datasets import Sentence, pad_tokens
from lrcn.data.captioning.examples import CaptionExample
from lrcn.decoding import TokenRules, greedy_search
from lrcn.features import TorchEncoder, encode_video
from lrcn.metrics.cider import CIDErScorer
from lrcn.models.captioning import CaptioningModel, caption_loss
from lrcn.text import Vocabulary
from lrcn.training.validation import Sums, Validation

BATCH = 64
"""Examples, and sentences, that go through the LSTM at once."""


@dataclass(frozen=True)
class References:
    """What people said about the examples of a split."""

    sentences: tuple[Sentence, ...]
    """All captions as the model knows them, in the order of the examples."""
    tokens: tuple[tuple[str, ...], ...]
    """The captions of each example as the metrics know them: tokens with single spaces between."""


class CaptionValidation(Validation):
    """Scores of captions: the perplexity follows from the loss of a token."""

    def derived(self, means: Mapping[str, float]) -> dict[str, float]:
        """See `Validation`."""
        return {"val_perplexity": math.exp(min(means["val_loss"], 700.0))}  # beyond, it is no float


class SentenceValidation(CaptionValidation):
    """Loss of sentences without any picture."""

    columns: tuple[str, ...] = ("val_loss",)

    def __init__(self, sentences: Sequence[Sentence]) -> None:
        """Take the sentences."""
        self._sentences = sentences

    def __call__(self, model: CaptioningModel, device: torch.device) -> Sums:
        """Return the score; see `Validation`."""
        contexts = torch.zeros(1, model.context_size, device=device)
        sentences = [Sentence(0, sentence.token_ids) for sentence in self._sentences]
        return {"val_loss": _loss(model, contexts, sentences)}


class FeatureCaptionValidation(CaptionValidation):
    """Validation on known features."""

    columns: tuple[str, ...] = ("val_loss", "val_cider_d")

    def __init__(
        self,
        videos: Sequence[FeatureVideo],
        references: References,
        vocabulary: Vocabulary,
        rules: TokenRules,
        own: range,
    ) -> None:
        """Take the split.

        Args:
            videos: All examples of the split; the first view counts.
            references: Of all examples, because the weight of a word depends on all of them.
            vocabulary: Of the model.
            rules: Of the greedy search.
            own: The examples that this process scores.
        """
        self._videos = videos
        self._sentences: dict[int, list[Sentence]] = {}
        for sentence in references.sentences:
            self._sentences.setdefault(sentence.example, []).append(sentence)
        self._scorer = CIDErScorer(references.tokens)
        self._vocabulary = vocabulary
        self._rules = rules
        self._own = own

    def __call__(self, model: CaptioningModel, device: torch.device) -> Sums:
        """Return the score; see `Validation`."""
        loss_sum, num_tokens, cider_sum = 0.0, 0.0, 0.0
        for start in range(0, len(self._own), BATCH):
            chosen = list(self._own[start : start + BATCH])
            rows = [self._videos[number].window(0, 0, self._videos[number].num_frames) for number in chosen]
            features, lengths = stacked(rows)
            contexts = model.context(features.to(device), lengths)
            sentences = [
                Sentence(row, sentence.token_ids)
                for row, number in enumerate(chosen)
                for sentence in self._sentences[number]
            ]
            loss, tokens = _loss(model, contexts, sentences)
            loss_sum, num_tokens = loss_sum + loss, num_tokens + tokens
            cider_sum += sum(self._scorer.score(self._say(model, contexts, device), chosen))
        return {"val_loss": (loss_sum, num_tokens), "val_cider_d": (cider_sum, len(self._own))}

    def _say(self, model: CaptioningModel, contexts: Tensor, device: torch.device) -> list[str]:
        said = greedy_search(
            model.step, model.initial_state(contexts), batch_size=len(contexts), rules=self._rules, device=device
        )
        return [" ".join(self._vocabulary.decode(hypotheses[0].token_ids)) for hypotheses in said]


class FrameCaptionValidation(CaptionValidation):
    """Validation of a backbone that changes: every example is decoded and encoded anew."""

    columns = FeatureCaptionValidation.columns

    def __init__(
        self,
        examples: Sequence[CaptionExample],
        preprocess: PreprocessConfig,
        references: References,
        vocabulary: Vocabulary,
        rules: TokenRules,
        own: range,
    ) -> None:
        """Take the split; arguments as for `FeatureCaptionValidation`."""
        self._examples = examples
        self._preprocess = preprocess
        self._rest = (references, vocabulary, rules, own)
        self._own = own

    def __call__(self, model: CaptioningModel, device: torch.device) -> Sums:
        """Return the score; see `Validation`."""
        assert model.backbone is not None  # or there would be no frames to look at
        encoder = TorchEncoder(model.backbone, self._preprocess, device=device)
        nothing = FeatureVideo(0, 0, ())
        videos = [nothing] * len(self._examples)
        for number in self._own:
            example = self._examples[number]
            encoded = encode_video(
                example.path, encoder, self._preprocess, start_s=example.start_s, end_s=example.end_s
            )
            features = encoded.features[0].cpu().numpy()
            videos[number] = FeatureVideo(number, len(features), (features,))
        return FeatureCaptionValidation(videos, *self._rest)(model, device)


def _loss(model: CaptioningModel, contexts: Tensor, sentences: Sequence[Sentence]) -> tuple[float, float]:
    """Sum of the cross-entropy over all tokens of the sentences, whose `example` counts contexts, and their number."""
    loss, count = 0.0, 0
    ordered = sorted(sentences, key=lambda sentence: len(sentence.token_ids))  # little of a batch is padding then
    for start in range(0, len(ordered), BATCH):
        part = ordered[start : start + BATCH]
        tokens, num_tokens = pad_tokens([sentence.token_ids for sentence in part])
        tokens = tokens.to(contexts.device)
        rows = torch.tensor([sentence.example for sentence in part], device=contexts.device)
        total = int(num_tokens.sum())
        loss += caption_loss(model, contexts.index_select(0, rows), tokens, num_tokens).item() * total
        count += total
    return loss, float(count)
