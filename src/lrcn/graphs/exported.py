"""A folder of graphs that `lrcn export` wrote: what is in it, and whether it is whole. Imports no torch.

All models but those that read ready vectors:
    backbone    frames `(N, crop, crop, 3)` uint8 -> features `(N, D)`
Recognition:
    embed       features `(N, D)` -> what clips need of each frame `(N, G)`
    clip        embedded frames `(B, clip_length, G)`, how many count `(B,)` int64 -> class probabilities `(B, A)`
    step        features `(B, D)`, state -> class probabilities `(B, A)`, state after; missing where the head looks at
                clips as a whole
Captioning:
    context     features `(B, D)` -> contexts of each frame by itself `(B, E)`, whose mean is that of a video; missing
                where the features are these. Where an LSTM reads the frames: features of the next frame, state ->
                contexts so far, state after.
    clip        contexts `(B, E)`, tokens `(B, CLIP_TOKENS)` -> logits of the token after each `(B, CLIP_TOKENS, V)`
    step        last tokens `(B,)`, state with the contexts in it -> log probabilities of the next `(B, V)`, state after
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from lrcn.config import ModelHeader
from lrcn.errors import ModelFileError, TaskMismatchError
from lrcn.files import parse_json, write_json
from lrcn.model_file.header import header_from_dict, header_to_dict
from lrcn.tasks import TASKS

DESCRIPTION = "lrcn-export.json"
"""The file that makes a folder an exported model."""

SCHEMA = 3
"""Version of the description; 2 added its own digest and the graph `embed`, in 3 `clip` gives one answer a clip."""

CLIP_TOKENS = 20
"""Tokens of the sentences that the `clip` graph of captioning reads (released nets were trained on 20)."""

_LARGEST_STATE = 2**24
"""Numbers that a graph hands on from step to step, for each clip: a thousand times what the largest head keeps."""

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml"}
"""Format -> suffix of its graphs."""

Format = Literal["onnx", "openvino"]


@dataclass(frozen=True, kw_only=True)
class ExportedModel:
    """What the description says."""

    folder: Path
    header: ModelHeader
    """Of the model file that was exported, its sha256 included."""
    format: Format
    precision: Literal["fp32", "int8"]
    """Of the backbone; what reads the features is always fp32."""
    state: dict[str, list[int]]
    """Inputs of the step graph besides `features` or `tokens`: name -> shape, -1 for the batch."""
    context_state: dict[str, list[int]] = field(default_factory=dict)
    """Inputs of the context graph besides `features`, in the same form."""
    files: dict[str, str]
    """Name -> sha256."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of the packages that made it."""
    parity: dict[str, Any] = field(default_factory=dict)
    """How far its answers are from those of torch."""

    def has_graph(self, name: str) -> bool:
        """Whether the folder has a graph of this name."""
        return self.graph(name).name in self.files

    def graph(self, name: str) -> Path:
        """Return the file of a graph; not every folder has every one."""
        return self.folder / (name + SUFFIXES[self.format])


def is_exported(folder: str | Path) -> bool:
    """Whether a folder is an exported model."""
    return (Path(folder) / DESCRIPTION).is_file()


def write_description(model: ExportedModel) -> None:
    """Write the description into the folder, once the graphs are there."""
    fields = {
        **{name: value for name, value in asdict(model).items() if name not in ("folder", "header", "files")},
        "files": {name: _sha256(model.folder / name) for name in model.files},
        "header": header_to_dict(model.header),
    }
    described = {"schema": SCHEMA, "sha256": _fields_digest(fields), **fields}
    write_json(model.folder / DESCRIPTION, described, indent=1)


def read_exported(folder: str | Path, *, task: str | None = None) -> ExportedModel:
    """Return what an exported folder holds, after checking every file against its digest.

    Args:
        folder: That `lrcn export` wrote.
        task: What the model must have been made for; None for anything.

    Raises:
        ModelFileError: If it is no such folder, a file is missing or damaged, or it was written by a newer lrcn.
        TaskMismatchError: If the model was made for another task.
    """
    model = _read_description(Path(folder))
    if task is not None and model.header.task != task:
        raise TaskMismatchError(f"{folder} is a {model.header.task} model; use: {TASKS[model.header.task].command}")
    for name, digest in model.files.items():
        path = model.folder / name
        if not path.is_file() or _sha256(path) != digest:
            raise ModelFileError(f"{path}: missing or damaged; export the model again")
    return model


def file_names(folder: str | Path) -> tuple[str, ...]:
    """Return the names of an exported folder's files, without its description; errors as for `read_exported`."""
    return tuple(_read_description(Path(folder)).files)


def exported_task(folder: str | Path) -> str:
    """Return what the model of an exported folder was made for; errors as for `read_exported`."""
    return _read_description(Path(folder)).header.task


def _read_description(folder: Path) -> ExportedModel:
    source = folder / DESCRIPTION
    try:
        fields = parse_json(source.read_text(encoding="utf-8"))
        if (schema := fields.pop("schema")) != SCHEMA:
            raise ModelFileError(f"{source}: of schema {schema}, this lrcn reads {SCHEMA}; export the model again")
        if fields.pop("sha256") != _fields_digest(fields):
            raise ModelFileError(f"{source}: damaged or changed by hand; export the model again")
        header = header_from_dict(fields.pop("header"), source=str(source))
        _check_plain(fields)
        return ExportedModel(folder=folder, header=header, **fields)
    except OSError as exc:
        raise ModelFileError(
            f"{source}: cannot be read ({exc.strerror}); give a folder that lrcn export wrote"
        ) from exc
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ModelFileError(f"{source}: damaged; export the model again") from exc


def _check_plain(fields: dict[str, Any]) -> None:
    """Make sure that the fields are of the types that `ExportedModel` says; `ValueError` if not.

    Anybody can make a digest, so it does not say that the rest is as `write_description` writes it.
    """
    if fields["format"] not in SUFFIXES or fields["precision"] not in ("fp32", "int8"):
        raise ValueError("unknown format or precision")
    for name, digest in fields["files"].items():
        if not isinstance(digest, str) or Path(name).name != name:
            raise ValueError(f"file {name!r} lies elsewhere")
    for shape in (*fields["state"].values(), *fields.get("context_state", {}).values()):
        sizes = [size for size in shape if size != -1]
        if not all(isinstance(size, int) and size > 0 for size in sizes) or math.prod(sizes) > _LARGEST_STATE:
            raise ValueError(f"a state of shape {shape}")


def _fields_digest(fields: dict[str, Any]) -> str:
    """Return a digest of what the description says, however it is laid out."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
