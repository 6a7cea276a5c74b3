"""From the name of a runtime to one that runs, and for `auto` the fastest that says what torch says."""

from __future__ import annotations

import hashlib
import json
import statistics
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from lrcn.config import RecognitionHeader
from lrcn.errors import ConfigError, LRCNError, lookup
from lrcn.files import replacing, replacing_folder
from lrcn.inference.runtimes.base import Runtime
from lrcn.inference.runtimes.convert import write_graphs
from lrcn.inference.runtimes.exported import is_exported, read_exported
from lrcn.inference.runtimes.graph import GraphRuntime, num_threads
from lrcn.inference.runtimes.parity import Parity, ParityCheck, real_images
from lrcn.inference.runtimes.torch_runtime import TorchRuntime
from lrcn.video.views import CENTER_VIEW

if TYPE_CHECKING:
    from lrcn.models.recognition import RecognitionModel

RUNTIMES: dict[str, tuple[str, ...]] = {
    "torch": ("torch",),
    "torch-bf16": ("torch",),
    "onnxruntime": ("onnxruntime", "onnx", "onnxscript"),
    "openvino": ("openvino", "onnx", "onnxscript"),
    "openvino-bf16": ("openvino", "onnx", "onnxscript"),
}
"""Runtime of a model file -> the packages it needs. Quantised graphs need calibration: `lrcn export --int8`."""

AUTO = "auto"
_FORMAT = 1
"""Raise it when graphs or limits change: kept graphs and verdicts are then made anew."""
_TIMED_ROUNDS, _TIMED_FRAMES = 5, 16


def open_runtime(
    name: str, header: RecognitionHeader, model: RecognitionModel, *, device: str, cache_dir: Path
) -> Runtime:
    """Return what runs a model, checked against torch where it is not torch in fp32.

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
    if name in ("openvino-int8", "onnxruntime-int8"):
        raise ConfigError(
            f"runtime {name!r} runs exported folders; make one: lrcn export MODEL --int8 --calibrate DATA --output DIR"
        )
    if name != AUTO:
        lookup({AUTO: (), **RUNTIMES}, name, kind="runtime")
    reference = TorchRuntime(model, header.preprocess, device=device)
    check = ParityCheck(reference, header.preprocess)
    if name == AUTO:
        name = _fastest(header, model, reference, check, cache_dir)
    if name == "torch":
        return reference
    runtime, parity = _checked(name, header, model, reference, check, cache_dir)
    if not parity.passed:
        raise ConfigError(f"runtime {name!r} does not say what torch says; use --runtime torch ({parity})")
    return runtime


def _checked(
    name: str,
    header: RecognitionHeader,
    model: RecognitionModel,
    reference: TorchRuntime,
    check: ParityCheck,
    cache_dir: Path,
) -> tuple[Runtime, Parity]:
    """Return a runtime and what its check gave, now or with the same weights and versions before."""
    runtime = _opened(name, header, model, reference, cache_dir)
    path = cache_dir / f"{_key(header, model, name)}.json"
    try:
        parity = Parity(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        parity = check.measure(runtime)
        with replacing(path) as unfinished:
            unfinished.write_text(json.dumps(vars(parity)))
    return runtime, parity


def _opened(
    name: str, header: RecognitionHeader, model: RecognitionModel, reference: TorchRuntime, cache_dir: Path
) -> Runtime:
    if name == "torch-bf16":
        return TorchRuntime(model, header.preprocess, device=reference.device, precision="bf16")
    if reference.device != "cpu":
        raise ConfigError(f"runtime {name!r} runs on the CPU; add --device cpu, or use --runtime torch")
    engine, _, precision = name.partition("-")
    folder = cache_dir / _key(header, model, "graphs")
    if not is_exported(folder):
        with replacing_folder(folder) as unfinished:
            write_graphs(header, model, unfinished, "onnx")
    return GraphRuntime(read_exported(folder), engine=engine, bf16=precision == "bf16")


def _fastest(
    header: RecognitionHeader, model: RecognitionModel, reference: TorchRuntime, check: ParityCheck, cache_dir: Path
) -> str:
    """Return the name of the fastest runtime that is installed, runs here and passes its check."""
    installed = [name for name, packages in RUNTIMES.items() if all(map(_version, packages))]
    path = cache_dir / f"{_key(header, model, 'fastest', reference.device, *installed)}.json"
    try:
        verdict = json.loads(path.read_text())["fastest"]
        if verdict in installed:
            return str(verdict)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    candidates: dict[str, Runtime] = {"torch": reference}
    for name in installed[1:]:
        try:
            runtime, parity = _checked(name, header, model, reference, check, cache_dir)
        except LRCNError:
            continue  # not on this device, not in this precision, not for this network
        if parity.passed:
            candidates[name] = runtime
    frames_per_s = _speeds(candidates, header)
    fastest = max(frames_per_s, key=lambda name: frames_per_s[name])
    with replacing(path) as unfinished:
        unfinished.write_text(json.dumps({"fastest": fastest, "frames_per_s": frames_per_s}))
    return fastest


def _speeds(candidates: dict[str, Runtime], header: RecognitionHeader) -> dict[str, float]:
    """Return frames per second of each, by the median over rounds in which all take their turn."""
    images = real_images(header.preprocess)[:_TIMED_FRAMES]
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for round_number in range(1 + _TIMED_ROUNDS):
        for name, runtime in candidates.items():
            start = time.perf_counter()
            runtime.encode(images, CENTER_VIEW)
            if round_number:  # the first warms up
                seconds[name].append(time.perf_counter() - start)
    return {name: len(images) / statistics.median(times) for name, times in seconds.items()}


def _key(header: RecognitionHeader, model: RecognitionModel, *what: str) -> str:
    """Return a hash of the weights, the pixels, this machine, and the versions of what runs on it."""
    packages = sorted({package for packages in RUNTIMES.values() for package in packages})
    versions = {package: _version(package) for package in packages}
    machine = [torch.backends.cpu.get_cpu_capability(), num_threads() or torch.get_num_threads()]
    weights = header.sha256 or _weights_hash(model)
    parts = [_FORMAT, weights, repr(header.preprocess), repr(header.model), versions, machine, what]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _weights_hash(model: RecognitionModel) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
