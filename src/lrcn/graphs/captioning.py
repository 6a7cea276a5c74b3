"""The modules of a captioning model that become graphs; `lrcn.graphs.exported` says what each is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lrcn.config import CaptioningHeader
from lrcn.graphs.exported import CLIP_TOKENS
from lrcn.graphs.modules import GraphSource, backbone_source
from lrcn.models.captioning import CaptioningModel, CaptionState
from lrcn.models.lstm import LSTMStack, LSTMState


def captioning_graphs(header: CaptioningHeader, model: CaptioningModel) -> list[GraphSource]:
    """Return the graphs of a captioning model on the CPU in float32; tracing them leaves marks in it."""
    features, contexts = torch.zeros(2, model.feature_size), torch.zeros(2, model.context_size)
    tokens = torch.zeros(2, CLIP_TOKENS, dtype=torch.int64)
    state = {**model.lstm.initial_state(2)._asdict(), "context": contexts}
    sources = []
    if model.backbone is not None and header.preprocess is not None:
        sources.append(backbone_source(model.backbone, header.preprocess))
    if model.encoder is not None:
        of_frames = model.encoder.initial_state(2)._asdict()
        outputs = ["context", "after_hidden", "after_cell"]
        inputs = {"features": features, "state": of_frames}
        sources.append(GraphSource("context", _EncoderStep(model, model.encoder).eval(), inputs, outputs))
    elif model.projection is not None or model.config.feature_norm:
        sources.append(GraphSource("context", _Projection(model).eval(), {"features": features}, ["context"]))
    return [
        *sources,
        GraphSource("clip", _Sentence(model).eval(), {"context": contexts, "tokens": tokens}, ["logits"]),
        GraphSource(
            "step",
            _NextWord(model).eval(),
            {"tokens": tokens[:, 0], "state": state},
            ["log_probs", "after_hidden", "after_cell"],
        ),
    ]


class _Projection(nn.Module):
    """The context of each frame by itself."""

    def __init__(self, model: CaptioningModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Tensor) -> Tensor:
        return self.model.project(features)


class _EncoderStep(nn.Module):
    """One frame more for the LSTM that reads the frames of a video."""

    def __init__(self, model: CaptioningModel, encoder: LSTMStack) -> None:
        super().__init__()
        self.model, self.encoder = model, encoder

    def forward(self, features: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, ...]:
        before = LSTMState(state["hidden"], state["cell"])
        context, after = self.encoder.step(self.model.project(features), before)
        return context, after.hidden, after.cell


class _Sentence(nn.Module):
    def __init__(self, model: CaptioningModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, context: Tensor, tokens: Tensor) -> Tensor:
        logits: Tensor = self.model(context, tokens)
        return logits


class _NextWord(nn.Module):
    def __init__(self, model: CaptioningModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, ...]:
        before = CaptionState(LSTMState(state["hidden"], state["cell"]), state["context"])
        log_probs, after = self.model.step(tokens, before)
        return log_probs, after.lstm.hidden, after.lstm.cell
