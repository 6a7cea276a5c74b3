"""The CNN of each runtime against the matrix product of its precision on this machine.

Both in operations a second, measured in the same rounds.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.subjects import PREPROCESS, alexnet_lstm
from benchmarks.timing import Figure, compare
from lrcn.config import BackboneConfig, RecognitionConfig, RecognitionHeader
from lrcn.devices import lacks_vnni
from lrcn.graphs.conversion import write_graphs
from lrcn.graphs.sessions import openvino_has_bf16
from lrcn.inference.recognition.graph_runtime import GraphRuntime
from lrcn.inference.recognition.runtime import Runtime
from lrcn.inference.recognition.torch_runtime import TorchRuntime
from lrcn.models.recognition import RecognitionModel
from lrcn.video.views import CENTER_VIEW

SIDE = 2048
"""Of the matrices."""
BATCH = 16
GOALS = {"fp32": 0.95, "bf16": 0.9, "int8": 0.85}


def _gemm(precision: str) -> Callable[[], object]:
    if precision == "int8":
        a, b = (torch.randint(-128, 127, (SIDE, SIDE), dtype=torch.int8) for _ in range(2))
        return lambda: torch._int_mm(a, b)
    dtype = torch.float32 if precision == "fp32" else torch.bfloat16
    a, b = (torch.randn(SIDE, SIDE, dtype=dtype) for _ in range(2))
    return lambda: torch.mm(a, b)


def run() -> list[Figure]:
    """Time batches of frames against matrix products; the ratio is of operations a second."""
    alexnet = alexnet_lstm()
    torch.manual_seed(0)
    config = RecognitionConfig(backbone=BackboneConfig(name="resnet50"), num_classes=101)
    resnet = RecognitionHeader(
        task="recognition",
        model=config,
        preprocess=replace(PREPROCESS, resize=224, crop=224),
        labels=alexnet[0].labels,
    )
    figures = []
    for title, header, model in (("AlexNet", *alexnet), ("ResNet-50", resnet, RecognitionModel(config).eval())):
        crop = header.preprocess.crop
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model.encode(torch.zeros(1, 3, crop, crop))
        images = np.random.default_rng(0).integers(0, 256, (BATCH, crop, crop, 3), dtype=np.uint8)
        scale = BATCH * counter.get_total_flops() / (2 * SIDE**3)  # matrix products that a batch of frames amounts to
        with tempfile.TemporaryDirectory() as folder:
            for name, runtime in _runtimes(header, model, images, Path(folder)).items():
                precision = name.partition("-")[2] or "fp32"
                ratio = compare(
                    lambda runtime=runtime, images=images: runtime.encode(images, CENTER_VIEW),
                    _gemm(precision),
                    rounds=9,
                )
                figures.append(
                    Figure(
                        f"{title}, batch of {BATCH}, {name}",
                        f"{precision} matrix product",
                        *(scale * value for value in ratio),
                        "operations a second",
                        GOALS[precision],
                    )
                )
    return figures


def _runtimes(
    header: RecognitionHeader, model: RecognitionModel, images: np.ndarray, folder: Path
) -> dict[str, Runtime]:
    found: list[Runtime] = [TorchRuntime(model, header.preprocess)]
    found += [TorchRuntime(model, header.preprocess, precision="bf16")] if openvino_has_bf16() else []
    for name, calibration in (("fp32", None), ("int8", [images])):  # speed alone is asked for here
        if name == "int8" and lacks_vnni():
            print("left out: int8, whose matrix product this CPU emulates, half a minute each")
            continue
        (folder / name).mkdir()
        exported = write_graphs(header, model, folder / name, "openvino", calibration=calibration)
        found.append(GraphRuntime(exported))
        found += [GraphRuntime(exported, bf16=True)] if name == "fp32" and openvino_has_bf16() else []
    return {runtime.name: runtime for runtime in found}
