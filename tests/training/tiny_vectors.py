"""Tracks of two body parts, as DeepLabCut writes them: how the nose moves about the body makes the class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

LABELS = ("circle", "rest", "shake")
PARTS = ("nose", "body")
FPS = 30


def points(label: str, num_frames: int, rng: np.random.Generator) -> np.ndarray:
    """Return places in px `(T, parts, 2)`: an animal that strolls from anywhere to anywhere, whatever it does."""
    times_s = np.arange(num_frames) / FPS
    body = rng.uniform(100, 500, 2) + np.cumsum(rng.normal(0, 0.3, (num_frames, 2)), axis=0)
    phase = rng.uniform(0, 2 * np.pi)
    moved = {
        "circle": np.stack([np.cos(2 * np.pi * times_s + phase), np.sin(2 * np.pi * times_s + phase)], axis=1),
        "rest": np.zeros((num_frames, 2)),
        "shake": np.stack([np.sin(6 * np.pi * times_s + phase), np.zeros(num_frames)], axis=1),
    }[label]
    return np.stack([body + [30, 0] + 25 * moved, body], axis=1) + rng.normal(0, 0.5, (num_frames, 2, 2))


def write_deeplabcut(path: Path, places: np.ndarray, rng: np.random.Generator) -> Path:
    """Write places `(T, parts, 2)`, a few of them guesses with a likelihood that says so."""
    unsure = rng.random(places.shape[:2]) < 0.05
    places = np.where(unsure[..., None], rng.uniform(0, 600, places.shape), places)
    rows = [
        ["scorer", *["DLC"] * 3 * len(PARTS)],
        ["bodyparts", *(part for part in PARTS for _ in range(3))],
        ["coords", *["x", "y", "likelihood"] * len(PARTS)],
    ]
    for frame, (row, odd) in enumerate(zip(places, unsure, strict=True)):
        cells = [[f"{x:.3f}", f"{y:.3f}", "0.1" if guess else "0.99"] for (x, y), guess in zip(row, odd, strict=True)]
        rows.append([str(frame), *(cell for part in cells for cell in part)])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(",".join(row) for row in rows) + "\n")
    return path


def tiny_clips(folder: Path, number: int = 8) -> Path:
    """Write a folder of tracks for each class."""
    for label_id, label in enumerate(LABELS):
        for n in range(number):
            rng = np.random.default_rng([label_id, n])
            write_deeplabcut(folder / label / f"{label}{n}.csv", points(label, int(rng.integers(60, 120)), rng), rng)
    return folder


def tiny_tracks(folder: Path, number: int = 5) -> Path:
    """Write tracks of recordings, `cage0DLC_net.csv` of `cage0.mp4`, and return their annotations, all looked at."""
    rows = ["path,label,start_s,end_s,looked_at"]
    for n in range(number):
        rng = np.random.default_rng([9, n])
        parts, start = [], 0
        for turn in range(14):
            label = "rest" if turn % 2 == 0 else ("circle", "shake")[turn // 2 % 2]
            parts.append(points(label, int(rng.integers(60, 120)), rng))
            end = start + len(parts[-1])
            if label != "rest":
                rows.append(f"cage{n}.mp4,{label},{start / FPS},{end / FPS},all")
            start = end
        write_deeplabcut(folder / "tracks" / f"cage{n}DLC_net.csv", np.concatenate(parts), rng)
    (folder / "annotations.csv").write_text("\n".join(rows) + "\n")
    return folder / "annotations.csv"
