"""A network as graphs: torch -> ONNX -> OpenVINO, written into a folder whole or not at all."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lrcn.config import ModelHeader
from lrcn.errors import ConfigError
from lrcn.graphs.exported import ExportedModel, Format, write_description
from lrcn.graphs.modules import GraphSource
from lrcn.graphs.quantization import quantize
from lrcn.graphs.sessions import engine_module
from lrcn.graphs.side_effects import quiet
from lrcn.graphs.state import batch_axis
from lrcn.tasks import TASKS


def write_graphs(
    header: ModelHeader,
    model: nn.Module,
    folder: Path,
    format: Format,
    *,
    calibration: Iterable[NDArray[np.uint8]] | None = None,
    names: Collection[str] | None = None,
) -> ExportedModel:
    """Write a model's graphs and their description into an empty folder.

    Args:
        header: Of the model.
        model: Not modified.
        folder: There already.
        format: Of the graphs.
        calibration: Crops `(N, crop, crop, 3)` as the backbone sees them; given, the backbone is quantised to int8.
        names: Graphs to write; None for all that the model has.

    Raises:
        ConfigError: If an operation of the network has no counterpart in ONNX.
        MissingExtraError: If a package of the extra `export` is missing.
    """
    for package in ("onnxscript", "onnx"):  # torch.onnx needs both, and says so in many lines
        engine_module(package, wanted_by="making graphs of a model")
    sources = [source for source in _graph_sources(header, model) if names is None or source.name in names]
    onnx_files = {source.name: folder / f"{source.name}.onnx" for source in sources}
    for source in sources:
        _export(onnx_files[source.name], source.module, source.inputs, source.outputs)
    if calibration is not None:
        quantize(onnx_files["backbone"], calibration)
    if format == "openvino":
        _to_openvino(onnx_files.values())
    shapes = {source.name: source.state_shapes() for source in sources}
    exported = ExportedModel(
        folder=folder,
        header=header,
        format=format,
        precision="fp32" if calibration is None else "int8",
        state=shapes.get("step", {}),
        context_state=shapes.get("context", {}),
        files={path.name: "" for path in sorted(folder.iterdir())},
        versions={name: version(name) for name in ("torch", "onnx", *(["openvino"] if format == "openvino" else []))},
    )
    write_description(exported)
    return exported


def _graph_sources(header: ModelHeader, model: nn.Module) -> list[GraphSource]:
    model = copy.deepcopy(model).cpu().float().eval().requires_grad_(False)  # a copy: tracing leaves marks in an LSTM
    return TASKS[header.task].graphs()(header, model)


def _export(path: Path, module: nn.Module, inputs: dict[str, Any], outputs: list[str]) -> None:
    batch = torch.export.Dim("batch", min=1, max=2**16)
    shapes: dict[str, Any] = {}
    for name, value in inputs.items():
        if isinstance(value, dict):
            shapes[name] = {part: {batch_axis(part): batch} for part in value}
        else:
            shapes[name] = {0: batch}
    names = [part for name, value in inputs.items() for part in (value if isinstance(value, dict) else [name])]
    try:
        with quiet():
            torch.onnx.export(
                module,
                (),
                str(path),
                kwargs=inputs,
                dynamo=True,
                external_data=False,
                dynamic_shapes=shapes,
                input_names=names,
                output_names=outputs,
                verbose=False,
            )
    except Exception as exc:  # whatever tracing trips over
        if isinstance(exc, OSError) or isinstance(exc.__cause__, OSError):
            raise  # the disk is full
        reason = next((line.strip() for line in str(exc.__cause__ or exc).splitlines() if line.strip()), "")
        raise ConfigError(
            f"the {path.stem} of this model cannot be exported to ONNX ({type(exc.__cause__ or exc).__name__}: "
            f"{reason[:200]}); use --runtime torch, or train with another backbone"
        ) from exc


def _to_openvino(onnx_files: Iterable[Path]) -> None:
    ov = engine_module("openvino", wanted_by="--format openvino")
    for path in onnx_files:
        ov.save_model(ov.Core().read_model(path), path.with_suffix(".xml"), compress_to_fp16=False)
        path.unlink()
