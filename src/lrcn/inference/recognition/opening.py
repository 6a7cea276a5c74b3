"""From the name of a runtime to what runs a recognition model."""

from __future__ import annotations

from pathlib import Path

from lrcn.config import RecognitionHeader
from lrcn.inference.recognition.graph_runtime import GraphRuntime
from lrcn.inference.recognition.parity import ParityCheck
from lrcn.inference.recognition.runtime import Runtime
from lrcn.inference.recognition.torch_runtime import TorchRuntime
from lrcn.inference.runtimes import Choice, Kept, check_name, engine_of
from lrcn.models.recognition import RecognitionModel


def open_runtime(
    name: str, header: RecognitionHeader, model: RecognitionModel, *, device: str, cache_dir: Path
) -> Runtime:
    """Return what runs a recognition model, checked against torch where it is not torch in fp32.

    Args:
        name: One of `RUNTIMES`, or `auto`.
        header: Of the model file.
        model: The network in fp32.
        device: As torch names it; the graphs run on the CPU.
        cache_dir: Where graphs and verdicts are kept.

    Raises:
        UnknownNameError: If there is no such runtime.
        ConfigError: If it does not run on this device, or its answers are too far from torch's.
        MissingExtraError: If it is not installed.
    """
    check_name(name)
    reference = TorchRuntime(model, header.preprocess, device=device)
    kept = Kept(header, model, cache_dir)

    def made(name: str) -> Runtime:
        if name == "torch-bf16":
            return TorchRuntime(model, header.preprocess, device=reference.device, precision="bf16")
        engine, bf16 = engine_of(name, reference.device)
        return GraphRuntime(kept.graphs(), engine=engine, bf16=bf16)

    return Choice[Runtime](reference, made, ParityCheck(reference, header.preprocess), kept).open(name)
