"""A folder of graphs that `lrcn export` wrote: what is in it, and whether it is whole. Imports no torch."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from lrcn.config import RecognitionHeader
from lrcn.errors import ModelFileError, TaskMismatchError
from lrcn.model_file.header import header_from_dict, header_to_dict

DESCRIPTION = "lrcn-export.json"
"""The file that makes a folder an exported model."""

SCHEMA = 1
"""Version of the description."""

GRAPHS = ("backbone", "clip", "step")
"""`backbone`: frames `(N, crop, crop, 3)` uint8 -> features `(N, D)`. `clip`: features `(B, clip_length, D)` -> class
probabilities `(B, A)`. `step`: features `(B, D)` and state -> class probabilities and the state after."""

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml"}
"""Format -> suffix of its graphs."""

Format = Literal["onnx", "openvino"]


@dataclass(frozen=True, kw_only=True)
class ExportedModel:
    """What the description says."""

    folder: Path
    header: RecognitionHeader
    """Of the model file that was exported, its sha256 included."""
    format: Format
    precision: Literal["fp32", "int8"]
    """Of the backbone; what reads the features is always fp32."""
    state: dict[str, list[int]]
    """Inputs of the step graph besides `features`: name -> shape, -1 for the batch."""
    files: dict[str, str]
    """Name -> sha256."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of the packages that made it."""
    parity: dict[str, Any] = field(default_factory=dict)
    """How far its answers are from those of torch."""

    def graph(self, name: str) -> Path:
        """Return the file of one of `GRAPHS`."""
        return self.folder / (name + SUFFIXES[self.format])


def is_exported(folder: str | Path) -> bool:
    """Whether a folder is an exported model."""
    return (Path(folder) / DESCRIPTION).is_file()


def write_description(model: ExportedModel) -> None:
    """Write the description into the folder, once the graphs are there."""
    fields = {
        "schema": SCHEMA,
        **{name: value for name, value in asdict(model).items() if name not in ("folder", "header", "files")},
        "files": {name: _sha256(model.folder / name) for name in model.files},
        "header": header_to_dict(model.header),
    }
    (model.folder / DESCRIPTION).write_text(json.dumps(fields, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_exported(folder: str | Path) -> ExportedModel:
    """Return what an exported folder holds, after checking every file against its digest.

    Raises:
        ModelFileError: If it is no such folder, a file is missing or damaged, or it was written by a newer lrcn.
        TaskMismatchError: If it is no recognition model.
    """
    folder = Path(folder)
    source = folder / DESCRIPTION
    try:
        fields = json.loads(source.read_text(encoding="utf-8"))
        schema = fields.pop("schema")
        header = header_from_dict(fields.pop("header"), source=str(source))
        if not isinstance(header, RecognitionHeader):
            raise TaskMismatchError(f"{folder} is an exported {header.task} model; a recognition model is wanted here")
        model = ExportedModel(folder=folder, header=header, **fields)
        files = dict(model.files)
    except OSError as exc:
        raise ModelFileError(
            f"{source}: cannot be read ({exc.strerror}); give a folder that lrcn export wrote"
        ) from exc
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ModelFileError(f"{source}: damaged; export the model again") from exc
    if schema != SCHEMA:
        raise ModelFileError(f"{source}: of schema {schema}, this lrcn reads {SCHEMA}; export the model again")
    for name, digest in files.items():
        if not (folder / name).is_file() or _sha256(folder / name) != digest:
            raise ModelFileError(f"{folder / name}: missing or damaged; export the model again")
    return model


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
