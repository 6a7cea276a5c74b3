"""What a prediction returns: plain Python values that turn into JSON. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from lrcn.bouts import Bout

RESULT_SCHEMA = 1
"""Version of the JSON that `to_dict` gives."""

UNKNOWN = "unknown"
"""What shows none of the classes; a class of this name holds examples of that."""


@dataclass(frozen=True)
class _Result:
    """What the results of all tasks share: their JSON."""

    task: ClassVar[str]
    """What the model was made for."""

    def to_dict(self) -> dict[str, Any]:
        """Return the documented JSON object: `schema`, `task`, then the fields."""
        return {"schema": RESULT_SCHEMA, "task": self.task, **asdict(self)}

    def to_json(self) -> str:
        """Return `to_dict` as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)


@dataclass(frozen=True)
class LabelProb:
    """A class and its probability."""

    label: str
    label_id: int
    prob: float
    """In 0-1."""


def named(label: str, *, known: bool, share: str = "") -> str:
    """Return what people read about a most probable class: `walk 41 %`, or `unknown (most like walk 41 %)`.

    Args:
        label: The class.
        known: Whether it counts.
        share: Its probability in words; empty leaves it out.
    """
    text = f"{label} {share}" if share else label
    return text if known or label == UNKNOWN else f"{UNKNOWN} (most like {text})"


@dataclass(frozen=True)
class Segment:
    """What one window of the video shows, from `start_s` up to but not including `end_s`."""

    start_s: float
    end_s: float
    top: tuple[LabelProb, ...]
    """Most probable first."""
    probs: Sequence[float] = field(default=(), repr=False, hash=False)
    """Probability of every class, in label order: an `array.array`, which `np.array` takes as it is. Those of the
    45,000 windows of ten hours take 8 MB for 14 classes, 39 MB for 101."""
    known: bool = True
    """Whether it shows one of the classes, as far as the model can tell."""

    def to_dict(self) -> dict[str, Any]:
        """Return the documented JSON object: the fields but for `probs`, which would make it many times as long."""
        return {
            "start_s": self.start_s,
            "end_s": self.end_s,
            "known": self.known,
            "top": [asdict(entry) for entry in self.top],
        }


@dataclass(frozen=True)
class RecognitionResult(_Result):
    """What a whole video shows, and each of its windows."""

    task: ClassVar[str] = "recognition"

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
    labels: tuple[str, ...] = field(default=(), repr=False)
    """Class names; the position is the label id."""
    known: bool = True
    """Whether it shows one of the classes, as far as the model can tell."""
    bouts: tuple[Bout, ...] | None = None
    """What is shown from when to when, in the order of their starts; None where they were not asked for."""

    @property
    def label(self) -> str:
        """The most probable class, `known` or not."""
        return self.top[0].label

    def to_dict(self) -> dict[str, Any]:
        """Return the documented JSON object: `schema`, `task`, then the fields but for `probs` and `labels`.

        `bouts` are there where they were asked for.

        The probabilities of all classes in all windows are a table of their own: `lrcn.write_results(results, path,
        "window-probs")`.
        """
        fields: dict[str, Any] = {
            "schema": RESULT_SCHEMA,
            "task": self.task,
            "source": self.source,
            "duration_s": self.duration_s,
            "known": self.known,
            "top": [asdict(entry) for entry in self.top],
            "segments": [segment.to_dict() for segment in self.segments],
            "warnings": list(self.warnings),
            "model": dict(self.model),
            "timing_s": dict(self.timing_s),
        }
        if self.bouts is not None:
            fields["bouts"] = [
                {"label": bout.label, "start_s": bout.start_s, "end_s": bout.end_s, "prob": bout.prob}
                | ({"subject": bout.subject} if bout.subject else {})
                for bout in self.bouts
            ]
        return fields


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
class CaptionResult(_Result):
    """What is said about a picture or a whole video, and about each part of a long video."""

    task: ClassVar[str] = "captioning"

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
class RetrievalResult(_Result):
    """The pictures that fit a sentence best, or the sentences that fit a picture best."""

    task: ClassVar[str] = "retrieval"

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


Result = RecognitionResult | CaptionResult | RetrievalResult
"""What any prediction returns."""
