"""How a server is set up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lrcn.errors import ConfigError
from lrcn.inference.loading import task_of
from lrcn.model_file.storage import name_of_model
from lrcn.serving.keys import Keys

SESSIONS_EACH = 64
"""Streams that a model follows at once."""

LONGEST_MESSAGE_BYTES = 2**24
"""Of a WebSocket message: more than two raw frames of 1920 x 1080 px; larger ones come as JPEG."""


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A model, and how it runs."""

    path: str
    """As `lrcn.load` takes it."""
    name: str
    """What requests call it."""
    task: str
    device: str = "auto"
    runtime: str | None = None
    batch_size: int = 64


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """How a server is set up."""

    models: tuple[ServedModel, ...]
    max_queue: int = 32
    """Requests that may wait for a model besides those that it works on."""
    max_upload_bytes: int = 2**30
    """Of all files of a request together."""
    deadline_s: float = 120.0
    """Seconds that a request may take from its first byte to its answer."""
    idle_s: float = 60.0
    """Seconds after which a stream that sends nothing is closed."""
    keys: Keys | None = None
    """Who may ask; None for everybody."""


def served_models(
    models: Sequence[str | Path], *, device: str = "auto", runtime: str | None = None, batch_size: int = 64
) -> tuple[ServedModel, ...]:
    """Return what is to be served, once it is clear that each is a model, and has a name of its own.

    Raises:
        ModelFileError: If one is missing or foreign; damage is found when it is loaded.
        ConfigError: If two have one name, or there is none.
    """
    found = tuple(
        ServedModel(
            path=str(model),
            name=name_of_model(model),
            task=task_of(model),
            device=device,
            runtime=runtime,
            batch_size=batch_size,
        )
        for model in models
    )
    if not found:
        raise ConfigError("name at least one model to serve")
    name, count = Counter(model.name for model in found).most_common(1)[0]
    if count > 1:
        raise ConfigError(f"{count} of the models are called {name!r}, and requests could not tell them apart: rename")
    return found
