"""A server under twice the load that it can take, and against `lrcn recognize` over the same files.

    python -m benchmarks.serving VIDEO... [--minutes 2] [--model demo]

First rounds in turn: the command line over all files, then the server with four clients over the same files. Then more
clients than places: what comes back, how fast, and whether the memory of the server's processes grows.
"""

from __future__ import annotations

import argparse
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from lrcn.inference.recognition.predictor import Recognizer
from lrcn.video.isolation import isolated_decoding

MAX_QUEUE = 8
PLACES = MAX_QUEUE + 4
PATIENCE_S = 600.0


@contextmanager
def running(model: str) -> Iterator[tuple[str, int]]:
    """Give the address of a server that is ready, and its process id."""
    command = [sys.executable, "-m", "lrcn", "serve", model, "--port", "0", "--max-queue", str(MAX_QUEUE)]
    process = subprocess.Popen([*command, "--deadline", str(PATIENCE_S)], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = process.stderr.readline() + process.stderr.readline()
    found = re.search(r"listening on (\S+)", said)
    if found is None or "ready" not in said:
        process.kill()
        raise SystemExit(said + process.stderr.read())
    threading.Thread(target=process.stderr.read, daemon=True).start()
    try:
        yield found[1], process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def recognize_all(paths: Sequence[Path], recognizer: Recognizer) -> float:
    """Return the seconds that `lrcn recognize --isolate` takes over the files, once it has its model."""
    began = time.perf_counter()
    for path in paths:
        recognizer(path).to_json()
    return time.perf_counter() - began


def post(url: str, path: Path) -> tuple[int, float]:
    """Return the status of a request, and its seconds."""
    began = time.perf_counter()
    with path.open("rb") as file:
        answer = httpx.post(f"{url}/v1/recognize", files={"file": (path.name, file)}, timeout=PATIENCE_S)
    return answer.status_code, time.perf_counter() - began


def ask_all(url: str, paths: Sequence[Path]) -> float:
    """Return the seconds that four clients take over the files."""
    began = time.perf_counter()
    with ThreadPoolExecutor(4) as pool:
        statuses = Counter(status for status, _ in pool.map(lambda path: post(url, path), paths))
    if set(statuses) != {200}:
        raise SystemExit(f"not all requests were answered: {dict(statuses)}")
    return time.perf_counter() - began


def resident_mb(pid: int) -> float:
    """Return the memory of a process and of all that it started, in MB; what they share is shared out."""
    total, todo = 0, [pid]
    while todo:
        one = todo.pop()
        try:
            for children in Path(f"/proc/{one}/task").glob("*/children"):
                todo += map(int, children.read_text().split())
            total += int(re.findall(r"^Pss:\s+(\d+)", Path(f"/proc/{one}/smaps_rollup").read_text(), re.M)[0])
        except OSError:
            continue
    return total / 1000


@dataclass
class Load:
    """What came back."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    """Of those that were answered."""
    memory_mb: list[float] = field(default_factory=list)


def overload(url: str, pid: int, paths: Sequence[Path], minutes: float) -> Load:
    """Let twice as many clients ask as there are places; one that is refused waits a moment and asks again."""
    load, end, lock = Load(), time.monotonic() + 60 * minutes, threading.Lock()

    def ask(client: int) -> None:
        number = client
        while time.monotonic() < end:
            status, seconds = post(url, paths[number % len(paths)])
            number += 1
            with lock:
                load.statuses[status] += 1
                if status == 200:
                    load.seconds.append(seconds)
            if status != 200:
                time.sleep(0.5)

    clients = [threading.Thread(target=ask, args=(number,)) for number in range(2 * PLACES)]
    for client in clients:
        client.start()
    while time.monotonic() < end:
        load.memory_mb.append(resident_mb(pid))
        time.sleep(5)
    for client in clients:
        client.join()
    return load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    recognizer = Recognizer.load(arguments.model)
    with isolated_decoding(), running(arguments.model) as (url, pid):
        recognize_all(arguments.videos, recognizer)
        ask_all(url, arguments.videos)
        ratios = []
        for number in range(arguments.rounds):
            ours, theirs = ask_all(url, arguments.videos), recognize_all(arguments.videos, recognizer)
            ratios.append(theirs / ours)
            print(f"round {number}: command {theirs:.1f} s, server {ours:.1f} s", flush=True)
        low, high = min(ratios), max(ratios)
        print(f"throughput against lrcn recognize: {statistics.median(ratios):.2f} ({low:.2f} to {high:.2f}); goal 0.9")
        load = overload(url, pid, arguments.videos, arguments.minutes)
    done = len(load.seconds)
    a_second = done / (60 * arguments.minutes)
    ordered = sorted(load.seconds)
    print(f"statuses: {dict(load.statuses)}; {a_second:.2f} answers a second")
    print(f"seconds: median {statistics.median(ordered):.1f}, p99 {ordered[int(0.99 * (done - 1))]:.1f}")
    print(f"places / throughput: {PLACES / a_second:.1f} s")
    half = len(load.memory_mb) // 2
    first, second = load.memory_mb[:half], load.memory_mb[half:]
    print(f"memory, largest: first half {max(first):.0f} MB, second half {max(second):.0f} MB")


if __name__ == "__main__":
    main()
