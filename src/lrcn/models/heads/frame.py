"""Heads without an LSTM: the comparisons of the paper and of anybody who doubts that order matters."""

from __future__ import annotations

from torch import Tensor, nn

from lrcn.config import RecognitionConfig
from lrcn.models.heads.base import ClipDropout, Head
from lrcn.models.pooling import mean_over_frames


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
        logits: Tensor = self.classifier(self.input_dropout(self.standardised(features)))
        return logits

    @property
    def embedded_size(self) -> int:
        """As `Head.embedded_size`."""
        return self.config.num_classes

    def embed(self, features: Tensor) -> Tensor:
        """As `Head.embed`: the logits."""
        logits: Tensor = self.classifier(self.standardised(features))
        return logits

    def embedded_clip_probs(self, embedded: Tensor, lengths: Tensor | None = None) -> Tensor:
        """As `Head.embedded_clip_probs`."""
        return self.read_out(self.probs_of(embedded), lengths)

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
        return self.probs_of(mean_over_frames(embedded, lengths))

    def initial_state(self, batch_size: int) -> dict[str, Tensor]:
        """As `Head.initial_state`: `total` `(B, D)` and `count` `(B,)`."""
        zeros = self.classifier.weight.new_zeros
        return {"total": zeros(batch_size, self.feature_size), "count": zeros(batch_size)}

    def step(self, features: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """As `Head.step`: the logits of the mean over the frames so far."""
        after = {"total": state["total"] + features, "count": state["count"] + 1}
        return super().forward(after["total"] / after["count"].unsqueeze(1)), after
