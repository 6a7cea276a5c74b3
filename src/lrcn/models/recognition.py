"""The recognition model: a backbone looks at every frame, an LSTM reads the sequence, a classifier names it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrcn.config import RecognitionConfig
from lrcn.errors import ShapeError
from lrcn.models.backbones import build_backbone
from lrcn.models.lstm import LSTMStack, LSTMState
from lrcn.models.pooling import mean_over_frames, valid_steps


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


class RecognitionModel(nn.Module):
    """Backbone feature -> dropout -> LSTM -> dropout -> class logits, at every frame.

    On the way to the LSTM the feature may pass a linear layer (`embedding_size`) and be joined by its change over time
    (`change_memory`). The heads without an LSTM are the comparisons of the paper and of anybody who doubts that order
    matters: `frame` is feature -> dropout -> logits at every frame, `mean` is mean feature -> dropout -> logits. Both
    use `input_dropout`, the dropout on the feature.

    Source: Donahue et al. 2015 (arXiv:1411.4389), sec. 4.
    """

    change_memory: Tensor

    def __init__(self, config: RecognitionConfig, *, backbone_weights: str | Path = "none") -> None:
        """Make the network.

        Args:
            config: What to build.
            backbone_weights: As `weights` of `build_backbone`. The default suits loading a model file, which holds
                all weights; training starts from `auto`.

        Raises:
            ConfigError: If the backbone, its layer or its weights cannot be had.
        """
        super().__init__()
        self.config = config
        self.backbone = build_backbone(config.backbone, weights=backbone_weights)
        feature_size = self.backbone.feature_size
        dropout = ClipDropout if config.dropout_mask == "clip" else nn.Dropout
        self.input_dropout = dropout(config.input_dropout)
        self.embedding: nn.Linear | None = None
        self.lstm: LSTMStack | None = None
        if config.head == "lstm":
            if config.embedding_size is not None:
                self.embedding = nn.Linear(feature_size, config.embedding_size)
            memory = torch.tensor(config.change_memory).reshape(-1, 1)
            self.register_buffer("change_memory", memory, persistent=False)  # the configuration holds it
            self.lstm = LSTMStack(self._lstm_input_size(), config.hidden_size, config.num_layers)
            self.output_dropout = dropout(config.output_dropout)
        self.classifier = nn.Linear(config.hidden_size if config.head == "lstm" else feature_size, config.num_classes)

    def _embedded_size(self) -> int:
        return self.config.embedding_size or self.backbone.feature_size

    def _lstm_input_size(self) -> int:
        return self._embedded_size() * (1 + len(self.config.change_memory))

    def freeze_backbone(self) -> None:
        """Keep the backbone as it is: no gradient, evaluation mode (batch-norm statistics too) through `.train()`."""
        self.backbone.freeze()

    def encode(self, frames: Tensor) -> Tensor:
        """The backbone's features `(N, D)` of preprocessed frames `(N, 3, H, W)`."""
        features: Tensor = self.backbone(frames)
        return features

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Class logits from frame features.

        Args:
            features: `(B, T, D)`, padded on the right where clips differ in length; the padding may hold anything.
            lengths: Valid frames of each clip, `(B,)` integers from 1 to T; None means that all T are valid.

        Returns:
            Logits `(B, T, A)`, meaningless past a clip's length; `(B, 1, A)` where the head is `mean`.

        Raises:
            ShapeError: If `features` has another shape.
        """
        if features.dim() != 3 or features.shape[2] != self.backbone.feature_size or features.shape[1] == 0:
            expected = f"(clips, frames, {self.backbone.feature_size})"
            raise ShapeError(f"features must be {expected} with at least one frame, got {tuple(features.shape)}")
        if self.config.head == "mean":
            features = mean_over_frames(features, lengths).unsqueeze(1)
        hidden = self.input_dropout(features)
        if self.lstm is not None:
            hidden = hidden if self.embedding is None else self.embedding(hidden)
            if self.config.change_memory:
                hidden = torch.cat([hidden, change_from_averages(hidden, self.change_memory)], dim=2)
            # no lengths: an output at a valid step never depends on the padding to its right
            hidden, _ = self.lstm(hidden, self.lstm.initial_state(hidden.shape[0]))
            hidden = self.output_dropout(hidden)
        logits: Tensor = self.classifier(hidden)
        return logits

    def initial_state(self, batch_size: int) -> dict[str, Tensor]:
        """What `step` starts from, as its head needs it: zeros, named, on the device of the weights.

        `lstm`: `hidden`, `cell` `(num_layers, B, K)`, and with `change_memory` of M numbers also `average` `(B, M, D)`
        (`embedding_size` for D where there is one) and `started` `(B,)`; `mean`: `total` `(B, D)` and `count` `(B,)`;
        `frame`: nothing.
        """
        zeros, size = self.classifier.weight.new_zeros, self.backbone.feature_size
        if self.config.head == "mean":
            return {"total": zeros(batch_size, size), "count": zeros(batch_size)}
        if self.lstm is None:
            return {}
        state = dict(zip(("hidden", "cell"), self.lstm.initial_state(batch_size), strict=True))
        if self.config.change_memory:
            average = zeros(batch_size, len(self.config.change_memory), self._embedded_size())
            state |= {"average": average, "started": zeros(batch_size)}
        return state

    def step(self, features: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Read one more frame, as `forward` does for each column of a sequence.

        Args:
            features: `(B, D)`.
            state: Of `initial_state` or of the step before; not modified.

        Returns:
            Logits `(B, A)` (of the mean over the frames so far where the head is `mean`), and the state after the step.

        Raises:
            ShapeError: If `features` has another shape.
        """
        if features.dim() != 2 or features.shape[1] != self.backbone.feature_size:
            raise ShapeError(
                f"features of a step must be (clips, {self.backbone.feature_size}), got {tuple(features.shape)}"
            )
        after: dict[str, Tensor] = {}
        hidden = features
        if self.config.head == "mean":
            after = {"total": state["total"] + features, "count": state["count"] + 1}
            hidden = after["total"] / after["count"].unsqueeze(1)
        hidden = self.input_dropout(hidden)
        if self.lstm is not None:
            hidden = hidden if self.embedding is None else self.embedding(hidden)
            if self.config.change_memory:
                started = state["started"][:, None, None]
                average = state["average"] * started + hidden.unsqueeze(1) * (1 - started)
                change, average = _compare(hidden, average, self.change_memory)
                after = {"average": average, "started": torch.ones_like(state["started"])}
                hidden = torch.cat([hidden, change], dim=1)
            hidden, remembered = self.lstm.step(hidden, LSTMState(state["hidden"], state["cell"]))
            after = {"hidden": remembered.hidden, "cell": remembered.cell, **after}
            hidden = self.output_dropout(hidden)
        return self.classifier(hidden), after

    def clip_probs(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Class probabilities `(B, A)` of each clip, at least float32; arguments as for `forward`.

        The readout `mean` averages the softmax over the clip's frames, `last` takes the last valid frame's.
        """
        logits: Tensor = self(features, lengths)
        probs = logits.softmax(dim=-1, dtype=torch.promote_types(logits.dtype, torch.float32))
        if probs.shape[1] == 1:
            return probs.squeeze(1)
        if self.config.readout == "mean":
            return mean_over_frames(probs, lengths)
        if lengths is None:
            return probs[:, -1]
        return probs[torch.arange(probs.shape[0], device=probs.device), lengths.to(probs.device) - 1]


def frame_loss(
    logits: Tensor, targets: Tensor, lengths: Tensor | None = None, *, label_smoothing: float = 0.0
) -> Tensor:
    """Mean cross-entropy over all valid frames of the batch, each frame compared with its clip's class.

    Args:
        logits: `(B, T, A)`.
        targets: Class ids `(B,)`, int64.
        lengths: Valid frames of each clip, `(B,)`; None means that all T are valid.
        label_smoothing: Share of the target spread evenly over all classes, from 0 to 1.

    Returns:
        A scalar. Every frame weighs the same, so a long clip weighs more than a short one.

    Source: softmax loss at every time step, averaged over all T x N frames, as in the released training nets.
    """
    frame_targets = targets.unsqueeze(1).expand(logits.shape[:2])
    if lengths is not None:
        frame_targets = frame_targets.masked_fill(~valid_steps(lengths, logits), -100)
    return F.cross_entropy(
        logits.flatten(0, 1), frame_targets.flatten(), ignore_index=-100, label_smoothing=label_smoothing
    )


def change_from_averages(features: Tensor, memory: Tensor) -> Tensor:
    """What each feature of `(B, T, D)` differs by from M running averages of those before it, `(B, T, M D)`.

    `memory` `(M, 1)` is the weight with which each average keeps what it was. Nothing differs at the first feature.
    """
    average, changes = features[:, :1].expand(-1, len(memory), -1), []
    for feature in features.unbind(1):
        change, average = _compare(feature, average, memory)
        changes.append(change)
    return torch.stack(changes, dim=1)


def _compare(feature: Tensor, average: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """One step of that: `(B, D)` against averages `(B, M, D)`; the change `(B, M D)` and the averages after it."""
    feature = feature.unsqueeze(1)
    return (feature - average).flatten(1), average * memory + feature * (1 - memory)
