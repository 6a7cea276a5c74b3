"""The head of the paper: an LSTM reads the frames in order.

Shapes: N frames, B clips, T frames of a clip, D feature size, K hidden units, M running averages of the change memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrcn.config import RecognitionConfig
from lrcn.models.heads.base import ClipDropout, Head, TrainingClips, inverse_deviation
from lrcn.models.heads.principal import Sample, principal_directions
from lrcn.models.lstm import LayerWeights, LSTMStack, LSTMState, read_gates
from lrcn.models.pooling import valid_steps

_PRINCIPAL_FRAMES = 8192
"""Frames from which principal directions are found; of longer sets, frames at equal distances."""


class LSTMHead(Head):
    """Feature -> dropout -> LSTM -> dropout -> class logits, at every frame.

    On the way to the LSTM the feature may pass a linear layer (`embedding_size`) and be joined by its change over time
    (`change_memory`). An embedded frame is 4K (1 + M) values: what the frame gives to the gates of the first layer, and
    what it will give to them through its change from each running average, which is linear in the frames. That product
    is most of what the LSTM computes, and the same in all windows of a frame.

    Source: Donahue et al. 2015 (arXiv:1411.4389), sec. 4.
    """

    change_memory: Tensor
    input_scale: Tensor
    """What brings each group of the LSTM's inputs to deviation 1, `((1 + M) E,)`; with a principal embedding only."""
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
        num_inputs = self._size * (1 + len(config.change_memory))
        self._is_principal = config.embedding_kind == "principal" and config.embedding_size is not None
        if self._is_principal:
            self.register_buffer("input_scale", torch.ones(num_inputs))
        self.lstm = LSTMStack(num_inputs, config.hidden_size, config.num_layers)
        self.output_dropout = dropout(config.output_dropout)
        self.classifier = nn.Linear(config.hidden_size, config.num_classes)

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """As `Head.forward`, at each frame; an output at a valid frame never depends on the padding to its right."""
        hidden = self._values(self.input_dropout(self.standardised(features)))
        if self.config.change_memory:
            hidden = torch.cat([hidden, change_from_averages(hidden, self.change_memory)], dim=2)
        hidden, _ = self.lstm(self._scaled(hidden), self.lstm.initial_state(hidden.shape[0]))
        logits: Tensor = self.classifier(self.output_dropout(hidden))
        return logits

    def fit(self, clips: Callable[[], Iterable[TrainingClips]]) -> None:
        """As `Head.fit`: the principal embedding, if there is to be one."""
        super().fit(clips)
        if self._is_principal:
            self._fit_embedding(clips)

    @torch.no_grad()
    def _fit_embedding(self, clips: Callable[[], Iterable[TrainingClips]]) -> None:
        assert self.embedding is not None
        frames, changes = Sample(_PRINCIPAL_FRAMES), Sample(_PRINCIPAL_FRAMES)
        for one in clips():
            values = self.standardised(one.features)
            valid = valid_steps(one.lengths, values)
            frames.push(values[valid])
            changes.push((values[:, 1:] - values[:, :-1])[valid[:, 1:]])
        half = self._size // 2
        of_changes = changes.rows()
        spread = torch.ones(self.feature_size)
        if len(of_changes):
            spread = inverse_deviation(of_changes.square().mean(dim=0))
        of_frames = frames.rows()
        centre = of_frames.mean(dim=0)  # zeros where features are standardised
        of_frames = of_frames - centre
        directions = torch.cat(
            [
                principal_directions(of_frames, self._size - half),
                principal_directions(of_changes * spread, half) * spread,
            ]
        )
        scale = self._group_scale(of_frames @ directions.T, half)
        self.embedding.weight.copy_(directions * scale.unsqueeze(1))
        self.embedding.bias.copy_(-self.embedding.weight @ centre)
        self.embedding.requires_grad_(False)
        scales = [torch.ones(self._size)]
        if self.config.change_memory:
            moved = Sample(_PRINCIPAL_FRAMES)
            for one in clips():
                values = self._values(self.standardised(one.features))
                valid = valid_steps(one.lengths, values)
                moved.push(change_from_averages(values, self.change_memory)[valid])
            scales += [self._group_scale(part, half) for part in moved.rows().chunk(len(self.change_memory), dim=1)]
        self.input_scale.copy_(torch.cat(scales))

    def _group_scale(self, values: Tensor, half: int) -> Tensor:
        """Return what brings two groups of values `(N, E)` to deviation 1 each, the second of `half` values, `(E,)`."""
        squares = values.square().mean(dim=0) if len(values) else values.new_ones(self._size)
        groups = squares.split([self._size - half, half])  # type: ignore[no-untyped-call]
        return torch.cat([group.mean().clamp(min=1e-12).rsqrt().expand(len(group)) for group in groups])

    def _scaled(self, hidden: Tensor) -> Tensor:
        return hidden * self.input_scale if self._is_principal else hidden

    def _values(self, features: Tensor) -> Tensor:
        return features if self.embedding is None else self.embedding(features)

    @property
    def embedded_size(self) -> int:
        """As `Head.embedded_size`."""
        return 4 * self.config.hidden_size * (1 + len(self.config.change_memory))

    def embed(self, features: Tensor) -> Tensor:
        """As `Head.embed`."""
        values = self._values(self.standardised(features))
        # (4K, (1 + M) E): of the frame, then of each change
        parts = self._scaled(LayerWeights(self.lstm, 0).input_weight).chunk(1 + len(self.config.change_memory), dim=1)
        return torch.cat([F.linear(values, part) for part in parts], dim=1)

    def embedded_clip_probs(self, embedded: Tensor, lengths: Tensor | None = None) -> Tensor:
        """As `Head.embedded_clip_probs`."""
        weights = LayerWeights(self.lstm, 0)
        outputs, _ = read_gates(self._gates(embedded) + weights.bias, weights.hidden_weight)
        hidden = torch.stack(outputs, dim=1)
        for layer in self.lstm.layers[1:]:
            hidden, _ = layer(hidden)
        return self.read_out(self.probs_of(self.classifier(hidden)), lengths)

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
        hidden = self._values(self.input_dropout(self.standardised(features)))
        if self.config.change_memory:
            started = state["started"][:, None, None]
            average = state["average"] * started + hidden.unsqueeze(1) * (1 - started)
            change, average = _compare(hidden, average, self.change_memory)
            after = {"average": average, "started": torch.ones_like(state["started"])}
            hidden = torch.cat([hidden, change], dim=1)
        hidden, remembered = self.lstm.step(self._scaled(hidden), LSTMState(state["hidden"], state["cell"]))
        after = {"hidden": remembered.hidden, "cell": remembered.cell, **after}
        return self.classifier(self.output_dropout(hidden)), after


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
