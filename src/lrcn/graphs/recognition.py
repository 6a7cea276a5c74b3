"""The modules of a recognition model that become graphs; `lrcn.graphs.exported` says what each is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lrcn.config import RecognitionHeader
from lrcn.graphs.modules import GraphSource, backbone_source
from lrcn.models.heads import Head
from lrcn.models.recognition import RecognitionModel


def recognition_graphs(header: RecognitionHeader, model: RecognitionModel) -> list[GraphSource]:
    """Return the graphs of a recognition model on the CPU in float32; tracing them leaves marks in it."""
    assert model.backbone is not None  # models of ready vectors were refused
    head, features = model.head, torch.zeros(2, model.feature_size)
    length = header.preprocess.clip_length
    clip = {
        "embedded": head.embed(features)[:, None].repeat(1, length, 1),
        "lengths": torch.tensor([length, 1]),
    }
    sources = [
        backbone_source(model.backbone, header.preprocess),
        GraphSource("embed", _Embed(head).eval(), {"features": features}, ["embedded"]),
        GraphSource("clip", _Clip(head).eval(), clip, ["probs"]),
    ]
    if head.has_step:
        state = head.initial_state(2)
        outputs = ["probs", *(f"after_{name}" for name in state)]
        sources.append(GraphSource("step", _Step(head).eval(), {"features": features, "state": state}, outputs))
    return sources


class _Embed(nn.Module):
    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: Tensor) -> Tensor:
        return self.head.embed(features)


class _Clip(nn.Module):
    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        return self.head.embedded_clip_probs(embedded, lengths)


class _Step(nn.Module):
    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, ...]:
        logits, after = self.head.step(features, state)
        return (self.head.probs_of(logits), *(after[name] for name in state))
