"""The graphs of an exported recognition model, run by ONNX Runtime or OpenVINO on the CPU. Imports no torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrcn.config import RecognitionHeader
from lrcn.errors import ShapeError
from lrcn.graphs.exported import ExportedModel, read_exported
from lrcn.graphs.sessions import ENGINES, GraphEncoder, choose_engine, open_session
from lrcn.graphs.state import State
from lrcn.inference.recognition.runtime import Rows, Runtime


class GraphRuntime(GraphEncoder, Runtime):
    """The graphs of an exported recognition model."""

    def __init__(self, model: ExportedModel, *, engine: str | None = None, bf16: bool = False) -> None:
        """Load the graphs; arguments and errors as for `GraphEncoder`."""
        assert isinstance(model.header, RecognitionHeader)
        super().__init__(model, engine=engine, bf16=bf16)
        self.header = model.header
        self.has_step = model.has_graph("step")
        self._clip_length = model.header.preprocess.clip_length
        engine = engine or ENGINES[model.format][0]
        self._embed = open_session(model.graph("embed"), engine)
        self._clip = open_session(model.graph("clip"), engine)
        self._step = open_session(model.graph("step"), engine) if self.has_step else None

    def embed(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `Runtime.embed`."""
        return self._embed({"features": np.ascontiguousarray(features)})[0]

    def clip_probs(self, embedded: Rows) -> NDArray[np.float32]:
        """As `Runtime.clip_probs`.

        Raises:
            ShapeError: If clips are longer than the graph's.
        """
        (number, length), longest = embedded.shape[:2], self._clip_length
        if length > longest:
            raise ShapeError(f"clips of this graph have {longest} frames at most, got {length}")
        padded = np.pad(embedded, ((0, 0), (0, longest - length), (0, 0)))
        return self._clip({"embedded": padded, "lengths": np.full(number, length, np.int64)})[0]

    def initial_state(self, batch_size: int) -> State:
        """As `Runtime.initial_state`."""
        return {
            name: np.zeros([batch_size if size < 0 else size for size in shape], np.float32)
            for name, shape in self.exported.state.items()
        }

    def step(self, features: NDArray[np.float32], state: State) -> tuple[NDArray[np.float32], State]:
        """As `Runtime.step`."""
        assert self._step is not None
        probs, *after = self._step({"features": np.ascontiguousarray(features), **state})
        return probs, dict(zip(self.exported.state, after, strict=True))


def open_exported(folder: str | Path, *, runtime: str | None = None, device: str = "auto") -> GraphRuntime:
    """Return what runs an exported folder.

    Args:
        folder: That `lrcn export` wrote.
        runtime: `onnxruntime`, `openvino`, `openvino-bf16` and the like; None or `auto` for what it was made for.
        device: `auto` or `cpu`.

    Raises:
        ConfigError: If the runtime does not read this folder, or another device is asked for.
        MissingExtraError: If the runtime is not installed.
        ModelFileError: If the folder is damaged.
    """
    model = read_exported(folder, task="recognition")
    engine, bf16 = choose_engine(model, runtime, device)
    return GraphRuntime(model, engine=engine, bf16=bf16)
