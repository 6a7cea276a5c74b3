"""Exported graphs run by ONNX Runtime or OpenVINO, on the CPU. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrcn.encoding import FrameEncoder
from lrcn.errors import ConfigError, ModelFileError, require
from lrcn.graphs.exported import ExportedModel
from lrcn.graphs.side_effects import signal_stack_kept
from lrcn.video.views import View, cut_crops

Session = Callable[[dict[str, NDArray[Any]]], list[NDArray[Any]]]
"""Inputs by name -> outputs in the graph's order."""

ENGINES = {"onnx": ("onnxruntime", "openvino"), "openvino": ("openvino",)}
"""Format of an exported folder -> the engines that read it, the first unless another is asked for."""


class GraphEncoder(FrameEncoder):
    """The backbone graph of an exported folder."""

    def __init__(self, model: ExportedModel, *, engine: str | None = None, bf16: bool = False) -> None:
        """Load the graph.

        Args:
            model: A checked folder.
            engine: One of `ENGINES` of the format; None takes the one that the format is named after.
            bf16: Let the backbone compute in bfloat16 (OpenVINO, on CPUs with instructions for it).

        Raises:
            ConfigError: If there is no bfloat16 here.
            MissingExtraError: If the engine is not installed.
            ModelFileError: If a graph cannot be loaded.
        """
        engine = engine or ENGINES[model.format][0]
        assert model.header.preprocess is not None  # or there is no such graph
        self.exported = model
        self.device = "cpu"
        precision = "bf16" if bf16 else model.precision
        self.name = engine if precision == "fp32" else f"{engine}-{precision}"
        self._preprocess = model.header.preprocess
        self._backbone = open_session(model.graph("backbone"), engine, "bf16" if bf16 else "f32")

    def encode(self, images: NDArray[np.uint8], view: View) -> NDArray[np.float32]:
        """As `FrameEncoder.encode`."""
        return self._backbone({"frames": cut_crops(images, view, self._preprocess)})[0]


def choose_engine(model: ExportedModel, runtime: str | None, device: str) -> tuple[str | None, bool]:
    """Return the engine for an exported folder and whether in bfloat16; arguments and errors as for `open_exported`."""
    folder = model.folder
    if device not in ("auto", "cpu"):
        raise ConfigError(f"{folder}: exported models run on the CPU, not on {device!r}; leave --device away")
    if runtime is None or runtime == "auto":
        return None, False
    if model.precision == "int8":
        choices = [f"{engine}-int8" for engine in ENGINES[model.format]]
    else:
        choices = [*ENGINES[model.format], "openvino-bf16"]
    if runtime not in choices:
        raise ConfigError(
            f"{folder}: an exported model ({model.format}, {model.precision}) does not run on {runtime!r}; "
            f"choices: auto, {', '.join(choices)}"
        )
    engine, _, precision = runtime.partition("-")
    return engine, precision == "bf16"


def num_threads() -> int:
    """Threads that OMP_NUM_THREADS allows, as torch reads it; 0 where it says nothing."""
    stated = os.environ.get("OMP_NUM_THREADS", "")
    return int(stated) if stated.isdecimal() else 0


def openvino_has_bf16() -> bool:
    """Whether OpenVINO computes in bfloat16 on this CPU."""
    core = engine_module("openvino", wanted_by="runtime 'openvino'").Core()
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def engine_module(name: str, *, wanted_by: str) -> ModuleType:
    """Import a package of the extra `export`, with its telemetry off: what users recognise is their own business.

    Raises:
        MissingExtraError: If it is not installed.
    """
    for variable in ("ORT_DISABLE_TELEMETRY", "NNCF_CI"):
        os.environ.setdefault(variable, "1")
    return require(name, extra="export", wanted_by=wanted_by)


def open_session(path: Path, engine: str, precision: str = "f32") -> Session:
    """Return what runs one graph, in `f32` or (OpenVINO) `bf16`.

    Raises:
        ConfigError: If there is no bfloat16 here.
        MissingExtraError: If the engine is not installed.
        ModelFileError: If the graph cannot be loaded.
    """
    return SESSIONS[engine](path, precision)


def _onnxruntime_session(path: Path, precision: str) -> Session:
    ort = engine_module("onnxruntime", wanted_by="runtime 'onnxruntime'")
    options = ort.SessionOptions()
    options.intra_op_num_threads = num_threads()
    options.log_severity_level = 3  # errors; its warnings are about graph nodes, not about anything a user can change
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # its errors have no common base
        raise ModelFileError(f"{path}: ONNX Runtime cannot load it ({_first_line(exc)})") from exc
    return lambda inputs: session.run(None, inputs)


def _openvino_session(path: Path, precision: str) -> Session:
    ov = engine_module("openvino", wanted_by="runtime 'openvino'")
    if precision == "bf16" and not openvino_has_bf16():
        raise ConfigError("runtime 'openvino-bf16' needs bfloat16 instructions, which this CPU has not; use: openvino")
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
    if num_threads():
        settings["INFERENCE_NUM_THREADS"] = num_threads()
    try:
        with signal_stack_kept():
            compiled = ov.Core().compile_model(str(path), "CPU", settings)
    except Exception as exc:  # its errors have no common base
        raise ModelFileError(f"{path}: OpenVINO cannot load it ({_first_line(exc)})") from exc
    request = compiled.create_infer_request()
    outputs = list(range(len(compiled.outputs)))

    def run(inputs: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        # inputs are read where they lie; outputs are copied, because the next call overwrites them
        results = request.infer(inputs, share_inputs=True, share_outputs=False)
        return [results[i] for i in outputs]

    return run


SESSIONS: dict[str, Callable[[Path, str], Session]] = {
    "onnxruntime": _onnxruntime_session,
    "openvino": _openvino_session,
}
"""Engine -> what opens a graph in a precision."""


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]
