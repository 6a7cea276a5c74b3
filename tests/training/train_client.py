"""What tests start runs with that can be killed: see `train_server`."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Server:
    """Starts training runs and waits for them."""

    def __init__(self, process: subprocess.Popen[str], data: dict[str, Path], cache_dir: Path) -> None:
        self._process = process
        self._data = data
        self._cache_dir = cache_dir

    def start(self, task: str, settings: dict[str, Any], output: Path) -> int:
        folders = {"data": str(self._data[task]), "output": str(output), "cache_dir": str(self._cache_dir)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"task": task, "settings": settings, **folders}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def wait(self) -> int:
        return self._answer()

    def _answer(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


@contextmanager
def serving(sets: Mapping[str, Any], folder: Path, cache_dir: Path) -> Iterator[Server]:
    """Start a server of runs on these data sets, one a task; `folder` takes what it is told."""
    data = {task: folder / f"{task}.pickle" for task in sets}
    for task, path in data.items():
        path.write_bytes(pickle.dumps(sets[task]))
    command = [sys.executable, "-m", "tests.training.train_server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Server(process, data, cache_dir)
        assert process.stdin is not None
        process.stdin.close()


def wait_for_writes(path: Path, count: int, pid: int) -> None:
    """Return when the file was written `count` more times, or the process has ended."""
    seen = _written(path)
    while count > 0 and Path(f"/proc/{pid}").exists():
        time.sleep(0.002)
        if _written(path) != seen:
            seen = _written(path)
            count -= 1


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
