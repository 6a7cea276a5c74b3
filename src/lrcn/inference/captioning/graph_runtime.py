"""The language part of an exported captioning model, as the searches of `lrcn.decoding` take it: in torch's tensors.

The graphs compute; torch only holds, orders and compares what comes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lrcn.config import CaptioningHeader
from lrcn.errors import ConfigError
from lrcn.graphs.exported import CLIP_TOKENS, ExportedModel
from lrcn.graphs.sessions import ENGINES, Session, open_session
from lrcn.graphs.state import batch_axis


@dataclass(frozen=True)
class GraphState:
    """What is remembered between two words of N sentences, or two frames of N videos."""

    parts: Mapping[str, Tensor]
    """Inputs of the graph, by name."""

    def select(self, index: Tensor) -> GraphState:
        """The state of the sentences `index` (`(M,)`, int64, repeats allowed)."""
        return GraphState({name: part.index_select(batch_axis(name), index) for name, part in self.parts.items()})


class GraphCaptionDecoder:
    """The graphs `context`, `clip` and `step` of an exported folder; a `CaptionDecoder`."""

    def __init__(self, model: ExportedModel, *, engine: str | None = None) -> None:
        """Load the graphs.

        Args:
            model: A checked folder of a captioning model.
            engine: One of `ENGINES` of the format; None takes the one that the format is named after.

        Raises:
            MissingExtraError: If the engine is not installed.
            ModelFileError: If a graph cannot be loaded.
        """
        assert isinstance(model.header, CaptioningHeader)
        engine = engine or ENGINES[model.format][0]
        self._exported = model
        self._has_encoder = model.header.model.context == "lstm"
        self._context = open_session(model.graph("context"), engine) if model.has_graph("context") else None
        self._clip = open_session(model.graph("clip"), engine)
        self._step = open_session(model.graph("step"), engine)

    def contexts(self, features: Sequence[Tensor]) -> Tensor:
        """As `CaptionDecoder.contexts`."""
        if self._context is not None and self._has_encoder:
            return self._read_frames(self._context, features)
        if self._context is not None:
            frames = _run(self._context, {"features": torch.cat(list(features))})[0]
            features = frames.split([len(of_one) for of_one in features])  # type: ignore[no-untyped-call]
        return torch.stack([of_one.mean(dim=0) for of_one in features])

    def _read_frames(self, graph: Session, features: Sequence[Tensor]) -> Tensor:
        lengths = torch.tensor([len(of_one) for of_one in features])
        state = _zeros(self._exported.context_state, len(features))
        contexts: dict[int, Tensor] = {}
        reading = torch.arange(len(features))
        for t in range(int(lengths.max())):
            kept = (lengths[reading] > t).nonzero().squeeze(1)
            reading, state = reading[kept], state.select(kept)
            frames = torch.stack([features[i][t] for i in reading.tolist()])
            found, *after = _run(graph, {"features": frames, **state.parts})
            state = GraphState(dict(zip(state.parts, after, strict=True)))
            contexts.update(zip(reading.tolist(), found, strict=True))
        return torch.stack([contexts[i] for i in range(len(features))])

    def initial_state(self, contexts: Tensor) -> GraphState:
        """As `CaptionDecoder.initial_state`."""
        return GraphState({**_zeros(self._exported.state, len(contexts)).parts, "context": contexts})

    def step(self, tokens: Tensor, state: GraphState) -> tuple[Tensor, GraphState]:
        """As `CaptionDecoder.step`."""
        log_probs, hidden, cell = _run(self._step, {"tokens": tokens, **state.parts})
        return log_probs, GraphState({"hidden": hidden, "cell": cell, "context": state.parts["context"]})

    def logits(self, contexts: Tensor, tokens: Tensor) -> Tensor:
        """Logits of the token after each, as `CaptioningModel.forward`, for sentences of `CLIP_TOKENS` tokens.

        Raises:
            ConfigError: If the sentences have another length.
        """
        if tokens.shape[1] != CLIP_TOKENS:
            raise ConfigError(f"the clip graph reads sentences of {CLIP_TOKENS} tokens, got {tokens.shape[1]}")
        return _run(self._clip, {"context": contexts, "tokens": tokens})[0]


def _zeros(shapes: Mapping[str, Sequence[int]], batch_size: int) -> GraphState:
    return GraphState(
        {name: torch.zeros([batch_size if size < 0 else size for size in shape]) for name, shape in shapes.items()}
    )


def _run(graph: Session, inputs: Mapping[str, Tensor]) -> list[Tensor]:
    outputs = graph({name: np.ascontiguousarray(part.numpy()) for name, part in inputs.items()})
    return [torch.from_numpy(output) for output in outputs]
