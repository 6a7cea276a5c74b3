"""The recognition model as Lightning trains it."""

from __future__ import annotations

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

    def __init__(
        self,
        model: RecognitionModel,
        preprocess: PreprocessConfig,
        config: RecognitionTrainingConfig,
        state: RunState,
        plan: RunPlan,
    ) -> None:
        """Take what is trained; see `TrainingModule`."""
        super().__init__(model, preprocess, config, state, plan)
        self._label_smoothing = config.label_smoothing

    def loss(self, batch: FeatureBatch | FrameBatch) -> Tensor:
        """Return the loss of the batch; see `Head.loss`."""
        if isinstance(batch, FeatureBatch):
            features, lengths = batch.features, batch.lengths
        else:
            features, lengths = self.encode(batch)
        return self.model.loss(features, batch.labels, lengths, label_smoothing=self._label_smoothing)
