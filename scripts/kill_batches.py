"""Kill workers and the driver of `lrcn batch` again and again, and count the rows: python scripts/kill_batches.py.

Every clip must have one row in the end, with the windows that one process finds, whatever was killed. Prints what was
done; ends with code 1 if a row is lost, doubled or another.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq
from benchmarks.subjects import write_clip

from lrcn.batch.places import find_places
from lrcn.batch.reading import UnitReader, Work


def main() -> int:
    """Make clips, kill, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--worker-kills", type=int, default=3, help="before each kill of the driver")
    parser.add_argument("--driver-kills", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        clips, out = Path(name) / "clips", Path(name) / "out"
        clips.mkdir()
        for number in range(arguments.clips):
            write_clip(clips / f"{number:05}.mp4", num_frames=8 + number % 5, seed=number)
        (clips / "bad.mp4").write_bytes(b"no video")
        command = [sys.executable, "-m", "lrcn", "batch", "demo", str(clips), "--output", str(out), "--quiet"]
        command += ["--workers", str(arguments.workers)]
        began, killed = time.perf_counter(), 0
        for _ in range(arguments.driver_kills):
            driver = subprocess.Popen(command)
            for _ in range(arguments.worker_kills):
                killed += _kill_a_worker(driver, chance)
            _wait_for_parts(driver, out, more=2)
            driver.kill()
            driver.wait()
            print(f"{time.perf_counter() - began:6.0f} s: driver killed at {len(_rows(out))} rows", flush=True)
        code = subprocess.run(command).returncode
        print(f"{time.perf_counter() - began:6.0f} s: {killed} workers killed, the last run ended with code {code}")
        return _count(clips, out)


def _kill_a_worker(driver: subprocess.Popen[bytes], chance: random.Random) -> bool:
    """Kill one of the processes that read a unit, some time from now; whether one was there."""
    time.sleep(chance.uniform(0.5, 3.0))
    while driver.poll() is None:
        found = []
        for one in psutil.Process(driver.pid).children(recursive=True):
            with suppress(psutil.Error):  # it has just ended
                found += [one] if "_Worker.read" in " ".join(one.cmdline()) else []
        if found:
            chance.choice(found).kill()
            return True
        time.sleep(0.05)
    return False


def _wait_for_parts(driver: subprocess.Popen[bytes], out: Path, *, more: int) -> None:
    wanted = len(list(out.glob("sources/*.parquet"))) + more
    while driver.poll() is None and len(list(out.glob("sources/*.parquet"))) < wanted:
        time.sleep(0.05)


def _rows(out: Path) -> list[str]:
    return [name for part in out.glob("sources/*.parquet") for name in pq.read_table(part)["source"].to_pylist()]


def _count(clips: Path, out: Path) -> int:
    rows = Counter(_rows(out))
    lost = sum(str(clip) not in rows for clip in clips.iterdir())
    doubled = sum(count > 1 for count in rows.values())
    places, _ = find_places([str(clips)], pictures=False)
    expected = UnitReader(Work(model="demo")).read(places)["segments"].sort_by("source")
    found = pq.read_table(out / "segments").sort_by("source")
    same = len(found) == len(expected) and found["source"].equals(expected["source"])
    error = np.nan
    if same:
        error = float(np.abs(found["prob"].to_numpy() - expected["prob"].to_numpy()).max())
    print(f"{len(rows)} rows, {lost} lost, {doubled} doubled; {len(found)} windows, probabilities equal to {error:.0e}")
    return int(bool(lost or doubled or not error < 1e-4))


if __name__ == "__main__":
    sys.exit(main())
