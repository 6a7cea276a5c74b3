"""What every head has: how it reads the features of a clip's frames, and what follows from that.

Shapes: N frames, B clips, T frames of a clip, D feature size, G values of an embedded frame, A classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrcn.config import RecognitionConfig
from lrcn.errors import ConfigError
from lrcn.models.pooling import mean_over_frames, valid_steps


class TrainingClips(NamedTuple):
    """Some of the training clips, for what a head learns from all of them at once."""

    features: Tensor
    """`(B, T, D)`, padded on the right."""
    lengths: Tensor
    """Valid frames, `(B,)`."""
    targets: Tensor
    """What they show, as `Head.loss` takes it."""
    weights: Tensor
    """How much each clip counts, `(B,)`: the windows of a video share its weight."""


class Head(nn.Module, ABC):
    """Reads features of frames. A subclass needs `forward` and `classifier`; the rest has defaults that follow from it.

    Heads that answer at every frame, from that frame and those before it, may have `step`: they can run for ever on a
    stream. Heads that look at a clip as a whole answer once.
    """

    classifier: nn.Module
    """The last layer, whose learning rate is a setting of its own."""
    share: float = 1.0
    """How much the head's probabilities count where several are averaged."""
    feature_shift: Tensor
    """Means of the features over the training frames, `(D,)`; with `standardise` only."""
    feature_scale: Tensor
    """Inverses of their deviations, `(D,)`; with `standardise` only."""

    def __init__(self, config: RecognitionConfig, feature_size: int) -> None:
        """Take the settings, of which each head reads those that it knows, and the size D of a feature."""
        super().__init__()
        self.config = config
        self.feature_size = feature_size
        if config.standardise:
            self.register_buffer("feature_shift", torch.zeros(feature_size))
            self.register_buffer("feature_scale", torch.ones(feature_size))

    @abstractmethod
    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Class logits from frame features.

        Args:
            features: `(B, T, D)`, padded on the right where clips differ in length; the padding may hold anything.
            lengths: Valid frames of each clip, `(B,)` integers from 1 to T; None means that all T are valid.

        Returns:
            Logits of each frame, `(B, T, A)`, meaningless past a clip's length; or of the clip, `(B, 1, A)`.
        """

    def loss(
        self, features: Tensor, targets: Tensor, lengths: Tensor | None = None, *, label_smoothing: float = 0.0
    ) -> Tensor:
        """Mean cross-entropy over all valid frames of the batch, or over the clips where they are answered as a whole.

        Args:
            features: As for `forward`.
            targets: Class ids `(B,)`, int64; of a `multi_label` model 1 for each class shown, else 0, `(B, A)`.
            lengths: As for `forward`.
            label_smoothing: Share of the target spread evenly over all classes, from 0 to 1; of a `multi_label` model
                over shown and not shown.

        Returns:
            A scalar.
        """
        logits = self(features, lengths)
        lengths = None if logits.shape[1] == 1 else lengths
        return frame_loss(logits, targets, lengths, label_smoothing=label_smoothing)

    def clip_probs(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Class probabilities `(B, A)` of each clip, at least float32; arguments as for `forward`."""
        return self.read_out(self.probs_of(self(features, lengths)), lengths)

    def probs_of(self, logits: Tensor) -> Tensor:
        """Class probabilities from logits `(..., A)`, at least float32: the one place that says how."""
        dtype = torch.promote_types(logits.dtype, torch.float32)
        return logits.to(dtype).sigmoid() if self.config.multi_label else logits.softmax(dim=-1, dtype=dtype)

    def logits_of(self, probs: Tensor) -> Tensor:
        """Logits of which `probs_of` gives these probabilities, but for 0 and 1 themselves."""
        logits = probs.clamp(min=torch.finfo(probs.dtype).tiny).log()
        if self.config.multi_label:
            logits = logits - (1 - probs).clamp(min=torch.finfo(probs.dtype).tiny).log()
        return logits

    def read_out(self, probs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Probabilities `(B, A)` of each clip from those of its frames `(B, T, A)`, by the readout of the settings.

        `mean` averages over the clip's frames, `last` takes the last valid frame's.
        """
        if probs.shape[1] == 1:
            return probs.squeeze(1)
        if self.config.readout == "mean":
            return mean_over_frames(probs, lengths)
        if lengths is None:
            return probs[:, -1]
        return probs[torch.arange(probs.shape[0], device=probs.device), lengths.to(probs.device) - 1]

    @torch.no_grad()
    def fit(self, clips: Callable[[], Iterable[TrainingClips]]) -> None:
        """Learn, before the first step, what needs no steps: from all training clips at once.

        What is known then, and no longer trained, has no gradient afterwards.

        Args:
            clips: Gives them in batches, from the first on at each call.
        """
        if not self.config.standardise:
            return
        totals = torch.zeros(self.feature_size, dtype=torch.float64)
        squares, count = torch.zeros_like(totals), 0.0
        for one in clips():
            means = mean_over_frames(one.features.double(), one.lengths)
            # squares of places in a large picture leave no digits of single precision for a small deviation
            second = mean_over_frames(one.features.double().square(), one.lengths)
            totals += (means * one.weights.unsqueeze(1)).sum(dim=0)
            squares += (second * one.weights.unsqueeze(1)).sum(dim=0)
            count += float(one.weights.sum())
        shift = totals / count
        self.feature_shift.copy_(shift)
        self.feature_scale.copy_(inverse_deviation(squares / count - shift**2))

    def standardised(self, features: Tensor) -> Tensor:
        """Features `(..., D)` with mean 0 and deviation 1 over the training frames, where `standardise` asks for it."""
        return (features - self.feature_shift) * self.feature_scale if self.config.standardise else features

    @property
    def embedded_size(self) -> int:
        """G: values of an embedded frame."""
        return self.feature_size

    def embed(self, features: Tensor) -> Tensor:
        """What a trained head needs of each frame, `(N, G)`, from its feature `(N, D)`.

        A frame lies in several windows; what depends on it alone is computed once, here.
        """
        return features

    def embedded_clip_probs(self, embedded: Tensor, lengths: Tensor | None = None) -> Tensor:
        """`clip_probs` in evaluation mode, to rounding, of clips of embedded frames `(B, T, G)`."""
        return self.clip_probs(embedded, lengths)

    @property
    def has_step(self) -> bool:
        """Whether the head can go on frame by frame, without an end."""
        return type(self).step is not Head.step

    def initial_state(self, batch_size: int) -> dict[str, Tensor]:
        """What `step` starts from: zeros, named, on the device of the weights.

        The first axis of each is the batch; of `hidden` and `cell` it is the second, as torch has them.
        """
        return {}

    def step(self, features: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Read one more frame, as `forward` does for each column of a sequence.

        Args:
            features: `(B, D)`.
            state: Of `initial_state` or of the step before; not modified.

        Returns:
            Logits `(B, A)` and the state after the step.

        Raises:
            ConfigError: If the head looks at clips as a whole.
        """
        raise ConfigError(f"the head {self.config.head!r} looks at clips as a whole: it cannot go frame by frame")

    def classifier_parameters(self) -> Iterable[nn.Parameter]:
        """Those that learn `head_lr_multiplier` times as fast."""
        return self.classifier.parameters()


def inverse_deviation(variance: Tensor) -> Tensor:
    """Return what standardises, 1 / deviation; 0 where there is hardly any: what never changed says nothing."""
    deviation = variance.clamp(min=0).sqrt()
    least = max(1e-6 * float(deviation.max()), 1e-8)
    return torch.where(deviation > least, 1.0 / deviation.clamp(min=least), 0.0)


class ClipDropout(nn.Dropout):
    """Dropout that takes away the same values at all steps of a sequence.

    Source: Gal and Ghahramani 2016 (arXiv:1512.05287).
    """

    def forward(self, sequence: Tensor) -> Tensor:
        """Drop values of `(B, T, X)`, or of a single step `(B, X)`."""
        if not self.training or sequence.dim() == 2:
            return super().forward(sequence)
        kept: Tensor = super().forward(torch.ones_like(sequence[:, :1]))
        return sequence * kept


def frame_loss(
    logits: Tensor, targets: Tensor, lengths: Tensor | None = None, *, label_smoothing: float = 0.0
) -> Tensor:
    """Mean cross-entropy over all valid frames of the batch, each frame compared with what its clip shows.

    Args:
        logits: `(B, T, A)`.
        targets: As for `Head.loss`: its shape says whether several classes may be shown at once; then it is the mean of
            the binary cross-entropy over the classes.
        lengths: Valid frames of each clip, `(B,)`; None means that all T are valid.
        label_smoothing: As for `Head.loss`.

    Returns:
        A scalar. Every frame weighs the same, so a long clip weighs more than a short one.

    Source: softmax loss at every time step, averaged over all T x N frames, as in the released training nets.
    """
    if targets.dim() == 2:
        shares = targets.unsqueeze(1).expand_as(logits) * (1 - label_smoothing) + label_smoothing / 2
        errors = F.binary_cross_entropy_with_logits(logits, shares.to(logits.dtype), reduction="none").mean(dim=-1)
        return errors.mean() if lengths is None else errors[valid_steps(lengths, logits)].mean()
    frame_targets = targets.unsqueeze(1).expand(logits.shape[:2])
    if lengths is not None:
        frame_targets = frame_targets.masked_fill(~valid_steps(lengths, logits), -100)
    return F.cross_entropy(
        logits.flatten(0, 1), frame_targets.flatten(), ignore_index=-100, label_smoothing=label_smoothing
    )
