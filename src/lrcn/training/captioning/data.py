"""From the examples of a caption data set to what training steps and validation read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from lrcn.config import CaptioningHeader, PreprocessConfig
from lrcn.data.batches import FeatureVideo
from lrcn.data.captioning.datasets import (
    FeatureCaptions,
    FrameCaptions,
    Sentence,
    collate_captions,
    collate_frame_captions,
    decode_frames,
)
from lrcn.data.captioning.examples import CaptionData, CaptionExample
from lrcn.data.captioning.vectors import read_vectors
from lrcn.decoding import TokenRules
from lrcn.errors import DataError, MediaError
from lrcn.features import Part, content_hash
from lrcn.inference.captioning.search import caption_rules
from lrcn.models.captioning import CaptioningModel
from lrcn.text import Vocabulary, tokenise
from lrcn.training.captioning.config import CaptioningTrainingConfig
from lrcn.training.captioning.validation import (
    FeatureCaptionValidation,
    FrameCaptionValidation,
    References,
    SentenceValidation,
)
from lrcn.training.features import EncodedVideos, own_share_first, training_views
from lrcn.training.progress import Narrator
from lrcn.training.recipe import PreparedData
from lrcn.video.views import CENTER_VIEW

V = TypeVar("V")
Tokens = tuple[tuple[str, ...], ...]
"""Of each caption of an example."""


@dataclass(frozen=True)
class CaptionSplits:
    """Training and validation examples beside the tokens of their captions."""

    train: tuple[CaptionExample, ...]
    val: tuple[CaptionExample, ...]
    train_tokens: tuple[Tokens, ...]
    val_tokens: tuple[Tokens, ...]


def caption_splits(data: CaptionData, *, needs_validation: bool) -> CaptionSplits:
    """Tokenise the captions; those without any word are left out.

    Raises:
        DataError: If there is nothing to train on, nothing to validate on where that is needed, or an example has no
            caption with a word in it.
    """
    train = data.split("train")
    val = data.split("val") if needs_validation else tuple(e for e in data.examples if e.split == "val")
    tokens = {}
    for example in (*train, *val):
        kept = tuple(words for caption in example.captions if (words := tuple(tokenise(caption))))
        if not kept:
            raise DataError(f"{data.name}: {example.key or example.path} has no caption with a word in it")
        tokens[example] = kept
    return CaptionSplits(train, val, tuple(tokens[e] for e in train), tuple(tokens[e] for e in val))


def fingerprint(splits: CaptionSplits) -> str:
    """Return a hash of the training and validation examples and captions, wherever their files lie."""
    rows = [
        (example.key or example.path.name, example.captions, example.split, example.start_s, example.end_s)
        for example in (*splits.train, *splits.val)
    ]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def sentences_of(tokens: Sequence[Tokens], vocabulary: Vocabulary, max_length: int) -> tuple[Sentence, ...]:
    """Return all captions as the model knows them; the end of a longer one is cut off, as in the release."""
    return tuple(
        Sentence(number, tuple(vocabulary.encode(words)[: max_length + 1]))
        for number, captions in enumerate(tokens)
        for words in captions
    )


def texts_of(tokens: Sequence[Tokens]) -> tuple[tuple[str, ...], ...]:
    """Return the captions of each example as the metrics know them."""
    return tuple(tuple(" ".join(words) for words in captions) for captions in tokens)


class CaptionPreparation:
    """Makes `PreparedData` of one of four kinds: sentences, ready vectors, cached features, decoded frames."""

    def __init__(
        self,
        splits: CaptionSplits,
        vocabulary: Vocabulary,
        config: CaptioningTrainingConfig,
        preprocess: PreprocessConfig,
        *,
        narrator: Narrator,
        rank: int,
    ) -> None:
        """Take the examples and what is to be made of them."""
        self.train_tokens: tuple[Tokens, ...] = ()
        """Of the training examples that could be read, as `Sentence.example` counts them; known once prepared."""
        self._splits = splits
        self._vocabulary = vocabulary
        self._config = config
        self._preprocess = preprocess
        self._narrator = narrator
        self._rank = rank

    def sentences(self) -> PreparedData:
        """Return the captions alone."""
        config = self._config
        train, val = (
            sentences_of(tokens, self._vocabulary, config.max_length)
            for tokens in (self._splits.train_tokens, self._splits.val_tokens)
        )
        validation = SentenceValidation(val[self._rank :: config.num_ranks]) if val else None
        items = FeatureCaptions(None, train, seed=config.seed)
        return PreparedData(items, len(items), collate_captions, validation, ())

    def vectors(self, path: Path) -> PreparedData:
        """Return the captions beside the ready vectors of a file.

        Raises:
            DataError: If an example has no vector there.
        """
        vectors = read_vectors(path)

        def load(example: CaptionExample) -> FeatureVideo:
            rows = vectors[example.key]
            return FeatureVideo(0, len(rows), (rows,))

        for example in (*self._splits.train, *self._splits.val):
            if example.key not in vectors:
                missing = sum(e.key not in vectors for e in (*self._splits.train, *self._splits.val))
                more = f" ({missing - 1} more)" if missing > 1 else ""
                raise DataError(f"{path}: no vector for {example.key!r} of the data set{more}; they go by the same ids")
        return self._with_features(load, content_hash(path))

    def features(
        self, header: CaptioningHeader, model: CaptioningModel, cache_dir: Path | None, device: torch.device
    ) -> PreparedData:
        """Encode every picture and video once with the frozen backbone, or take it from the cache.

        Raises:
            DataError: If no training example can be read.
        """
        encoded = EncodedVideos(header, model, runtime=self._config.runtime, cache_dir=cache_dir, device=device)

        def part_of(example: CaptionExample) -> Part:
            training = example.split == "train"
            views = training_views(self._config, content_hash(example.path)) if training else (CENTER_VIEW,)
            return Part(example.path, views, example.start_s, example.end_s)

        examples = (*self._splits.train, *self._splits.val)
        with self._narrator.bar("features", len(examples), unit="examples") as bar:
            encoded.fill(own_share_first(examples, self._rank, self._config.num_ranks), part_of, bar)
        return self._with_features(lambda example: encoded.get(part_of(example)), encoded.key, encoded.runtime)

    def frames(self) -> PreparedData:
        """Look at every picture and video once, for a backbone that is trained on frames.

        Raises:
            DataError: If no training example can be read.
        """
        config = self._config

        def check(example: CaptionExample) -> CaptionExample:
            decode_frames(example, self._preprocess)
            return example

        train, val, train_tokens, val_tokens, skipped = self._load_all(check)
        validation = None
        if val:
            validation = FrameCaptionValidation(val, self._preprocess, *self._validation_parts(val_tokens))
        items = FrameCaptions(
            train,
            self._sentences(train_tokens),
            self._preprocess,
            mirror=config.mirror,
            jitter=config.jitter,
            seed=config.seed,
        )
        self.train_tokens = train_tokens
        return PreparedData(items, len(items), collate_frame_captions, validation, skipped)

    def _with_features(
        self, load: Callable[[CaptionExample], FeatureVideo], key: str, runtime: str | None = None
    ) -> PreparedData:
        train, val, train_tokens, val_tokens, skipped = self._load_all(load)
        validation = FeatureCaptionValidation(val, *self._validation_parts(val_tokens)) if val else None
        items = FeatureCaptions(train, self._sentences(train_tokens), seed=self._config.seed)
        self.train_tokens = train_tokens
        return PreparedData(items, len(items), collate_captions, validation, skipped, key, runtime)

    def _sentences(self, tokens: tuple[Tokens, ...]) -> tuple[Sentence, ...]:
        if self._config.objective == "cider_d":  # captions are drawn, not given: each picture once
            tokens = tuple(captions[:1] for captions in tokens)
        return sentences_of(tokens, self._vocabulary, self._config.max_length)

    def _validation_parts(self, tokens: tuple[Tokens, ...]) -> tuple[References, Vocabulary, TokenRules, range]:
        references = References(sentences_of(tokens, self._vocabulary, self._config.max_length), texts_of(tokens))
        own = range(self._rank, len(tokens), self._config.num_ranks)
        return references, self._vocabulary, caption_rules(max_length=self._config.max_length), own

    def _load_all(
        self, load: Callable[[CaptionExample], V]
    ) -> tuple[list[V], list[V], tuple[Tokens, ...], tuple[Tokens, ...], tuple[str, ...]]:
        """Load training and validation examples, leaving out those that cannot be read."""
        splits, skipped, done = self._splits, [], 0
        loaded: list[list[V]] = []
        tokens: list[list[Tokens]] = []
        parts = ((splits.train, splits.train_tokens), (splits.val, splits.val_tokens))
        with self._narrator.bar("pictures", len(splits.train) + len(splits.val), unit="examples") as bar:
            for examples, captions in parts:
                loaded.append([])
                tokens.append([])
                for example, words in zip(examples, captions, strict=True):
                    bar.update(done)
                    done += 1
                    try:
                        loaded[-1].append(load(example))
                        tokens[-1].append(words)
                    except MediaError as exc:
                        self._narrator.warn(f"left out: {exc}")
                        skipped.append(str(exc))
                if examples and not loaded[-1]:
                    raise DataError(f"no {examples[0].split} example can be read; the first: {skipped[-1]}")
        return loaded[0], loaded[1], tuple(tokens[0]), tuple(tokens[1]), tuple(skipped)
