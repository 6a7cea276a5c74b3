"""Heads: what reads the features of a clip's frames and says what it shows. One class and one row of `HEADS` each.

Shapes: N frames, B clips, T frames of a clip, D feature size, G values of an embedded frame, K hidden units, A classes,
M running averages of the change memory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrcn.config import RecognitionConfig
from lrcn.errors import ConfigError
from lrcn.models.lstm import LayerWeights, LSTMStack, LSTMState, read_gates
from lrcn.models.pooling import mean_over_frames, valid_steps


class Head(nn.Module, ABC):
    """Reads features of frames. A subclass needs `forward` and `classifier`; the rest has defaults that follow from it.

    Heads that answer at every frame, from that frame and those before it, may have `step`: they can run for ever on a
    stream. Heads that look at a clip as a whole answer once.
    """

    classifier: nn.Module
    """The last layer, whose learning rate is a setting of its own."""

    def __init__(self, config: RecognitionConfig, feature_size: int) -> None:
        """Take the settings, of which each head reads those that it knows, and the size D of a feature."""
        super().__init__()
        self.config = config
        self.feature_size = feature_size

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
            targets: Class ids `(B,)`, int64.
            lengths: As for `forward`.
            label_smoothing: Share of the target spread evenly over all classes, from 0 to 1.

        Returns:
            A scalar.
        """
        logits = self(features, lengths)
        lengths = None if logits.shape[1] == 1 else lengths
        return frame_loss(logits, targets, lengths, label_smoothing=label_smoothing)

    def clip_probs(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Class probabilities `(B, A)` of each clip, at least float32; arguments as for `forward`."""
        logits: Tensor = self(features, lengths)
        return self.read_out(logits.softmax(dim=-1, dtype=torch.promote_types(logits.dtype, torch.float32)), lengths)

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


class LSTMHead(Head):
    """Feature -> dropout -> LSTM -> dropout -> class logits, at every frame.

    On the way to the LSTM the feature may pass a linear layer (`embedding_size`) and be joined by its change over time
    (`change_memory`). An embedded frame is 4K (1 + M) values: what the frame gives to the gates of the first layer, and
    what it will give to them through its change from each running average, which is linear in the frames. That product
    is most of what the LSTM computes, and the same in all windows of a frame.

    Source: Donahue et al. 2015 (arXiv:1411.4389), sec. 4.
    """

    change_memory: Tensor
    classifier: nn.Linear

    def __init__(self, config: RecognitionConfig, feature_size: int) -> None:
        """Make the layers."""
        super().__init__(config, feature_size)
        dropout = ClipDropout if config.dropout_mask == "clip" else nn.Dropout
        self.input_dropout = dropout(config.input_dropout)
        self.embedding: nn.Linear | None = None
        if config.embedding_size is not None:
            self.embedding = nn.Linear(feature_size, config.embedding_size)
        self._size = config.embedding_size or feature_size
        memory = torch.tensor(config.change_memory).reshape(-1, 1)
        self.register_buffer("change_memory", memory, persistent=False)  # the configuration holds it
        self.lstm = LSTMStack(self._size * (1 + len(config.change_memory)), config.hidden_size, config.num_layers)
        self.output_dropout = dropout(config.output_dropout)
        self.classifier = nn.Linear(config.hidden_size, config.num_classes)

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """As `Head.forward`, at each frame; an output at a valid frame never depends on the padding to its right."""
        hidden = self._values(self.input_dropout(features))
        if self.config.change_memory:
            hidden = torch.cat([hidden, change_from_averages(hidden, self.change_memory)], dim=2)
        hidden, _ = self.lstm(hidden, self.lstm.initial_state(hidden.shape[0]))
        logits: Tensor = self.classifier(self.output_dropout(hidden))
        return logits

    def _values(self, features: Tensor) -> Tensor:
        return features if self.embedding is None else self.embedding(features)

    def embed(self, features: Tensor) -> Tensor:
        """As `Head.embed`."""
        values = self._values(features)
        # (4K, (1 + M) E): of the frame, then of each change
        parts = LayerWeights(self.lstm, 0).input_weight.chunk(1 + len(self.config.change_memory), dim=1)
        return torch.cat([F.linear(values, part) for part in parts], dim=1)

    def embedded_clip_probs(self, embedded: Tensor, lengths: Tensor | None = None) -> Tensor:
        """As `Head.embedded_clip_probs`."""
        weights = LayerWeights(self.lstm, 0)
        outputs, _ = read_gates(self._gates(embedded) + weights.bias, weights.hidden_weight)
        hidden = torch.stack(outputs, dim=1)
        for layer in self.lstm.layers[1:]:
            hidden, _ = layer(hidden)
        return self.read_out(self.classifier(hidden).softmax(-1), lengths)

    def _gates(self, embedded: Tensor) -> Tensor:
        """Return what enters the gates from below, `(B, T, 4K)`, without the bias."""
        gates, *later = embedded.chunk(1 + len(self.config.change_memory), dim=2)
        if later:
            length = embedded.shape[1]
            frames = torch.eye(length, dtype=embedded.dtype, device=embedded.device)
            # each change is a sum over the frames: what it is of the unit vectors are the sum's weights
            changes = change_from_averages(frames[None], self.change_memory)[0].chunk(len(later), dim=1)
            for weights, values in zip(changes, later, strict=True):
                gates = gates + weights @ values
        return gates

    def initial_state(self, batch_size: int) -> dict[str, Tensor]:
        """As `Head.initial_state`: `hidden`, `cell` `(num_layers, B, K)`.

        With `change_memory` also `average` `(B, M, D)`, of the embedding where there is one, and `started` `(B,)`.
        """
        state = dict(zip(("hidden", "cell"), self.lstm.initial_state(batch_size), strict=True))
        if self.config.change_memory:
            zeros = self.classifier.weight.new_zeros
            average = zeros(batch_size, len(self.config.change_memory), self._size)
            state |= {"average": average, "started": zeros(batch_size)}
        return state

    def step(self, features: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """As `Head.step`."""
        after: dict[str, Tensor] = {}
        hidden = self._values(self.input_dropout(features))
        if self.config.change_memory:
            started = state["started"][:, None, None]
            average = state["average"] * started + hidden.unsqueeze(1) * (1 - started)
            change, average = _compare(hidden, average, self.change_memory)
            after = {"average": average, "started": torch.ones_like(state["started"])}
            hidden = torch.cat([hidden, change], dim=1)
        hidden, remembered = self.lstm.step(hidden, LSTMState(state["hidden"], state["cell"]))
        after = {"hidden": remembered.hidden, "cell": remembered.cell, **after}
        return self.classifier(self.output_dropout(hidden)), after


class FrameHead(Head):
    """Feature -> dropout -> class logits, each frame by itself: the paper's single-frame net."""

    classifier: nn.Linear

    def __init__(self, config: RecognitionConfig, feature_size: int) -> None:
        """Make the classifier."""
        super().__init__(config, feature_size)
        self.input_dropout = (ClipDropout if config.dropout_mask == "clip" else nn.Dropout)(config.input_dropout)
        self.classifier = nn.Linear(feature_size, config.num_classes)

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """As `Head.forward`, at each frame."""
        logits: Tensor = self.classifier(self.input_dropout(features))
        return logits

    def embed(self, features: Tensor) -> Tensor:
        """As `Head.embed`: the logits."""
        logits: Tensor = self.classifier(features)
        return logits

    def embedded_clip_probs(self, embedded: Tensor, lengths: Tensor | None = None) -> Tensor:
        """As `Head.embedded_clip_probs`."""
        return self.read_out(embedded.softmax(-1), lengths)

    def step(self, features: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """As `Head.step`; there is nothing to remember."""
        return self(features), {}


class MeanHead(FrameHead):
    """Mean feature of the clip -> dropout -> class logits."""

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """As `Head.forward`, of the clip."""
        return super().forward(mean_over_frames(features, lengths).unsqueeze(1))

    def embedded_clip_probs(self, embedded: Tensor, lengths: Tensor | None = None) -> Tensor:
        """As `Head.embedded_clip_probs`: the classifier is linear, so that the mean's logits are the logits' mean."""
        return mean_over_frames(embedded, lengths).softmax(-1)

    def initial_state(self, batch_size: int) -> dict[str, Tensor]:
        """As `Head.initial_state`: `total` `(B, D)` and `count` `(B,)`."""
        zeros = self.classifier.weight.new_zeros
        return {"total": zeros(batch_size, self.feature_size), "count": zeros(batch_size)}

    def step(self, features: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """As `Head.step`: the logits of the mean over the frames so far."""
        after = {"total": state["total"] + features, "count": state["count"] + 1}
        return super().forward(after["total"] / after["count"].unsqueeze(1)), after


HEADS: dict[str, type[Head]] = {"lstm": LSTMHead, "frame": FrameHead, "mean": MeanHead}
"""Name, as `RecognitionConfig.head` has it -> class. The two without an LSTM are the comparisons of the paper and of
anybody who doubts that order matters."""


def register_head(name: str, head: type[Head]) -> None:
    """Make a head known by a name.

    Raises:
        ConfigError: If there is one of this name.
    """
    if name in HEADS:
        raise ConfigError(f"the head name {name!r} is taken; choose another")
    HEADS[name] = head


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
