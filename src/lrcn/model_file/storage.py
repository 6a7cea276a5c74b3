"""Write, check and read a model file."""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from lrcn.config import ModelHeader
from lrcn.errors import LRCNError, ModelFileError, TaskMismatchError
from lrcn.files import parse_json, replacing
from lrcn.model_file.header import header_from_dict, header_to_dict
from lrcn.model_file.shipped import SHIPPED, shipped_path, with_backbone
from lrcn.tasks import RECOGNITION, TASKS, H, M, Task, task_named

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

MODEL_NAME = "model.safetensors"
"""What the model file is called inside a folder."""

_ENTRY = "lrcn"
_NO_DIGEST = "0" * 64
_RANDOM_FILLINGS = {"uniform_", "normal_", "trunc_normal_", "orthogonal_"} | {
    f"{kind}_{law}_" for kind in ("kaiming", "xavier") for law in ("uniform", "normal")
}
"""Of `torch.nn.init` and `Tensor`: they take 1.7 s for AlexNet, whose weights are in the file anyway."""

_FACTORIES = {"empty", "zeros", "ones", "full", "rand", "randn"}
"""Of `torch`: what makes the tensors of a network."""

_MOST_BESIDE = 2**30
"""Numbers of a network that need not be in its file: those of a packaged backbone, and what is cut off behind the
feature layer, of the largest networks that torchvision knows."""

_MAX_HEADER_BYTES = 2**24  # real headers are below 1 MB; a damaged length must not make us read gigabytes


def resolve(model: str | Path) -> Path:
    """Return the model file that a name stands for.

    Args:
        model: `"demo"`, `"photos"` or `"emoji"` (they ship in this package), a file, or a folder that holds
            `model.safetensors`.

    Raises:
        ModelFileError: If there is none.
    """
    path = shipped_path(model) if isinstance(model, str) and model in SHIPPED else Path(model)
    try:
        if path.is_dir():
            path /= MODEL_NAME
        if path.is_file():
            return path
    except OSError as exc:  # a name too long, a folder that may not be entered
        raise ModelFileError(f"{model}: cannot be read: {exc.strerror}") from exc
    near = get_close_matches(str(model), SHIPPED, n=1)
    hint = f" did you mean {near[0]!r}?" if near else ""
    raise ModelFileError(
        f"{path}: no such model file;{hint} give a .safetensors file, a folder that holds {MODEL_NAME}, "
        f"or one of {', '.join(SHIPPED)}"
    )


def name_of_model(model: str | Path) -> str:
    """Return what results call a model: its file without the suffix, or the folder that it stands in."""
    path = Path(model)
    if path.is_dir() or path.name == MODEL_NAME:
        return (path if path.is_dir() else path.parent).resolve().name
    return path.stem


