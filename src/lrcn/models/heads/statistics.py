"""A head that reads how much the features of a clip change, not in which order.

Shapes: B clips, T frames of a clip, D feature size, S = 3 D statistics, A classes, N training clips.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrcn.config import RecognitionConfig
from lrcn.models.heads.base import Head, TrainingClips, inverse_deviation
from lrcn.models.pooling import mean_over_frames, valid_steps

_FREEDOM = 100.0
"""Inverse strength of the penalty on the weights, for one standardised feature."""

_SHARE_OF_CHANGE = 2 / 3
"""How much the classifier of deviation and change counts where they are told well: two of three statistics."""

_TELLING_FRAMES = 16
"""Frames from which on deviation and change are told as well as they ever are."""

_MOST_IN_DUAL = 4096
"""Training clips up to which weights are sought among their combinations: faster where clips are few."""


class StatisticsHead(Head):
    """Mean, deviation and mean absolute change of each feature over the clip -> standardised -> class probabilities.

    One classifier reads the mean, which knows the scene, another deviation and change, and their probabilities are
    averaged: read together, what the scene gives away in training would leave little for change to learn. Of a clip of
    few frames deviation and change say little, and the mean counts the more the fewer there are. With few clips such
    statistics teach more than order does. The classifiers are not trained step by step: `fit` finds the weights of
    penalised logistic regression at once, from all training clips. Where the features themselves are trained, there is
    no `fit`, and they learn as all else does.
    """

    share = 7.0
    """An LSTM that learnt a few clips by heart is surer than a penalised regression ever is. With an eighth it decides
    where statistics leave two classes alike, as classes that differ in order alone are, and little else."""
    shift: Tensor
    """Means of the statistics over the training clips, `(S,)`."""
    scale: Tensor
    """Inverses of their deviations, `(S,)`."""
    classifier: nn.Linear

    def __init__(self, config: RecognitionConfig, feature_size: int) -> None:
        """Make the classifier."""
        super().__init__(config, feature_size)
        self.register_buffer("shift", torch.zeros(3 * feature_size))
        self.register_buffer("scale", torch.ones(3 * feature_size))
        self.classifier = nn.Linear(2 * feature_size, config.num_classes)
        self.mean_classifier = nn.Linear(feature_size, config.num_classes)

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """As `Head.forward`, of the clip: the logits of the two classifiers' mean."""
        statistics = (clip_statistics(features, lengths) - self.shift) * self.scale
        of_mean = self.probs_of(self.mean_classifier(statistics[:, : self.feature_size]))
        of_change = self.probs_of(self.classifier(statistics[:, self.feature_size :]))
        if lengths is None:
            told = torch.full((len(features), 1), features.shape[1] / _TELLING_FRAMES, device=features.device)
        else:
            told = lengths.to(features.device).unsqueeze(1) / _TELLING_FRAMES
        share = _SHARE_OF_CHANGE * told.clamp(max=1.0).to(of_mean.dtype)
        return self.logits_of(torch.lerp(of_mean, of_change, share)).unsqueeze(1)

    @torch.no_grad()
    def fit(self, clips: Callable[[], Iterable[TrainingClips]]) -> None:
        """As `Head.fit`."""
        batches = [(clip_statistics(one.features, one.lengths), one.targets, one.weights) for one in clips()]
        rows, targets, weights = (torch.cat(parts) for parts in zip(*batches, strict=True))
        share = (weights / weights.sum()).unsqueeze(1)
        self.shift.copy_((rows * share).sum(dim=0))
        rows -= self.shift
        self.scale.copy_(inverse_deviation((rows.square() * share).sum(dim=0)))
        rows *= self.scale
        freedom = _FREEDOM / self.feature_size
        means, changes = rows[:, : self.feature_size], rows[:, self.feature_size :]
        for classifier, inputs in ((self.mean_classifier, means), (self.classifier, changes)):
            found = logistic_regression(inputs, targets, weights, num_classes=self.config.num_classes, freedom=freedom)
            for parameter, value in zip((classifier.weight, classifier.bias), found, strict=True):
                parameter.copy_(value).requires_grad_(False)

    def classifier_parameters(self) -> Iterable[nn.Parameter]:
        """As `Head.classifier_parameters`."""
        yield from self.classifier.parameters()
        yield from self.mean_classifier.parameters()


