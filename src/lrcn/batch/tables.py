"""What the tables of a batch hold, and the rows that results become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lrcn.batch.places import Place, printable
from lrcn.bouts import Bout
from lrcn.results import CaptionResult, CaptionSegment, RecognitionResult
from lrcn.tasks import CAPTIONING, RECOGNITION

if TYPE_CHECKING:
    from lrcn.features import VideoFeatures

SOURCES, SEGMENTS, BOUTS, FEATURES = "sources", "segments", "bouts", "features"
FORMAT = 1
"""Version of the tables."""

DONE, FAILED = "done", "failed"

Rows = list[dict[str, Any]]
Tables = dict[str, pa.Table]
"""By name; one without rows may be left out."""

_STATE = [
    ("source", pa.string()),
    ("status", pa.string()),
    ("reason", pa.string()),
    ("bytes", pa.int64()),
    ("modified", pa.timestamp("us", "UTC")),
    ("duration_s", pa.float64()),
    ("num_segments", pa.int32()),
    ("warnings", pa.list_(pa.string())),
]
_TIMES = [("source", pa.string()), ("start_s", pa.float64()), ("end_s", pa.float64())]
_LABELLED = [
    ("label", pa.string()),
    ("label_id", pa.int32()),
    ("prob", pa.float32()),
    ("known", pa.bool_()),
    ("probs", pa.list_(pa.float32())),
]
_CAPTIONED = [("caption", pa.string()), ("log_prob", pa.float64())]

SCHEMAS: Mapping[str, Mapping[str, pa.Schema]] = {
    RECOGNITION.name: {
        SOURCES: pa.schema([*_STATE, *_LABELLED]),
        SEGMENTS: pa.schema([*_TIMES, *_LABELLED]),
        BOUTS: pa.schema([*_TIMES, ("label", pa.string()), ("prob", pa.float32())]),
    },
    CAPTIONING.name: {
        SOURCES: pa.schema([*_STATE, *_CAPTIONED]),
        SEGMENTS: pa.schema([*_TIMES, *_CAPTIONED]),
    },
}
"""Task -> table -> columns; docs/batch.md says what they hold. Those of features depend on the CNN."""


def recognised(place: Place, result: RecognitionResult) -> tuple[dict[str, Any], Rows]:
    """Return the row of a video, and those of its windows."""
    rows = [
        {
            "source": place.name,
            "start_s": segment.start_s,
            "end_s": segment.end_s,
            "label": segment.top[0].label,
            "label_id": segment.top[0].label_id,
            "prob": segment.top[0].prob,
            "known": segment.known,
            "probs": np.asarray(segment.probs, np.float32),
        }
        for segment in result.segments
    ]
    best = result.top[0]
    whole = {
        **_done(place, result, len(rows)),
        "label": best.label,
        "label_id": best.label_id,
        "prob": best.prob,
        "known": result.known,
        "probs": np.asarray(result.probs, np.float32),
    }
    return whole, rows


def bout_rows(place: Place, bouts: Sequence[Bout]) -> Rows:
    """Return the rows of the bouts of a recording."""
    return [
        {"source": place.name, "start_s": bout.start_s, "end_s": bout.end_s, "label": bout.label, "prob": bout.prob}
        for bout in bouts
    ]


def captioned(place: Place, result: CaptionResult) -> tuple[dict[str, Any], Rows]:
    """Return the row of a picture or video, and those of its parts; a picture or a short video is one part."""
    parts = result.segments or (CaptionSegment(0.0, result.duration_s, result.captions),)
    rows = [
        {
            "source": place.name,
            "start_s": part.start_s,
            "end_s": part.end_s,
            "caption": part.captions[0].text,
            "log_prob": part.captions[0].log_prob,
        }
        for part in parts
    ]
    best = result.captions[0]
    return {**_done(place, result, len(rows)), "caption": best.text, "log_prob": best.log_prob}, rows


def failed(place: Place, reason: str) -> dict[str, Any]:
    """Return the row of a source that cannot be read."""
    return {**_state(place), "status": FAILED, "reason": printable(reason), "warnings": []}


def feature_rows(place: Place, encoded: VideoFeatures) -> pa.Table:
    """Return a row for each frame `(T, D)` of the first view of a source."""
    features = encoded.features[0].numpy()
    num_frames, size = features.shape
    values = pa.FixedSizeListArray.from_arrays(pa.array(features.reshape(-1)), size)
    return pa.table(
        {
            "source": pa.array([place.name] * num_frames, pa.string()),
            "frame": pa.array(np.arange(num_frames), pa.int32()),
            "time_s": pa.array(encoded.times_s, pa.float64()),
            "features": values,
        }
    )


def _state(place: Place) -> dict[str, Any]:
    return {"source": place.name, "bytes": place.size, "modified": place.modified}


def _done(place: Place, result: RecognitionResult | CaptionResult, num_segments: int) -> dict[str, Any]:
    return {
        **_state(place),
        "status": DONE,
        "duration_s": result.duration_s,
        "num_segments": num_segments,
        "warnings": [printable(warning) for warning in result.warnings],
    }
