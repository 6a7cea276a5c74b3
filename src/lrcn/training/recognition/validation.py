"""How good a recognition model is now, on whole videos: the same windows and means as recognition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from lrcn.config import ModelHeader, PreprocessConfig, RecognitionHeader
from lrcn.data.batches import FeatureVideo
from lrcn.data.recognition.datasets import window_batches
from lrcn.data.recognition.examples import RecognitionExample
from lrcn.features import TorchEncoder, encode_video
from lrcn.metrics.calibration import fit_calibration
from lrcn.models.recognition import RecognitionModel
from lrcn.training.validation import Sums, Validation, added

LEAST_PROB = 1e-12
"""Keeps the loss of a video finite whose class the model rules out."""


def class_shares(labels: Sequence[int]) -> list[float]:
    """Return, for each label, one by the number of times that it is there."""
    counts = Counter(labels)
    return [1.0 / counts[label] for label in labels]


class FeatureValidation(Validation):
    """Validation on cached features: many windows at once."""

    columns = ("val_loss", "val_accuracy", "val_mean_class_accuracy")

    def __init__(self, videos: Sequence[FeatureVideo], preprocess: PreprocessConfig, shares: Sequence[float]) -> None:
        """Take the videos, whose first view counts, and their `class_shares` in the whole split."""
        self._videos = videos
        self._preprocess = preprocess
        self._shares = torch.tensor(shares, dtype=torch.float64)

    def __call__(self, model: RecognitionModel, device: torch.device) -> Sums:
        """Return the score; see `Validation`."""
        probs = torch.zeros(len(self._videos), model.config.num_classes, dtype=torch.float64)
        num_windows = torch.zeros(len(self._videos), dtype=torch.float64)
        for said, videos in self._windows(model, device):
            probs.index_add_(0, videos, said)
            num_windows.index_add_(0, videos, torch.ones(len(videos), dtype=torch.float64))
        labels = torch.tensor([video.label for video in self._videos], dtype=torch.int64)
        right = probs.argmax(dim=1) == labels
        own = (probs / num_windows.unsqueeze(1)).gather(1, labels.unsqueeze(1))
        loss = float(-own.clamp(min=LEAST_PROB).log().sum())
        return {
            "val_loss": (loss, len(labels)),
            "val_accuracy": (int(right.sum()), len(labels)),
            # the shares of a class add up to 1, so that this is the mean of the recalls
            "val_mean_class_accuracy": (float(self._shares[right].sum()), float(self._shares.sum())),
        }

    def completed(self, header: ModelHeader, model: RecognitionModel, device: torch.device) -> ModelHeader:
        """Return the header with the model's calibration; see `Validation`."""
        assert isinstance(header, RecognitionHeader)
        probs, videos = zip(*self._windows(model, device), strict=True)
        calibration = fit_calibration(
            torch.cat(probs).numpy(),
            torch.cat(videos).numpy(),
            np.array([video.label for video in self._videos]),
            header.labels,
        )
        return replace(header, calibration=calibration)

    def _windows(self, model: RecognitionModel, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield probabilities `(B, A)` of windows, float64 on the CPU, and the video of each, `(B,)`."""
        for batch in window_batches(self._videos, self._preprocess.clip_length, self._preprocess.clip_stride):
            yield model.clip_probs(batch.features.to(device), batch.lengths).cpu().double(), batch.videos


def encoded_examples(
    examples: Iterable[tuple[RecognitionExample, int]],
    preprocess: PreprocessConfig,
    model: RecognitionModel,
    device: torch.device,
) -> Iterator[FeatureVideo]:
    """Yield the features of examples with their label ids, decoded and encoded anew with the CNN as it is now."""
    assert model.backbone is not None  # or there would be no frames to look at
    encoder = TorchEncoder(model.backbone, preprocess, device=device)
    for example, label in examples:
        encoded = encode_video(
            example.path, encoder, preprocess, start_s=example.start_s, end_s=example.end_s, roi=example.roi
        )
        features = encoded.features[0].cpu().numpy()
        yield FeatureVideo(label, len(features), (features,))


class FrameValidation(Validation):
    """Validation of a backbone that changes: every video is decoded and encoded anew."""

    columns = FeatureValidation.columns

    def __init__(
        self,
        examples: Sequence[RecognitionExample],
        labels: Sequence[int],
        preprocess: PreprocessConfig,
        shares: Sequence[float],
    ) -> None:
        """Take the examples, their label ids, and their `class_shares` in the whole split."""
        self._examples = list(zip(examples, labels, strict=True))
        self._shares = shares
        self._preprocess = preprocess

    def __call__(self, model: RecognitionModel, device: torch.device) -> Sums:
        """Return the score; see `Validation`."""
        total: Sums = dict.fromkeys(self.columns, (0.0, 0.0))
        videos = encoded_examples(self._examples, self._preprocess, model, device)
        for video, share in zip(videos, self._shares, strict=True):
            total = added(total, FeatureValidation([video], self._preprocess, [share])(model, device))
        return total

    def completed(self, header: ModelHeader, model: RecognitionModel, device: torch.device) -> ModelHeader:
        """As `FeatureValidation.completed`; the features of all videos are held at once."""
        videos = list(encoded_examples(self._examples, self._preprocess, model, device))
        return FeatureValidation(videos, self._preprocess, self._shares).completed(header, model, device)
