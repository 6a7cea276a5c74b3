"""What is exported of each kind of model: the modules that become graphs, with inputs to trace them by."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from lrcn.config import ModelHeader, PreprocessConfig, RecognitionHeader
from lrcn.graphs.exported import CLIP_TOKENS
from lrcn.graphs.state import batch_axis
from lrcn.models.captioning import CaptioningModel, CaptionState
from lrcn.models.lstm import LSTMStack, LSTMState
from lrcn.models.recognition import RecognitionModel
from lrcn.models.recurrence import Recurrence
from lrcn.video.transforms import Preprocess


@dataclass(frozen=True)
class GraphSource:
    """One graph to be; `lrcn.graphs.exported` says what each is."""

    name: str
    module: nn.Module
    inputs: dict[str, Any]
    """Arguments of `forward`, two of each in a batch, because the exporter freezes a size of 1; `state` is a dictionary
    whose entries become inputs of their own."""
    outputs: list[str]

    def state_shapes(self) -> dict[str, list[int]]:
        """Return the shapes of the state's entries, -1 for the batch."""
        parts: dict[str, Tensor] = self.inputs.get("state", {})
        return {
            name: [-1 if axis == batch_axis(name) else size for axis, size in enumerate(part.shape)]
            for name, part in parts.items()
        }


def graph_sources(header: ModelHeader, model: RecognitionModel | CaptioningModel) -> list[GraphSource]:
    """Return the graphs of a model, made of a copy of it on the CPU: tracing leaves marks in an LSTM."""
    model = copy.deepcopy(model).cpu().float().eval().requires_grad_(False)
    if isinstance(header, RecognitionHeader):
        return _of_recognition(header, cast("RecognitionModel", model))
    return _of_captioning(header.preprocess, cast("CaptioningModel", model))


def _of_recognition(header: RecognitionHeader, model: RecognitionModel) -> list[GraphSource]:
    size, state = model.backbone.feature_size, model.initial_state(2)
    recurrence = Recurrence(model)
    embedded = recurrence.embed(torch.zeros(2, size))
    clip = embedded[:, None].repeat(1, header.preprocess.clip_length, 1)
    return [
        _backbone(model.backbone, header.preprocess),
        GraphSource("embed", _Embed(recurrence).eval(), {"features": torch.zeros(2, size)}, ["embedded"]),
        GraphSource("clip", _Clip(recurrence).eval(), {"embedded": clip}, ["probs"]),
        GraphSource(
            "step",
            _Step(model).eval(),
            {"features": torch.zeros(2, size), "state": state},
            ["probs", *(f"after_{name}" for name in state)],
        ),
    ]


def _of_captioning(preprocess: PreprocessConfig | None, model: CaptioningModel) -> list[GraphSource]:
    features, contexts = torch.zeros(2, model.feature_size), torch.zeros(2, model.context_size)
    tokens = torch.zeros(2, CLIP_TOKENS, dtype=torch.int64)
    state = {**model.lstm.initial_state(2)._asdict(), "context": contexts}
    sources = []
    if model.backbone is not None and preprocess is not None:
        sources.append(_backbone(model.backbone, preprocess))
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


def _backbone(backbone: nn.Module, preprocess: PreprocessConfig) -> GraphSource:
    frames = torch.zeros(2, preprocess.crop, preprocess.crop, 3, dtype=torch.uint8)
    module = _Backbone(backbone, Preprocess(preprocess)).eval()
    return GraphSource("backbone", module, {"frames": frames}, ["features"])


class _Backbone(nn.Module):
    """Cropped frames `(N, crop, crop, 3)` uint8 -> features: normalisation is part of the graph."""

    def __init__(self, backbone: nn.Module, preprocess: Preprocess) -> None:
        super().__init__()
        self.backbone, self.preprocess = backbone, preprocess

    def forward(self, frames: Tensor) -> Tensor:
        features: Tensor = self.backbone(self.preprocess.normalize(frames.permute(0, 3, 1, 2).float()))
        return features


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
