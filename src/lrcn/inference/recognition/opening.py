"""From the name of a runtime to what runs a recognition model."""

from __future__ import annotations

from pathlib import Path

from lrcn.config import RecognitionHeader
from lrcn.errors import ConfigError
from lrcn.inference.recognition.graph_runtime import GraphRuntime
from lrcn.inference.recognition.parity import ParityCheck
from lrcn.inference.recognition.runtime import Runtime
from lrcn.inference.recognition.torch_runtime import TorchRuntime
from lrcn.inference.runtimes import AUTO, Choice, Kept, check_name, engine_of
from lrcn.models.recognition import RecognitionModel


def open_runtime(
    name: str,
    header: RecognitionHeader,
    model: RecognitionModel,
    *,
    device: str,
    cache_dir: Path,
    frames_at_once: int,
) -> Runtime:
    """Return what runs a recognition model; other arguments and errors as for `open_backbone_runtime`.

    `auto` takes the fastest with so many frames at once. It is checked against torch where it is not torch in fp32.
    """
    check_name(name)
    reference = TorchRuntime(model, header.preprocess, device=device)
    if model.backbone is None:
        if name not in ("torch", AUTO):
            raise ConfigError(f"a model that reads ready vectors has no CNN for runtime {name!r} to run: leave it out")
        return reference
    kept = Kept(header, model, cache_dir)

    def made(name: str) -> Runtime:
        if name == "torch-bf16":
            return TorchRuntime(model, header.preprocess, device=reference.device, precision="bf16")
        engine, bf16 = engine_of(name, reference.device)
        return GraphRuntime(kept.graphs(), engine=engine, bf16=bf16)

    check = ParityCheck(reference, header.preprocess)
    return Choice[Runtime](reference, made, check, kept, frames_at_once=frames_at_once).open(name)
