"""Several heads that read the same frames, and whose probabilities are averaged.

Shapes: N frames, B clips, T frames of a clip, G values of an embedded frame, A classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from lrcn.config import RecognitionConfig
from lrcn.models.heads.base import Head, TrainingClips


class JointHead(Head):
    """The weighted mean of the clip probabilities of its parts, each of which learns by itself."""

    def __init__(self, config: RecognitionConfig, feature_size: int, heads: Sequence[Head]) -> None:
        """Take the heads, two or more."""
        super().__init__(config, feature_size)
        self.heads = nn.ModuleList(heads)

    @property
    def _parts(self) -> list[Head]:
        return list(self.heads)  # type: ignore[arg-type]

    def _mean(self, probs: Sequence[Tensor]) -> Tensor:
        total = sum(part.share for part in self._parts)
        weighted = [of_part * (part.share / total) for part, of_part in zip(self._parts, probs, strict=True)]
        return torch.stack(weighted).sum(dim=0)

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """As `Head.forward`, of the clip: the logits of the mean."""
        return self.logits_of(self.clip_probs(features, lengths)).unsqueeze(1)

    def loss(
        self, features: Tensor, targets: Tensor, lengths: Tensor | None = None, *, label_smoothing: float = 0.0
    ) -> Tensor:
        """The sum of the losses of the parts that learn step by step; see `Head.loss`."""
        learning = [part for part in self._parts if any(parameter.requires_grad for parameter in part.parameters())]
        losses = [
            part.loss(features, targets, lengths, label_smoothing=label_smoothing) for part in learning or self._parts
        ]
        return torch.stack(losses).sum()

    def clip_probs(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """As `Head.clip_probs`."""
        return self._mean([part.clip_probs(features, lengths) for part in self._parts])

    @property
    def embedded_size(self) -> int:
        """As `Head.embedded_size`: the sum of the parts'."""
        return sum(part.embedded_size for part in self._parts)

    def embed(self, features: Tensor) -> Tensor:
        """As `Head.embed`: what each part needs, side by side."""
        return torch.cat([part.embed(features) for part in self._parts], dim=1)

    def embedded_clip_probs(self, embedded: Tensor, lengths: Tensor | None = None) -> Tensor:
        """As `Head.embedded_clip_probs`."""
        pieces = embedded.split([part.embedded_size for part in self._parts], dim=2)  # type: ignore[no-untyped-call]
        probs = [part.embedded_clip_probs(piece, lengths) for part, piece in zip(self._parts, pieces, strict=True)]
        return self._mean(probs)

    def fit(self, clips: Callable[[], Iterable[TrainingClips]]) -> None:
        """As `Head.fit`."""
        for part in self._parts:
            part.fit(clips)

    @property
    def has_step(self) -> bool:
        """As `Head.has_step`: whether each part has."""
        return all(part.has_step for part in self._parts)

    def initial_state(self, batch_size: int) -> dict[str, Tensor]:
        """As `Head.initial_state`: the parts' states, each name after the number of its part and a point."""
        return {
            f"{number}.{name}": value
            for number, part in enumerate(self._parts)
            for name, value in part.initial_state(batch_size).items()
        }

    def step(self, features: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """As `Head.step`."""
        probs: list[Tensor] = []
        after: dict[str, Tensor] = {}
        for number, part in enumerate(self._parts):
            prefix = f"{number}."
            own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
            logits, own = part.step(features, own)
            probs.append(part.probs_of(logits))
            after |= {prefix + name: value for name, value in own.items()}
        return self.logits_of(self._mean(probs)), after

    def classifier_parameters(self) -> Iterable[nn.Parameter]:
        """As `Head.classifier_parameters`, of all parts."""
        for part in self._parts:
            yield from part.classifier_parameters()
