"""How recognition is trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from lrcn.config import PreprocessConfig, RecognitionHeader
from lrcn.data.problems import first_of
from lrcn.data.recognition.examples import RecognitionData
from lrcn.data.recognition.readers import read_recognition_data
from lrcn.errors import ConfigError
from lrcn.models.recognition import RecognitionModel
from lrcn.training.module import RunPlan
from lrcn.training.progress import Narrator
from lrcn.training.recipe import PreparedData, Recipe, with_all_in_training
from lrcn.training.recognition.config import RecognitionTrainingConfig
from lrcn.training.recognition.data import named_vectors, prepare_features, prepare_frames
from lrcn.training.recognition.data_set import check_labels, counts, fingerprint, lone_clips, says_side
from lrcn.training.recognition.initial import initial_model
from lrcn.training.recognition.module import RecognitionModule
from lrcn.training.run_state import RunState


class RecognitionRecipe(Recipe):
    """Random clips of videos, each frame compared with its clip's class."""

    model: RecognitionModel

    def __init__(
        self,
        config: RecognitionTrainingConfig,
        preprocess: PreprocessConfig,
        data: str | Path | RecognitionData,
        narrator: Narrator,
    ) -> None:
        """Read and check the data set.

        Raises:
            DataError: If it cannot be trained on.
            ConfigError: If a setting does not suit it.
        """
        self._preprocess = preprocess
        if not isinstance(data, RecognitionData):
            data = read_recognition_data(data, seed=config.seed, vectors=config.vectors)
        self._data = data
        check_labels(self._data, needs_validation=config.patience is not None)
        if self._data.multi_label and config.balance_classes:
            raise ConfigError(
                f"{self._data.name}: several behaviours are shown at once, so that no clip is of one class: leave "
                "balance_classes out"
            )
        sided = (
            [label for label in self._data.labels if says_side(label)] if config.mirror and not config.vectors else []
        )
        if sided:
            narrator.note(f"class {first_of(list(map(repr, sided)))} says on which side: nothing is mirrored")
        self._config = replace(config, mirror=False) if sided else config
        for warning in (*self._data.warnings, *lone_clips(self._data)):
            narrator.warn(warning)
        self._vector_size: int | None = None
        if preprocess.vectors is not None:
            vectors = named_vectors(data, preprocess.vectors)
            self._vector_size = len(vectors.names)
            self._preprocess = replace(preprocess, vectors=vectors)

    def build(self) -> None:
        """See `Recipe`."""
        self.model, self.init = initial_model(
            self._config, self._data.labels, multi_label=self._data.multi_label, vector_size=self._vector_size
        )

    def prepare(self, *, cache_dir: Path | None, device: torch.device, narrator: Narrator, rank: int) -> PreparedData:
        """See `Recipe`."""
        data, config, preprocess = self._data, self._config, self._preprocess
        if config.backbone_trainable:
            return prepare_frames(data, config, preprocess, narrator=narrator, rank=rank)
        return prepare_features(
            self.header({}), self.model, data, config, cache_dir=cache_dir, device=device, narrator=narrator, rank=rank
        )

    def module(self, state: RunState, plan: RunPlan) -> RecognitionModule:
        """See `Recipe`."""
        sets = self._data.shown_of_sets() if self._data.multi_label else None
        return RecognitionModule(self.model, self._preprocess, self._config, state, plan, sets)

    def header(self, provenance: dict[str, Any]) -> RecognitionHeader:
        """See `Recipe`."""
        return RecognitionHeader(
            model=self.model.config, preprocess=self._preprocess, labels=self._data.labels, provenance=provenance
        )

    def all_data(self) -> RecognitionData | None:
        """See `Recipe`."""
        return with_all_in_training(self._data)

    def describe_data(self) -> dict[str, Any]:
        """See `Recipe`."""
        return {"name": self._data.name, "examples": counts(self._data), "fingerprint": fingerprint(self._data)}
