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
    """`name` and `sha256` of the model file."""
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
