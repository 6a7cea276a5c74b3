"""Recordings with annotations that the tiny model is measured on."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import MakeClip, textured_frames

ROWS = {
    "mouse0.avi": [("walk", 0.5, 2.0), ("wave", 2.0, 4.1), ("jump", 5.0, 5.6)],
    "mouse1.avi": [("jump", 0.0, 1.0), ("walk", 1.5, 5.0)],
}
SECONDS = 6.0


def write_recordings(folder: Path, make_clip: MakeClip, rows: dict[str, list[tuple[str, float, float]]] = ROWS) -> Path:
    """Write videos of six seconds and the `annotations.csv` beside them; all are looked at whole, and for testing."""
    lines = ["path,label,start_s,end_s,split,looked_at"]
    for number, (name, bouts) in enumerate(rows.items()):
        make_clip(folder / name, textured_frames(60, 72, 80, seed=number), 10)
        lines += [f"{name},{label},{start_s},{end_s},test,all" for label, start_s, end_s in bouts]
    path = folder / "annotations.csv"
    path.write_text("\n".join(lines) + "\n")
    return path
