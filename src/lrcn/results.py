"""What a prediction returns: plain Python values that turn into JSON. Standard library only."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

RESULT_SCHEMA = 1
"""Version of the JSON that `to_dict` gives."""


@dataclass(frozen=True)
class LabelProb:
    """A class and its probability."""

    label: str
    label_id: int
    prob: float
    """In 0-1."""


@dataclass(frozen=True)
class Segment:
    """What one window of the video shows, from `start_s` up to but not including `end_s`."""

    start_s: float
    end_s: float
    top: tuple[LabelProb, ...]
    """Most probable first."""


@dataclass(frozen=True)
class RecognitionResult:
    """What a whole video shows, and each of its windows."""

    source: str
    duration_s: float
    top: tuple[LabelProb, ...]
    """Mean over the windows, most probable first."""
    segments: tuple[Segment, ...]
    probs: tuple[float, ...]
    """Probability of every class, in label order."""
    warnings: tuple[str, ...] = ()
    model: dict[str, str] = field(default_factory=dict)
    """`name` and `sha256` of the model file, and the `runtime` that ran it."""
    timing_s: dict[str, float] = field(default_factory=dict)
    """Seconds spent, by stage."""

    @property
    def label(self) -> str:
        """The most probable class."""
        return self.top[0].label

    def to_dict(self) -> dict[str, Any]:
        """Return the documented JSON object: `schema`, `task`, then the fields but for `probs`."""
        fields = asdict(self)
        del fields["probs"]
        return {"schema": RESULT_SCHEMA, "task": "recognition", **fields}

    def to_json(self) -> str:
        """Return `to_dict` as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)


@dataclass(frozen=True)
class Caption:
    """One sentence about a picture or video."""

    text: str
    """The words with spaces between them, in lower case; a word that begins with an apostrophe joins the one before."""
    log_prob: float
    """Natural logarithm of the probability that the model gives it: every word and, if it ended, the end."""


@dataclass(frozen=True)
class CaptionSegment:
    """What is said about a part of a video, from `start_s` up to but not including `end_s`."""

    start_s: float
    end_s: float
    captions: tuple[Caption, ...]
    """Best first."""


@dataclass(frozen=True)
class CaptionResult:
    """What is said about a picture or a whole video, and about each part of a long video."""

    source: str
    duration_s: float
    """0 for a picture."""
    captions: tuple[Caption, ...]
    """About the whole, best first."""
    segments: tuple[CaptionSegment, ...] = ()
    """Where the video is longer than a segment; together they are the video."""
    warnings: tuple[str, ...] = ()
    model: dict[str, str] = field(default_factory=dict)
    """`name` and `sha256` of the model file."""
    timing_s: dict[str, float] = field(default_factory=dict)
    """Seconds spent, by stage; a share of the batch where pictures were captioned together."""

    @property
    def text(self) -> str:
        """The best caption's text."""
        return self.captions[0].text

    def to_dict(self) -> dict[str, Any]:
        """Return the documented JSON object: `schema`, `task`, then the fields."""
        return {"schema": RESULT_SCHEMA, "task": "captioning", **asdict(self)}

    def to_json(self) -> str:
        """Return `to_dict` as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)


@dataclass(frozen=True)
class RetrievalMatch:
    """One answer to a query."""

    item: str
    """Path of the picture or video, or the sentence."""
    index: int
    """Its place, from 0, among what was searched."""
    score: float
    """Higher is better; see `scoring`."""


@dataclass(frozen=True)
class RetrievalResult:
    """The pictures that fit a sentence best, or the sentences that fit a picture best."""

    query: str
    """The sentence, or the path of the picture."""
    matches: tuple[RetrievalMatch, ...]
    """Best first."""
    num_searched: int
    scoring: str
    """`release`: log probability of the words without the end, less that of the sentence's mean probability over all
    pictures; `plain`: log probability of the whole sentence."""
    warnings: tuple[str, ...] = ()
    model: dict[str, str] = field(default_factory=dict)
    """`name` and `sha256` of the model file."""

    def to_dict(self) -> dict[str, Any]:
        """Return the documented JSON object: `schema`, `task`, then the fields."""
        return {"schema": RESULT_SCHEMA, "task": "retrieval", **asdict(self)}

    def to_json(self) -> str:
        """Return `to_dict` as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)
