"""What the server and the processes of its models say to each other. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal["recognize", "caption", "retrieve", "stream"]

AT_ONCE = {"recognize": 4, "caption": 4, "retrieve": 1, "stream": 8}
"""Jobs of a kind that a model works on at once: while one decodes, another uses the network."""


@dataclass(frozen=True)
class Upload:
    """A file that a client sent."""

    path: Path
    """Where it lies, under a name of ours."""
    name: str
    """What the client calls it: goes into answers, and never becomes a path."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a process is to do."""

    kind: Kind
    settings: dict[str, Any] = field(default_factory=dict)
    """Arguments, by the names of the library."""
    uploads: tuple[Upload, ...] = ()
    frame: bytes = b""
    """Of a stream: the next frame, a JPEG or raw RGB; empty to begin or to end it."""
    memory: bytes = b""
    """Of a stream: what the answer to its last frame said that it remembers."""


@dataclass(frozen=True)
class Asked:
    """A job on its way to a process."""

    number: int
    job: Job


@dataclass(frozen=True)
class Cancelled:
    """Nobody waits for the answer to a job any more."""

    number: int


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of a job."""

    number: int
    status: int
    """200, or what HTTP calls the failure."""
    body: bytes
    """JSON in UTF-8: the answer, or the message of an error as JSON text; empty where there is nothing to say."""
    memory: bytes = b""
    """Of a stream: to be sent with its next frame."""
    spent_s: float = 0.0
    calls: int = 0
    """Of the CNN, since the process began."""
    frames: int = 0
    """Through the CNN, since the process began."""


@dataclass(frozen=True)
class Ready:
    """The process has its model."""

    about: dict[str, Any]


@dataclass(frozen=True)
class Unusable:
    """The process cannot use its model."""

    message: str
