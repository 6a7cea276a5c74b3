"""The models that ship inside this package.

One of them may leave out the weights of its backbone where they are the packaged ones, which the package holds already.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lrcn.config import PACKAGED_BACKBONE, ModelHeader
from lrcn.errors import ModelFileError

if TYPE_CHECKING:
    from torch import Tensor

DEMO, PHOTOS, EMOJI = SHIPPED = ("demo", "photos", "emoji")
"""Names that stand for the shipped models: one recognises actions, one captions photographs, one pictures composed of
emoji."""

_ASSETS = Path(str(files("lrcn"))) / "assets"
_BACKBONE = _ASSETS / f"{PACKAGED_BACKBONE}.safetensors"
_PREFIX = "backbone.trunk."
_SHA256 = "packaged_backbone_sha256"
"""Provenance entry of a model without backbone: the file that completes it."""

Header = TypeVar("Header", bound=ModelHeader)


def shipped_path(name: str) -> Path:
    """Return the file of a shipped model."""
    return _ASSETS / f"{name}.safetensors"


def without_backbone(header: Header, state: Mapping[str, Tensor]) -> tuple[Header, dict[str, Tensor]]:
    """Return a model without the weights that it has in common with the packaged backbone, for `save`.

    Raises:
        ModelFileError: If its backbone has other weights.
    """
    rest = {name: tensor for name, tensor in state.items() if not name.startswith(_PREFIX)}
    header = replace(header, provenance={**header.provenance, _SHA256: _backbone_sha256()})
    complete = with_backbone(header, rest, state, source="the model to ship")
    if not all(bool((tensor == complete[name]).all()) for name, tensor in state.items()):
        raise ModelFileError("the model to ship: its backbone is not the packaged one")
    return header, rest


def with_backbone(
    header: ModelHeader, tensors: dict[str, Tensor], expected: Mapping[str, Tensor], *, source: str
) -> dict[str, Tensor]:
    """Return the weights of a model file, completed with the packaged backbone's if the file says so.

    Args:
        header: Of the file.
        tensors: Of the file.
        expected: Of the whole network, by name.
        source: What messages call the file.

    Raises:
        ModelFileError: If the package holds another backbone than that which the model was made with.
    """
    if _SHA256 not in header.provenance or any(name.startswith(_PREFIX) for name in tensors):
        return tensors  # whole as it is; what was saved again after loading still has the entry
    from safetensors.torch import load_file

    if header.provenance[_SHA256] != _backbone_sha256():
        raise ModelFileError(f"{source}: belongs to another lrcn, with another {_BACKBONE.name}; reinstall lrcn")
    packaged = load_file(_BACKBONE)
    names = [name for name in expected if name.startswith(_PREFIX) and name.removeprefix(_PREFIX) in packaged]
    return {**{name: packaged[name.removeprefix(_PREFIX)] for name in names}, **tensors}


def _backbone_sha256() -> str:
    with _BACKBONE.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
