"""The modules of a recognition model that become graphs; `lrcn.graphs.exported` says what each is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lrcn.config import RecognitionHeader
from lrcn.graphs.modules import GraphSource, backbone_source
from lrcn.models.recognition import RecognitionModel
from lrcn.models.recurrence import Recurrence


def recognition_graphs(header: RecognitionHeader, model: RecognitionModel) -> list[GraphSource]:
    """Return the graphs of a recognition model on the CPU in float32; tracing them leaves marks in it."""
    size, state = model.backbone.feature_size, model.initial_state(2)
    recurrence = Recurrence(model)
    embedded = recurrence.embed(torch.zeros(2, size))
    clip = embedded[:, None].repeat(1, header.preprocess.clip_length, 1)
    return [
        backbone_source(model.backbone, header.preprocess),
        GraphSource("embed", _Embed(recurrence).eval(), {"features": torch.zeros(2, size)}, ["embedded"]),
        GraphSource("clip", _Clip(recurrence).eval(), {"embedded": clip}, ["probs"]),
        GraphSource(
            "step",
            _Step(model).eval(),
            {"features": torch.zeros(2, size), "state": state},
            ["probs", *(f"after_{name}" for name in state)],
        ),
    ]


class _Embed(nn.Module):
    def __init__(self, recurrence: Recurrence) -> None:
        super().__init__()
        self.recurrence = recurrence

    def forward(self, features: Tensor) -> Tensor:
        return self.recurrence.embed(features)


class _Clip(nn.Module):
    def __init__(self, recurrence: Recurrence) -> None:
        super().__init__()
        self.recurrence = recurrence

    def forward(self, embedded: Tensor) -> Tensor:
        return self.recurrence.frame_probs(embedded)


class _Step(nn.Module):
    def __init__(self, model: RecognitionModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, ...]:
        logits, after = self.model.step(features, state)
        return (logits.softmax(-1), *(after[name] for name in state))
