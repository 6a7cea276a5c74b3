"""What the answers look like, for the description in OpenAPI: answers are written by `results.py`, not by these."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Failure(_Shape):
    """Why there is no answer."""

    error: str = Field(examples=["unknown model 'dmo'; did you mean 'demo'? choices: demo"])


class LabelProb(_Shape):
    """A class and its probability."""

    label: str
    label_id: int
    prob: float


class Segment(_Shape):
    """What one window of the video shows."""

    start_s: float
    end_s: float
    known: bool
    top: list[LabelProb]


class Bout(_Shape):
    """A behaviour from its start to its end."""

    label: str
    start_s: float
    end_s: float
    prob: float


class _Answer(_Shape):
    schema_: int = Field(alias="schema")
    warnings: list[str]
    model: dict[str, str]


class Recognition(_Answer):
    """What `lrcn recognize --json` prints."""

    task: Literal["recognition"]
    source: str
    duration_s: float
    known: bool
    top: list[LabelProb]
    segments: list[Segment]
    timing_s: dict[str, float]
    bouts: list[Bout] | None = None


class Caption(_Shape):
    """A sentence."""

    text: str
    log_prob: float


class CaptionSegment(_Shape):
    """What is said about a part of a video."""

    start_s: float
    end_s: float
    captions: list[Caption]


class Captions(_Answer):
    """What `lrcn caption --json` prints."""

    task: Literal["captioning"]
    source: str
    duration_s: float
    captions: list[Caption]
    segments: list[CaptionSegment]
    timing_s: dict[str, float]


class Match(_Shape):
    """A picture or a sentence, and how well it fits."""

    item: str
    index: int
    score: float


class Retrieval(_Answer):
    """What `lrcn retrieve --json` prints, of one query."""

    task: Literal["retrieval"]
    query: str
    matches: list[Match]
    num_searched: int
    scoring: Literal["release", "plain"]


class Retrievals(_Shape):
    """One result a query."""

    results: list[Retrieval]


class Model(_Shape):
    """A model that is served."""

    name: str
    task: Literal["recognition", "captioning"]
    ready: bool
    sha256: str | None = None
    runtime: str | None = None
    stream: Literal["rgb", "flow"] | None = None
    sample_fps: float | None = None
    """Frames a second that it looks at; streams should come at this rate."""
    clip_length: int | None = None
    clip_stride: int | None = None
    labels: list[str] | None = None
    frames_together: list[int] | None = None
    """How many frames of several streams go through the CNN at once, to the same bits."""


class Models(_Shape):
    """All models that are served."""

    models: list[Model]


class ModelState(_Shape):
    """How a model's process is."""

    state: Literal["starting", "ready", "unusable"]
    pid: int | None
    """Of the process that has the model, on the server's machine."""
    restarts: int
    last_exit: str
    waiting: int
    in_work: int
    sessions: int


class Readiness(_Shape):
    """Whether all models can answer."""

    ready: bool
    models: dict[str, ModelState]


class Health(_Shape):
    """The server runs."""

    status: Literal["ok"]


_TOP = [{"label": "walk", "label_id": 13, "prob": 0.93}, {"label": "run", "label_id": 7, "prob": 0.04}]
_MODEL = {"name": "demo", "sha256": "7f...", "runtime": "torch"}

RECOGNITION: dict[str, Any] = {
    "schema": 1,
    "task": "recognition",
    "source": "holiday.mp4",
    "duration_s": 4.2,
    "known": True,
    "top": _TOP,
    "segments": [{"start_s": 0.0, "end_s": 2.4, "known": True, "top": _TOP}],
    "warnings": [],
    "model": _MODEL,
    "timing_s": {"features": 0.5, "windows": 0.01, "total": 0.51},
}
CAPTIONS: dict[str, Any] = {
    "schema": 1,
    "task": "captioning",
    "source": "holiday.jpg",
    "duration_s": 0.0,
    "captions": [{"text": "a dog runs on the beach", "log_prob": -7.1}],
    "segments": [],
    "warnings": [],
    "model": {"name": "photos", "sha256": "a1..."},
    "timing_s": {"features": 0.02, "captions": 0.05, "total": 0.07},
}
RETRIEVALS: dict[str, Any] = {
    "results": [
        {
            "schema": 1,
            "task": "retrieval",
            "query": "a dog on the beach",
            "matches": [{"item": "holiday.jpg", "index": 0, "score": 1.7}],
            "num_searched": 2,
            "scoring": "release",
            "warnings": [],
            "model": {"name": "photos", "sha256": "a1..."},
        }
    ]
}
