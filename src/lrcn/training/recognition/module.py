"""The recognition model as Lightning trains it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lrcn.config import PreprocessConfig
from lrcn.data.recognition.datasets import FeatureBatch, FrameBatch
from lrcn.models.recognition import RecognitionModel
from lrcn.training.module import RunPlan, TrainingModule
from lrcn.training.recognition.config import RecognitionTrainingConfig
from lrcn.training.run_state import RunState


class RecognitionModule(TrainingModule):
    """The loss of a recognition model's head."""

    model: RecognitionModel
    _label_sets: Tensor | None

    def __init__(
        self,
        model: RecognitionModel,
        preprocess: PreprocessConfig,
        config: RecognitionTrainingConfig,
        state: RunState,
        plan: RunPlan,
        label_sets: NDArray[np.bool_] | None = None,
    ) -> None:
        """Take what is trained; see `TrainingModule`.

        Of a `multi_label` model `label_sets` says which classes a clip of each label id shows, `(S, A)`.
        """
        super().__init__(model, preprocess, config, state, plan)
        self._label_smoothing = config.label_smoothing
        sets = None if label_sets is None else torch.from_numpy(label_sets).float()
        self.register_buffer("_label_sets", sets, persistent=False)

    def loss(self, batch: FeatureBatch | FrameBatch) -> Tensor:
        """Return the loss of the batch; see `Head.loss`."""
        if isinstance(batch, FeatureBatch):
            features, lengths = batch.features, batch.lengths
        else:
            features, lengths = self.encode(batch)
        targets = batch.labels if self._label_sets is None else self._label_sets[batch.labels]
        return self.model.loss(features, targets, lengths, label_smoothing=self._label_smoothing)
