"""FiftyOne's temporal detections: frames from one, timestamps, classes by number."""

from __future__ import annotations

import json
from pathlib import Path

from tests.annotations.conftest import ReadText
from tests.conftest import MakeClip, textured_frames

from lrcn.bouts import Bout


def test_frames_and_timestamps_are_read(read_text: ReadText, tmp_path: Path, make_clip: MakeClip) -> None:
    (tmp_path / "data").mkdir()
    make_clip(tmp_path / "data" / "a.avi", textured_frames(10, 32, 32, seed=0), fps=20)
    detections = [
        {"label": 1, "support": [1, 20], "confidence": 0.5, "attributes": {"side": "left"}},
        {"label": "jump", "timestamps": [1.25, 3]},
    ]
    found = read_text(
        "labels.json", json.dumps({"classes": ["jump", "run", "fly"], "labels": {"a": detections, "b": None}})
    )
    one, two = found.recordings
    assert one.bouts == (Bout("run", 0.0, 1.0, modifiers=("side=left",), prob=0.5), Bout("jump", 1.25, 3.0))
    assert (one.path, one.fps, one.looked_at) == (tmp_path / "data" / "a.avi", 20.0, None)
    assert two.bouts == ()
    assert found.labels == ("jump", "run", "fly")
    assert len(found.warnings) == 2  # b is not there, and nothing flies


def test_every_bad_detection_is_named(read_text: ReadText) -> None:
    detections = [
        {"label": "run", "support": [1, 20]},
        {"label": 9, "timestamps": [1, 2]},
        {"label": "run", "timestamps": [3, 2]},
        {"label": "run", "support": [20, 1]},
        {"label": "run"},
        {"support": [1, 2]},
        None,
    ]
    found = read_text("labels.json", json.dumps({"labels": {"a": detections}, "classes": []}))
    assert len(found.skipped) == 7
    assert "--fps" in found.skipped[0].reason
    found = read_text("labels.json", json.dumps({"labels": {"a": detections}}), fps=10)
    assert found.recordings[0].bouts == (Bout("run", 0.0, 2.0),)
