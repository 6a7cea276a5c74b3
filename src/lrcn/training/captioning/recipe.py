"""How captioning is trained."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import torch

from lrcn.config import CaptioningHeader, PreprocessConfig
from lrcn.data.captioning.examples import CaptionData
from lrcn.data.captioning.readers import read_caption_data
from lrcn.data.captioning.vectors import read_vectors
from lrcn.inference.captioning.search import caption_rules
from lrcn.models.captioning import CaptioningModel
from lrcn.text import Vocabulary
from lrcn.training.captioning.config import CaptioningTrainingConfig
from lrcn.training.captioning.data import CaptionPreparation, caption_splits, fingerprint, texts_of
from lrcn.training.captioning.initial import initial_model
from lrcn.training.captioning.module import CaptioningModule, Reward
from lrcn.training.module import RunPlan
from lrcn.training.progress import Narrator
from lrcn.training.recipe import PreparedData, Recipe, with_all_in_training
from lrcn.training.run_state import RunState


class CaptioningRecipe(Recipe):
    """Captions beside pictures, videos or ready vectors; or sentences alone."""

    model: CaptioningModel

    def __init__(
        self,
        config: CaptioningTrainingConfig,
        preprocess: PreprocessConfig,
        data: str | Path | CaptionData,
        narrator: Narrator,
    ) -> None:
        """Read and check the data set, and collect its words.

        Raises:
            DataError: If it cannot be trained on.
        """
        self._config = config
        self._preprocess = preprocess
        if not isinstance(data, CaptionData):
            data = read_caption_data(data, seed=config.seed, need_files=config.looks_at_pictures)
        self._data = data
        for warning in self._data.warnings:
            narrator.warn(warning)
        self._splits = caption_splits(self._data, needs_validation=config.patience is not None)
        words = (words for captions in self._splits.train_tokens for words in captions)
        self._vocabulary = Vocabulary.build(words, min_count=config.min_count)
        self._reward: Reward | None = None

    def build(self) -> None:
        """See `Recipe`."""
        size = None
        if self._config.vectors is not None:
            size = next(iter(read_vectors(self._config.vectors).values())).shape[1]
        self.model, self.init = initial_model(self._config, self._vocabulary, vector_size=size)

    def prepare(self, *, cache_dir: Path | None, device: torch.device, narrator: Narrator, rank: int) -> PreparedData:
        """See `Recipe`."""
        config = self._config
        preparation = CaptionPreparation(
            self._splits, self._vocabulary, config, self._preprocess, narrator=narrator, rank=rank
        )
        if config.objective == "sentences":
            return preparation.sentences()
        if config.vectors is not None:
            prepared = preparation.vectors(Path(config.vectors))
        elif config.backbone_trainable:
            prepared = preparation.frames()
        else:
            prepared = preparation.features(self.header({}), self.model, cache_dir, device)
        if config.objective == "cider_d":
            self._reward = Reward(texts_of(preparation.train_tokens), self._vocabulary)
        return prepared

    def module(self, state: RunState, plan: RunPlan) -> CaptioningModule:
        """See `Recipe`."""
        rules = caption_rules(max_length=self._config.max_length)
        return CaptioningModule(
            self.model, self._preprocess, self._config, state, plan, rules=rules, reward=self._reward
        )

    def header(self, provenance: dict[str, Any]) -> CaptioningHeader:
        """See `Recipe`."""
        return CaptioningHeader(
            model=self.model.config,
            preprocess=None if self.model.backbone is None else self._preprocess,
            vocabulary=self._vocabulary.words,
            provenance=provenance,
        )

    def all_data(self) -> CaptionData | None:
        """See `Recipe`."""
        return with_all_in_training(self._data)

    def describe_data(self) -> dict[str, Any]:
        """See `Recipe`."""
        counts = Counter(example.split for example in self._data.examples)
        captions = sum(map(len, self._splits.train_tokens))
        return {
            "name": self._data.name,
            "examples": dict(sorted(counts.items())),
            "training_captions": captions,
            "words": len(self._vocabulary.words),
            "fingerprint": fingerprint(self._splits),
        }
