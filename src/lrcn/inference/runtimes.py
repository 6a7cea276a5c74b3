"""From the name of a runtime to one that runs, and for `auto` the fastest that says what torch says."""

from __future__ import annotations

import hashlib
import json
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import nn

from lrcn.config import ModelHeader, PreprocessConfig
from lrcn.devices import has_native_bf16
from lrcn.encoding import FrameEncoder
from lrcn.errors import ConfigError, LRCNError, ModelFileError, lookup
from lrcn.features import TorchEncoder
from lrcn.files import parse_json, replacing_folder, sweep_cache, write_json
from lrcn.graphs.conversion import write_graphs
from lrcn.graphs.exported import ExportedModel, is_exported, read_exported
from lrcn.graphs.sessions import GraphEncoder, num_threads
from lrcn.inference.parity import FeatureCheck, FeatureParityCheck, real_images
from lrcn.models.network import Network
from lrcn.video.views import CENTER_VIEW

RUNTIMES: dict[str, tuple[str, ...]] = {
    "torch": ("torch",),
    "torch-bf16": ("torch",),
    "onnxruntime": ("onnxruntime", "onnx", "onnxscript"),
    "openvino": ("openvino", "onnx", "onnxscript"),
    "openvino-bf16": ("openvino", "onnx", "onnxscript"),
}
"""Runtime of a model file -> the packages it needs. Quantised graphs need calibration: `lrcn export --int8`."""

AUTO = "auto"
_FORMAT = 4
"""Raise it when graphs or limits change: kept graphs and verdicts are then made anew."""
_TIMED_ROUNDS, _TIMED_FRAMES = 5, 16
"""More frames at once than these change no order of speeds; one at a time does."""


class Report(Protocol):
    """What a check found: `Parity`, `CaptionParity` or `FeatureParity`."""

    @property
    def passed(self) -> bool:
        """Whether all is within the limits."""


R = TypeVar("R", bound=FrameEncoder)
C = TypeVar("C", bound=FrameEncoder, contravariant=True)


class Check(Protocol[C]):
    """`ParityCheck`, `CaptionParityCheck` or `FeatureParityCheck`."""

    @property
    def report(self) -> Callable[..., Report]:
        """Makes a report of the fields of one that was kept."""

    def measure(self, candidate: C, /) -> Report:
        """Compare a runtime with torch."""


def open_backbone_runtime(
    name: str, header: ModelHeader, model: Network, *, device: str, cache_dir: Path
) -> FrameEncoder:
    """Return what runs a frozen backbone whose head is still to be trained, checked on its features alone.

    Graphs and verdicts are kept by the backbone, whatever head it gets.

    Args:
        name: One of `RUNTIMES`, or `auto`.
        header: Of the model file.
        model: The network in fp32.
        device: As torch names it; the graphs run on the CPU.
        cache_dir: Where graphs and verdicts are kept.

    Raises:
        UnknownNameError: If there is no such runtime.
        ConfigError: If the model reads ready vectors, the runtime does not run on this device, or its features are too
            far from torch's.
        MissingExtraError: If it is not installed.
    """
    check_name(name)
    kept = Kept(header, model, cache_dir, names=("backbone",), part=model.backbone)
    encoders = Encoders(header, model, kept, device)
    check = FeatureParityCheck(FeatureCheck(encoders.reference, encoders.preprocess))
    return Choice[FrameEncoder](encoders.reference, encoders.made, check, kept).open(name)


class Encoders:
    """What can run the backbone of a model."""

    def __init__(self, header: ModelHeader, model: Network, kept: Kept, device: str) -> None:
        if model.backbone is None or header.preprocess is None:
            raise ConfigError("a model that reads ready vectors has no CNN to run: leave --runtime away")
        self.kept, self.preprocess = kept, header.preprocess
        self._backbone = model.backbone
        self.reference = TorchEncoder(model.backbone, header.preprocess, device=device)

    def made(self, name: str) -> FrameEncoder:
        """Make a runtime by name."""
        if name == "torch-bf16":
            return TorchEncoder(self._backbone, self.preprocess, device=self.reference.device, precision="bf16")
        engine, bf16 = engine_of(name, self.reference.device)
        return GraphEncoder(self.kept.graphs(), engine=engine, bf16=bf16)


def check_name(name: str) -> None:
    """Make sure that a runtime of model files has this name.

    Raises:
        UnknownNameError: If there is none.
        ConfigError: If it runs exported folders only.
    """
    if name in ("openvino-int8", "onnxruntime-int8"):
        raise ConfigError(
            f"runtime {name!r} runs exported folders; make one: lrcn export MODEL --int8 --calibrate DATA --output DIR"
        )
    if name != AUTO:
        lookup({AUTO: (), **RUNTIMES}, name, kind="runtime")


def engine_of(name: str, device: str) -> tuple[str, bool]:
    """Return the engine of a runtime, and whether it runs in bfloat16.

    Raises:
        ConfigError: If it does not run on this device.
    """
    if device != "cpu":
        raise ConfigError(f"runtime {name!r} runs on the CPU; add --device cpu, or use --runtime torch")
    engine, _, precision = name.partition("-")
    return engine, precision == "bf16"