def clip_statistics(features: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Return mean, deviation and mean absolute change from frame to frame of each feature, `(B, 3 D)`.

    Args:
        features: `(B, T, D)`; the padding may hold anything.
        lengths: Valid frames of each clip, `(B,)`; None means that all T are valid. A clip of one frame has no
            deviation and no change.
    """
    mean = mean_over_frames(features, lengths)
    variance = mean_over_frames((features - mean.unsqueeze(1)).square(), lengths)
    # the root has no gradient at 0, where many features of a rectified layer are: without the clamp it would be nan
    deviation = torch.where(variance > 0, variance.clamp(min=torch.finfo(variance.dtype).tiny).sqrt(), 0.0)
    changes = (features[:, 1:] - features[:, :-1]).abs()
    if lengths is None:
        change = changes.sum(dim=1) / max(1, changes.shape[1])
    else:
        between = lengths.to(features.device) - 1
        kept = torch.where(valid_steps(between, changes).unsqueeze(2), changes, 0.0)
        change = kept.sum(dim=1) / between.clamp(min=1).unsqueeze(1)
    return torch.cat([mean, deviation, change], dim=1)


def logistic_regression(
    rows: Tensor, targets: Tensor, weights: Tensor, *, num_classes: int, freedom: float
) -> tuple[Tensor, Tensor]:
    """Return weights `(A, S)` and bias `(A,)` that minimise the penalised cross-entropy.

        sum of weight_i * cross-entropy_i + |W|^2 / (2 freedom)

    Args:
        rows: `(N, S)`.
        targets: Class ids `(N,)`; or 1 for each class shown, else 0, `(N, A)`: then the cross-entropy is the sum of the
            classes' binary ones, and the classes are found independently of each other.
        weights: How much each row counts, `(N,)`.
        num_classes: A.
        freedom: Inverse strength of the penalty; the bias has none.
    """
    in_dual = len(rows) < min(rows.shape[1], _MOST_IN_DUAL)
    inputs = rows
    if in_dual:
        # W is a combination of the rows: with rows = L Q, Q orthonormal, W Q' has the norm of W, and L is small
        exact = rows.double()  # the products of rows that are alike must stay positive definite
        products = exact @ exact.T
        jitter = 1e-8 * products.diagonal().mean() + 1e-12
        inputs = torch.linalg.cholesky(products + jitter * torch.eye(len(rows), dtype=torch.float64))
    found = torch.zeros(num_classes, inputs.shape[1], dtype=inputs.dtype, device=inputs.device)
    bias = torch.zeros(num_classes, dtype=inputs.dtype, device=inputs.device)
    parameters = [found.requires_grad_(), bias.requires_grad_()]
    optimizer = torch.optim.LBFGS(parameters, max_iter=500, history_size=20, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        logits = F.linear(inputs, found, bias)
        if targets.dim() == 2:
            errors = F.binary_cross_entropy_with_logits(logits, targets.to(logits.dtype), reduction="none").sum(dim=1)
        else:
            errors = F.cross_entropy(logits, targets, reduction="none")
        total = (errors * weights).sum() + found.square().sum() / (2 * freedom)
        total.backward()  # type: ignore[no-untyped-call]
        return total

    with torch.enable_grad():
        optimizer.step(loss)  # type: ignore[no-untyped-call]
    found, bias = found.detach(), bias.detach()
    if in_dual:
        found = torch.linalg.solve_triangular(inputs.T, found.T, upper=True).T @ exact
    return found.to(rows.dtype), bias.to(rows.dtype)
