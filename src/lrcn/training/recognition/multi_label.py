"""How good a model is that judges several behaviours at once, on whole examples of the validation split."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from lrcn.config import ModelHeader, PreprocessConfig, RecognitionHeader
from lrcn.data.batches import FeatureVideo
from lrcn.data.recognition.datasets import window_batches
from lrcn.metrics.calibration import fit_class_calibration
from lrcn.metrics.classification import average_precision, class_f1
from lrcn.models.recognition import RecognitionModel
from lrcn.training.recognition.config import MULTI_LABEL_COLUMNS
from lrcn.training.recognition.validation import LEAST_PROB
from lrcn.training.validation import Sums, Validation


class MultiLabelValidation(Validation):
    """Binary cross-entropy, F1 and average precision, each the mean over the classes that the split shows."""

    columns = MULTI_LABEL_COLUMNS

    def __init__(
        self,
        videos: Callable[[RecognitionModel, torch.device], Iterable[FeatureVideo]],
        preprocess: PreprocessConfig,
        label_sets: NDArray[np.bool_],
    ) -> None:
        """Take the examples.

        Args:
            videos: Gives the features of all, under the CNN as it is now; the first view counts.
            preprocess: Says how windows are cut.
            label_sets: Which classes an example of each label id shows, `(S, A)`.
        """
        self._videos = videos
        self._preprocess = preprocess
        self._label_sets = label_sets

    def __call__(self, model: RecognitionModel, device: torch.device) -> Sums:
        """Return the score; see `Validation`. Several processes give the mean of what each has for its own part."""
        said, labels = self._windows(model, device)
        found, shown = np.stack([probs.mean(axis=0) for probs in said]), self._label_sets[labels]
        right = np.where(shown, found, 1 - found)
        number = len(labels)
        return {
            "val_loss": (float(-np.log(right.clip(min=LEAST_PROB)).mean(axis=1).sum()), number),
            "val_f1": (class_f1(found >= 0.5, shown) * number, number),
            "val_average_precision": (average_precision(found, shown) * number, number),
        }

    def completed(self, header: ModelHeader, model: RecognitionModel, device: torch.device) -> ModelHeader:
        """Return the header with the calibration of each class; see `Validation`."""
        assert isinstance(header, RecognitionHeader)
        said, labels = self._windows(model, device)
        videos = np.repeat(np.arange(len(said)), [len(probs) for probs in said])
        return replace(
            header, calibration=fit_class_calibration(np.concatenate(said), videos, self._label_sets[labels])
        )

    def _windows(self, model: RecognitionModel, device: torch.device) -> tuple[list[NDArray[np.float64]], list[int]]:
        """Return the probabilities `(n, A)` of the windows of each example, and its label id."""
        probs: list[NDArray[np.float64]] = []
        labels: list[int] = []
        for video in self._videos(model, device):
            windows = window_batches([video], self._preprocess.clip_length, self._preprocess.clip_stride)
            said = [model.clip_probs(batch.features.to(device), batch.lengths).cpu().double() for batch in windows]
            probs.append(torch.cat(said).numpy())
            labels.append(video.label)
        return probs, labels
