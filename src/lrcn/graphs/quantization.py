"""An ONNX graph in 8-bit integers: NNCF's post-training quantisation, with the settings that features need."""

from __future__ import annotations

import math
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrcn.graphs.sessions import engine_module
from lrcn.graphs.side_effects import quiet, signal_stack_kept

_CHEAP_SHARE = 0.05
"""Of all products of convolutions; the first one has 0.04 in EfficientNet-Lite0, 0.03 in ResNet-50, 0.16 in AlexNet."""


def quantize(path: Path, calibration: Iterable[NDArray[np.uint8]]) -> None:
    """Replace an ONNX graph with one of int8 weights and activations, whose ranges are those of the calibration frames.

    Args:
        path: Of a graph whose input is `frames`.
        calibration: Crops `(N, crop, crop, 3)`.

    Raises:
        MissingExtraError: If a package of the extra `export` is missing.
    """
    onnx = engine_module("onnx", wanted_by="--int8")
    frames = [{"frames": crops[i : i + 1]} for crops in calibration for i in range(len(crops))]
    graph = onnx.load(path)
    with quiet(), signal_stack_kept():
        nncf = engine_module("nncf", wanted_by="--int8")
        quantized = nncf.quantize(
            graph,
            nncf.Dataset(frames),
            subset_size=len(frames),
            ignored_scope=nncf.IgnoredScope(names=_kept_in_float(onnx.shape_inference.infer_shapes(graph).graph)),
            preset=nncf.QuantizationPreset.MIXED,  # features have both signs, and not evenly
            fast_bias_correction=False,
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                # weights of 7 bits: CPUs without VNNI sum pairs of products in 16 bits, which those of 8 overflow;
                # in ONNX, NNCF leaves depthwise convolutions their 8, which they need and which do not overflow
                overflow_fix="enable",
                activations_range_estimator_params=_whole_range(),
            ),
        )
    onnx.save(quantized, path)


def _whole_range() -> Any:
    """Return the way to find ranges: from the lowest value of all frames to the highest.

    By default NNCF takes the mean of the frames' extremes, past which half of the frames are cut off.
    """
    estimator = import_module("nncf.quantization.range_estimator")
    lowest, highest = (
        estimator.StatisticsCollectorParameters(
            statistics_type=estimator.StatisticsType[extreme], aggregator_type=estimator.AggregatorType[extreme]
        )
        for extreme in ("MIN", "MAX")
    )
    return estimator.RangeEstimatorParameters(min=lowest, max=highest)


def _kept_in_float(graph: Any) -> list[str]:
    """Return the name of the first convolution, if it costs next to nothing.

    It has few inputs and all of the network behind it: in the packaged backbone, it alone makes a quarter of the error.
    """
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.value_info, *graph.output):
        shapes[value.name] = [axis.dim_value for axis in value.type.tensor_type.shape.dim]
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    products = [math.prod(shapes[node.input[1]]) * math.prod(shapes[node.output[0]][2:]) for node in convolutions]
    return [node.name for node in convolutions[:1] if products[0] < _CHEAP_SHARE * sum(products)]
