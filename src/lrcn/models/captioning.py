"""The captioning model: features of frames become one context vector, and an LSTM says a sentence about it.

Shapes: B sentences, T frames, L tokens, D feature, E context, K hidden units, V tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrcn.config import VARIANTS, CaptioningConfig
from lrcn.errors import ShapeError
from lrcn.models.backbones import build_backbone
from lrcn.models.lstm import LSTMStack, LSTMState
from lrcn.models.network import Network
from lrcn.models.pooling import mean_over_frames, valid_steps

INIT_RANGE = 0.08
"""Weights of the language part start uniform in +- this, biases at 0 (`weight_filler` in the release's lrcn.prototxt,
for 1000 units); below 157 units in +- 1/sqrt(units), or too little of the picture would come through."""


class CaptionState(NamedTuple):
    """What is remembered between two words of N sentences; made for the search functions of `lrcn.decoding`."""

    lstm: LSTMState
    context: Tensor
    """`(N, E)`: stays, but must follow its sentence when `select` changes their order."""

    def select(self, index: Tensor) -> CaptionState:
        """The state of the sentences `index` (`(M,)`, int64, repeats allowed)."""
        return CaptionState(self.lstm.select(index), self.context.index_select(0, index))


class CaptioningModel(Network):
    """Features -> context; word -> embedding -> LSTM layers, one of which also reads the context -> logits.

    A feature passes normalisation, `feature_dropout` and the linear projection, those that there are. The context is
    the mean of the frames' features, or the last output of an LSTM layer over them. It is an input at every step, not
    the first state: so the release does it (`static_input`), and so all of the paper's video descriptions can be built.

    The model knows token ids only; `lrcn.text.Vocabulary` gives them meaning.

    Source: Donahue et al. 2015 (arXiv:1411.4389), sec. 5 and 6; lrcn.prototxt of the release.
    """

    config: CaptioningConfig
    feature_size: int
    """D: what the backbone gives for a frame, or `vector_size`."""
    context_size: int
    """E."""

    def __init__(self, config: CaptioningConfig, *, backbone_weights: str | Path = "none") -> None:
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
        self.backbone = None
        if config.backbone is not None:
            self.backbone = build_backbone(config.backbone, weights=backbone_weights)
            self.feature_size = self.backbone.feature_size
        else:
            assert config.vector_size is not None  # the configuration sees to it
            self.feature_size = config.vector_size
        self.feature_dropout = nn.Dropout(config.feature_dropout)
        size = config.projection_size or self.feature_size
        self.projection = nn.Linear(self.feature_size, size) if config.projection_size else None
        self.encoder = LSTMStack(size, config.hidden_size) if config.context == "lstm" else None
        self.context_size = config.hidden_size if self.encoder else size
        num_layers, context_layer = VARIANTS[config.variant]
        self.embedding = nn.Embedding(config.vocabulary_size, config.embedding_size)
        self.embedding_dropout = nn.Dropout(config.embedding_dropout)
        self.lstm = LSTMStack(
            config.embedding_size,
            config.hidden_size,
            num_layers,
            context_size=self.context_size,
            context_layer=context_layer,
        )
        self.output_dropout = nn.Dropout(config.output_dropout)
        self.classifier = nn.Linear(config.hidden_size, config.vocabulary_size)
        bound = max(INIT_RANGE, config.hidden_size**-0.5)
        for module in (self.embedding, self.lstm, self.classifier, *([self.encoder] if self.encoder else [])):
            for parameter in module.parameters():
                if parameter.dim() == 1:
                    nn.init.zeros_(parameter)
                else:
                    nn.init.uniform_(parameter, -bound, bound)

    def classifier_parameters(self) -> Iterable[nn.Parameter]:
        """Those of the word logits, which learn `head_lr_multiplier` times as fast."""
        return self.classifier.parameters()

    def context(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """One vector for all frames of each video; an image is a video of one frame.

        Args:
            features: `(B, T, D)`, padded on the right where videos differ in length; the padding may hold anything.
            lengths: Valid frames of each video, `(B,)` integers from 1 to T; None means that all T are valid.

        Returns:
            `(B, E)`.

        Raises:
            ShapeError: If `features` has another shape.
        """
        if features.dim() != 3 or features.shape[2] != self.feature_size or features.shape[1] == 0:
            expected = f"(videos, frames, {self.feature_size})"
            raise ShapeError(f"features must be {expected} with at least one frame, got {tuple(features.shape)}")
        hidden = self.project(features)
        if self.encoder is None:
            return mean_over_frames(hidden, lengths)
        state = self.encoder.initial_state(len(hidden))
        if lengths is not None:
            hidden = torch.where(valid_steps(lengths, hidden).unsqueeze(2), hidden, 0.0)
        _, state = self.encoder(hidden, state, lengths=lengths)
        last: Tensor = state.hidden[-1]
        return last

    def project(self, features: Tensor) -> Tensor:
        """What the context is made of: each feature `(..., D)` by itself, normalised and projected."""
        if self.config.feature_norm:
            features = F.layer_norm(features, (self.feature_size,))
        hidden: Tensor = self.feature_dropout(features)
        return hidden if self.projection is None else self.projection(hidden)

    def forward(self, context: Tensor, tokens: Tensor) -> Tensor:
        """Logits of the next token after each given one (teacher forcing), from the zero state.

        Args:
            context: `(B, E)`.
            tokens: `(B, L)` int64, the beginning first; padded on the right with any token of the vocabulary.
                Lengths are not needed: a logit never depends on what stands to its right.

        Returns:
            Logits `(B, L, V)`, meaningless past a sentence's length.

        Raises:
            ShapeError: If a shape does not fit.
        """
        return self._logits(self._read(context, tokens))

    def logits_at(self, context: Tensor, tokens: Tensor, chosen: Tensor) -> Tensor:
        """Logits as those of `forward`, of the chosen steps alone: what padding would be told is not computed.

        Args:
            context: `(B, E)`.
            tokens: `(B, L)` int64.
            chosen: `(B, L)` bool.

        Returns:
            `(N, V)` for N chosen steps, sentence after sentence.

        Raises:
            ShapeError: If a shape does not fit.
        """
        return self._logits(self._read(context, tokens)[chosen])

    def _read(self, context: Tensor, tokens: Tensor) -> Tensor:
        if tokens.dim() != 2:
            raise ShapeError(f"tokens must be (sentences, steps), got {tuple(tokens.shape)}")
        words = self.embedding_dropout(self.embedding(tokens))
        hidden: Tensor
        hidden, _ = self.lstm(words, self.lstm.initial_state(tokens.shape[0]), context)  # len() would freeze exports
        return hidden

    def _logits(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.output_dropout(hidden))
        return logits

    def initial_state(self, context: Tensor) -> CaptionState:
        """The state before the first token, for contexts `(N, E)`."""
        return CaptionState(self.lstm.initial_state(len(context)), context)

    def step(self, tokens: Tensor, state: CaptionState) -> tuple[Tensor, CaptionState]:
        """Log probabilities of the next token: a step function of `lrcn.decoding`, equal to `forward` step by step.

        Args:
            tokens: The last token of each sentence, `(N,)` int64.
            state: Before the step; not modified.

        Returns:
            Log probabilities `(N, V)`, at least float32, and the state after the step.
        """
        words = self.embedding_dropout(self.embedding(tokens))
        hidden, after = self.lstm.step(words, state.lstm, state.context)
        logits = self._logits(hidden)
        log_probs = logits.log_softmax(dim=-1, dtype=torch.promote_types(logits.dtype, torch.float32))
        return log_probs, CaptionState(after, state.context)


def caption_loss(model: CaptioningModel, context: Tensor, tokens: Tensor, num_tokens: Tensor) -> Tensor:
    """Mean cross-entropy over all valid tokens of the batch, the end of each sentence among them.

    Args:
        model: What says the next token.
        context: Of each sentence, `(B, E)`.
        tokens: `(B, L + 1)` int64 from the beginning on; padding may hold any token of the vocabulary.
        num_tokens: Tokens to be predicted of each sentence, `(B,)`, from 1 to L.

    Returns:
        A scalar; its exponential is the perplexity. Every token weighs the same, so a long sentence weighs more.

    Source: the release's lrcn.prototxt, without its `loss_weight` of 20.
    """
    targets = tokens[:, 1:]
    valid = valid_steps(num_tokens, targets)
    return F.cross_entropy(model.logits_at(context, tokens[:, :-1], valid), targets[valid])
