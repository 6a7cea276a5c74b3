"""`lrcn batch` against as many processes of `lrcn recognize`, over the same clips, to tables of the same windows.

Starting Ray takes seconds, which count for less the more clips there are: the ratio of what more clips take is the one
that a long job approaches.
"""

from __future__ import annotations

import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.subjects import write_clip
from benchmarks.timing import Figure

WORKERS = 2
FEW, MANY = 8, 128
"""Clips; both divide by the workers."""
ROUNDS = 3


def run() -> list[Figure]:
    """Check that both say the same of every window, then time."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in (FEW, MANY):
            for number in range(size):
                half = folder / str(size) / str(number % WORKERS)
                half.mkdir(parents=True, exist_ok=True)
                write_clip(half / f"{number}.mp4", num_frames=40 + number % 30, seed=number)
        seconds: dict[tuple[str, int], list[float]] = {}
        for number in range(ROUNDS):
            ways = {"ours": _batch, "theirs": _processes}
            for size in (FEW, MANY):
                for way in ways if number % 2 == 0 else reversed(ways):
                    began = time.perf_counter()
                    ways[way](folder / str(size), folder / f"{way}-{size}-{number}")
                    seconds.setdefault((way, size), []).append(time.perf_counter() - began)
        same = _same(folder / f"ours-{MANY}-0", folder / f"theirs-{MANY}-0")
    whole = [theirs / ours for ours, theirs in zip(seconds["ours", MANY], seconds["theirs", MANY], strict=True)]
    least = {key: min(found) for key, found in seconds.items()}  # of differences, noise would be the most
    more = [(least["theirs", MANY] - least["theirs", FEW]) / (least["ours", MANY] - least["ours", FEW])]
    baseline = f"{WORKERS} processes of lrcn recognize"
    return [
        Figure(title, baseline, statistics.median(ratios), min(ratios), max(ratios), same, goal)
        for title, ratios, goal in (
            (f"lrcn batch, {MANY} clips with the start", whole, None),
            (f"lrcn batch, {MANY - FEW} clips more", more, 0.9),
        )
    ]


def _run(*arguments: str | Path, **environment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "lrcn", *map(str, arguments)]
    return subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)


def _batch(clips: Path, output: Path) -> None:
    process = _run("batch", "demo", clips, "--output", output, "--workers", str(WORKERS), "--quiet")
    if process.wait():
        raise SystemExit("lrcn batch failed: nothing was timed")


def _processes(clips: Path, output: Path) -> None:
    output.mkdir()
    threads = str(max(1, (os.cpu_count() or 1) // WORKERS))
    processes = [
        _run(
            *(
                "recognize",
                clips / str(number),
                "--csv",
                output / f"{number}.csv",
                "--json",
                "--device",
                "cpu",
                "--quiet",
            ),
            OMP_NUM_THREADS=threads,
        )
        for number in range(WORKERS)
    ]
    if any([process.wait() for process in processes]):
        raise SystemExit("lrcn recognize failed: nothing was timed")


def _same(ours: Path, theirs: Path) -> str:
    """Say how far the probabilities of windows are apart, or stop."""
    found = {(row["source"], row["start_s"]): row["prob"] for row in pq.read_table(ours / "segments").to_pylist()}
    expected = {}
    for table in theirs.glob("*.csv"):
        with table.open() as file:
            expected.update(
                {(row["source"], float(row["start_s"])): float(row["prob"]) for row in csv.DictReader(file)}
            )
    if found.keys() != expected.keys():
        raise SystemExit("other windows came out: the times count for nothing")
    error = float(np.abs([found[window] - expected[window] for window in found]).max())
    if error > 1e-4:
        raise SystemExit(f"the probabilities differ by {error}: the times count for nothing")
    return f"probabilities of {len(found)} windows equal to {error:.0e}"