def save(
    path: str | Path, header: ModelHeader, state: Mapping[str, Tensor], *, dtype: torch.dtype | None = None
) -> str:
    """Write a model file in one step: a crash at any moment leaves the old file, or none, but never half a file.

    Args:
        path: The file to write; missing folders are made.
        header: What the model is; its `sha256` is filled in.
        state: The weights, on any device.
        dtype: Stores floating-point tensors in this type, for example `torch.float16` for half the size. A tensor
            whose values it cannot hold keeps its own type.

    Returns:
        The digest, 64 hexadecimal digits.

    Raises:
        ModelFileError: If the file cannot be written, or would not be readable.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path = Path(path)
    fields = header_to_dict(replace(header, sha256=_NO_DIGEST))
    header_from_dict(fields, source="the header to save")
    tensors = {name: _storable(tensor, dtype) for name, tensor in state.items()}
    try:
        with replacing(path) as unfinished:
            save_file(tensors, unfinished, metadata={_ENTRY: json.dumps(fields)})
            with unfinished.open("r+b") as file:
                head = _read_head(file, path)
                if head.count(_NO_DIGEST.encode()) != 1:
                    raise ModelFileError(f"{path}: the provenance must not hold 64 zeros in a row")
                digest = _digest(head, file)
                file.seek(head.index(_NO_DIGEST.encode()))
                file.write(digest.encode())
                file.flush()
                os.fsync(file.fileno())
        _sync_folder(path.parent)
    except (OSError, SafetensorError) as exc:
        raise ModelFileError(f"{path}: cannot be written: {getattr(exc, 'strerror', None) or exc}") from exc
    return digest


def inspect(model: str | Path) -> ModelHeader:
    """Return a model file's header, after checking the whole file against its digest. Imports no torch.

    Args:
        model: As for `resolve`.

    Raises:
        ModelFileError: If the file is missing, damaged, foreign or of a newer schema.
    """
    path = resolve(model)
    return header_from_dict(_checked_fields(path), source=str(path))


def stated_task(model: str | Path) -> str:
    """Return the name of the task that a model file says it was made for; whether it is whole, `load` finds out.

    Raises:
        ModelFileError: If the file is missing, foreign, or names no task that is known here.
    """
    path = resolve(model)
    try:
        with path.open("rb") as file:
            task = _entry(_read_head(file, path), path).get("task")
    except OSError as exc:
        raise ModelFileError(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    if isinstance(task, str) and task in TASKS:
        return task
    return inspect(path).task  # says what is wrong: damage, or a newer schema


@overload
def load(model: str | Path, *, task: Task[H, M], device: str | torch.device = "cpu") -> tuple[H, M]: ...


@overload
def load(model: str | Path, *, task: str = RECOGNITION.name, device: str | torch.device = "cpu") -> tuple[Any, Any]: ...


def load(
    model: str | Path, *, task: Task[Any, Any] | str = RECOGNITION.name, device: str | torch.device = "cpu"
) -> tuple[Any, Any]:
    """Return a model file's header and its network, in evaluation mode, with float32 weights.

    Args:
        model: As for `resolve`.
        task: What the model must have been made for: a row of `lrcn.tasks`, or its name.
        device: Where the weights go.

    Raises:
        ModelFileError: As for `inspect`, or if the weights do not fit the network that the header describes.
        TaskMismatchError: If the model was made for another task.
        UnknownNameError: If there is no task of this name.
    """
    wanted = task_named(task) if isinstance(task, str) else task
    path = resolve(model)
    fields = _checked_fields(path)
    if (stated := str(fields.get("task"))) != wanted.name:
        remedy = f"use: {TASKS[stated].command}" if stated in TASKS else f"a {wanted.name} model is wanted here"
        raise TaskMismatchError(f"{path} is a {stated} model; {remedy}")
    header = header_from_dict(fields, source=str(path))

    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as exc:
        raise ModelFileError(f"{path}: its weights cannot be read: {exc}") from exc
    network = _build(wanted, header, path)
    expected = network.state_dict()
    tensors = with_backbone(header, tensors, expected, source=str(path))
    _check_fit(tensors, expected, path)
    network.load_state_dict(tensors)  # copies, so that float16 widens and the file is not held open
    return header, network.to(device).eval()


def _build(task: Task[Any, Any], header: ModelHeader, path: Path) -> nn.Module:
    """Return the network with arbitrary weights, without taking the time to draw them."""
    import torch
    from torch.overrides import TorchFunctionMode

    class SkipRandomFilling(TorchFunctionMode):
        left = path.stat().st_size + _MOST_BESIDE  # a number takes a byte at least

        def __torch_function__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            kwargs = kwargs or {}
            name = getattr(func, "__name__", "")
            if name in _RANDOM_FILLINGS:
                return kwargs["tensor"] if "tensor" in kwargs else args[0]
            if name in _FACTORIES:
                self.left -= _numel(args[0] if args else kwargs.get("size", 0), *args[1:])
                if self.left < 0:
                    raise ModelFileError(f"{path}: its header describes a network that is larger than its weights")
            return func(*args, **kwargs)

    try:
        with torch.random.fork_rng(devices=[]), SkipRandomFilling():  # fork: what is drawn next must not change
            network: nn.Module = task.model()(header.model)
            return network
    except ModelFileError:
        raise
    except (LRCNError, RuntimeError, MemoryError, OverflowError, TypeError) as exc:  # torch, of sizes that nothing has
        raise ModelFileError(f"{path}: its network cannot be built: {exc}") from exc


def _numel(size: Any, *more: Any) -> int:
    """Return how many numbers a tensor has that is made with such arguments: sizes one by one, or together."""
    sizes = size if isinstance(size, Sequence) else (size, *itertools.takewhile(lambda n: isinstance(n, int), more))
    return math.prod(sizes)


def _check_fit(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    problems = [f"{name} is missing" for name in expected if name not in tensors]
    problems += [f"{name} is not expected" for name in tensors if name not in expected]
    problems += [
        f"{name} is {tuple(tensors[name].shape)}, expected {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    if problems:
        more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ModelFileError(f"{path}: the weights do not fit the network in its header: {problems[0]}{more}")


def _storable(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    import torch

    own = tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
    if dtype is None or not own.is_floating_point():
        return own
    narrow = own.to(dtype)
    return narrow if torch.equal(narrow.isfinite(), own.isfinite()) else own


def _sync_folder(folder: Path) -> None:
    """Make the renaming of a file in this folder outlast a power cut."""
    with contextlib.suppress(OSError):  # some systems cannot sync a folder
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _checked_fields(path: Path) -> dict[str, Any]:
    """Return the entry `lrcn` of a file whose digest is right."""
    try:
        with path.open("rb") as file:
            head = _read_head(file, path)
            fields = _entry(head, path)
            stated = fields.get("sha256")
            if not isinstance(stated, str) or not re.fullmatch("[0-9a-f]{64}", stated):
                raise ModelFileError(f"{path}: damaged: its header states no sha256; copy or download it again")
            blank = head.replace(stated.encode(), _NO_DIGEST.encode())
            if head.count(stated.encode()) != 1 or _digest(blank, file) != stated:
                raise ModelFileError(f"{path}: damaged: its sha256 does not match; copy or download it again")
    except OSError as exc:
        raise ModelFileError(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    return fields


def _read_head(file: io.BufferedIOBase, path: Path) -> bytes:
    """Read the 8 bytes of length and the JSON header after them."""
    size = os.fstat(file.fileno()).st_size
    length = file.read(8)
    num_bytes = int.from_bytes(length, "little")
    if size < 8 or num_bytes > min(size - 8, _MAX_HEADER_BYTES):
        raise ModelFileError(f"{path}: not a .safetensors file, or cut short; give a file that lrcn train wrote")
    return length + file.read(num_bytes)


def _entry(head: bytes, path: Path) -> dict[str, Any]:
    try:
        header = parse_json(head[8:])
    except ValueError as exc:
        raise ModelFileError(f"{path}: not a .safetensors file, or damaged; give a file that lrcn train wrote") from exc
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    text = metadata.get(_ENTRY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise ModelFileError(
            f"{path}: a .safetensors file, but not of lrcn (no {_ENTRY!r} in its metadata); "
            "give a file that lrcn train wrote"
        )
    try:
        fields = parse_json(text)
    except ValueError as exc:
        raise ModelFileError(f"{path}: damaged: its header is no JSON; copy or download it again") from exc
    if not isinstance(fields, dict):
        raise ModelFileError(f"{path}: damaged: its header is no JSON object; copy or download it again")
    return fields


def _digest(head: bytes, rest: io.BufferedIOBase) -> str:
    """Return the sha256 of `head` and what `rest` holds from its position on."""
    digest = hashlib.sha256(head)
    return hashlib.file_digest(rest, lambda: digest).hexdigest()