class Kept:
    """What is made of a model once and kept in a folder: its graphs, and verdicts on runtimes."""

    def __init__(
        self,
        header: ModelHeader,
        model: Network,
        folder: Path,
        *,
        names: tuple[str, ...] | None = None,
        part: nn.Module | None = None,
    ) -> None:
        """Take the model, the graphs that are wanted of it, and the part of it that decides, if not all of it does."""
        self.header = header
        self._model, self._folder, self._names, self._part = model, folder, names, part
        sweep_cache(folder)

    def graphs(self) -> ExportedModel:
        """Return the graphs, made now or before."""
        folder = self._folder / self._key("graphs")
        if is_exported(folder):
            with suppress(ModelFileError):  # damaged: they are made anew
                return read_exported(folder)
        with replacing_folder(folder) as unfinished:
            write_graphs(self.header, self._model, unfinished, "onnx", names=self._names)
        return read_exported(folder)

    def read(self, *what: str) -> dict[str, Any]:
        """Return the verdict on something, empty if there is none."""
        try:
            verdict = parse_json((self._folder / f"{self._key(*what)}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return verdict if isinstance(verdict, dict) else {}

    def write(self, verdict: dict[str, Any], *what: str) -> None:
        """Keep the verdict on something."""
        write_json(self._folder / f"{self._key(*what)}.json", verdict)

    def _key(self, *what: str) -> str:
        """Return a hash of the weights, the pixels, this machine, and the versions of what runs on it."""
        packages = sorted({package for packages in RUNTIMES.values() for package in packages})
        versions = {package: _version(package) for package in packages}
        machine = [
            torch.backends.cpu.get_cpu_capability(),
            has_native_bf16(torch.device("cpu")),
            num_threads() or torch.get_num_threads(),
        ]
        if self._part is None:
            weights, built_from = self.header.sha256 or _weights_hash(self._model), repr(self.header.model)
        else:
            weights, built_from = _weights_hash(self._part), repr(self.header.model.backbone)
        parts = [_FORMAT, weights, repr(self.header.preprocess), built_from, versions, machine, what]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


class Choice(Generic[R]):
    """The runtimes of one model, and which of them says what torch says."""

    def __init__(
        self,
        reference: R,
        made: Callable[[str], R],
        check: Check[R],
        kept: Kept,
        *,
        frames_at_once: int = _TIMED_FRAMES,
    ) -> None:
        """Take torch in fp32, what makes another runtime by name, what measures it, and how it will be used."""
        self._reference, self._made, self._check, self._kept = reference, made, check, kept
        self._frames_at_once = min(frames_at_once, _TIMED_FRAMES)

    def open(self, name: str) -> R:
        """Return the runtime of this name, or the fastest for `auto`.

        Raises:
            ConfigError: If it cannot run here, or does not say what torch says.
            MissingExtraError: If it is not installed.
        """
        if name == AUTO:
            name = self._fastest()
        if name == "torch":
            return self._reference
        runtime, parity = self._checked(name)
        if not parity.passed:
            raise ConfigError(f"runtime {name!r} does not say what torch says; use --runtime torch ({parity})")
        return runtime

    def _checked(self, name: str) -> tuple[R, Report]:
        """Return a runtime and what its check gave, now or with the same weights and versions before."""
        runtime = self._made(name)
        try:
            parity = self._check.report(**self._kept.read(name))
        except TypeError:
            parity = self._check.measure(runtime)
            self._kept.write(vars(parity), name)
        return runtime, parity

    def _fastest(self) -> str:
        """Return the name of the fastest runtime that is installed, runs here and passes its check."""
        installed = [name for name, packages in RUNTIMES.items() if all(map(_version, packages))]
        what = ("fastest", self._reference.device, str(self._frames_at_once), *installed)
        verdict = self._kept.read(*what).get("fastest")
        if verdict in installed:
            return str(verdict)
        candidates: dict[str, FrameEncoder] = {"torch": self._reference}
        for name in installed[1:]:
            try:
                runtime, parity = self._checked(name)
            except LRCNError:
                continue  # not on this device, not in this precision, not for this network
            if parity.passed:
                candidates[name] = runtime
        assert self._kept.header.preprocess is not None  # models of ready vectors have no choice
        frames_per_s = _speeds(candidates, self._kept.header.preprocess, self._frames_at_once)
        fastest = max(frames_per_s, key=lambda name: frames_per_s[name])
        self._kept.write({"fastest": fastest, "frames_per_s": frames_per_s}, *what)
        return fastest


def _speeds(candidates: dict[str, FrameEncoder], preprocess: PreprocessConfig, frames_at_once: int) -> dict[str, float]:
    """Return frames per second of each, by the median over rounds in which all take their turn."""
    images = real_images(preprocess)[:_TIMED_FRAMES]
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for round_number in range(1 + _TIMED_ROUNDS):
        for name, runtime in candidates.items():
            start = time.perf_counter()
            for first in range(0, len(images), frames_at_once):
                runtime.encode(images[first : first + frames_at_once], CENTER_VIEW)
            if round_number:  # the first warms up
                seconds[name].append(time.perf_counter() - start)
    return {name: len(images) / statistics.median(times) for name, times in seconds.items()}


def _weights_hash(model: nn.Module) -> str:
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
