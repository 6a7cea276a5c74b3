"""A server in a process of its own, as users start it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import httpx

T = TypeVar("T")

PATIENCE_S = 300.0


class Running:
    """`lrcn serve` with some arguments, on a free port."""

    def __init__(self, *arguments: str, temp: Path) -> None:
        """Start it; what it writes for uploads goes below `temp`."""
        self.temp = temp
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lrcn", "serve", *arguments, "--port", "0", "--device", "cpu"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(temp)},
        )
        self.lines: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()
        self.url = self.line(r"listening on (\S+)")

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(iter(self.process.stderr.readline, ""))

    def line(self, pattern: str) -> str:
        """Return the first group of the first line that it prints of this pattern."""

        def found() -> str | None:
            match = re.search(pattern, "".join(self.lines))
            return None if match is None else match[1]

        return wait_for(found, lambda: "".join(self.lines))

    @property
    def ws_url(self) -> str:
        return self.url.replace("http://", "ws://") + "/v1/stream"

    def wait_ready(self) -> None:
        """Wait until all models are."""
        wait_for(lambda: httpx.get(f"{self.url}/ready", timeout=PATIENCE_S).status_code == 200 or None)

    def worker(self) -> int:
        """Return the process id of the model `tiny`."""
        pid: int = httpx.get(f"{self.url}/ready", timeout=PATIENCE_S).json()["models"]["tiny"]["pid"]
        return pid

    def figure(self, name: str, **headers: str) -> float:
        """Return one of its metrics, such as `lrcn_waiting{model="tiny"}`."""
        text = httpx.get(f"{self.url}/metrics", headers=headers, timeout=PATIENCE_S).text
        (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
        return float(line.rpartition(" ")[2])

    def left_behind(self) -> list[Path]:
        """Return what of uploads is on disk."""
        return sorted(self.temp.glob("lrcn-upload-*/*"))

    def stop(self) -> int:
        """End it as an operator does, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def wait_for(found: Callable[[], T | None], why: Callable[[], str] = str) -> T:
    """Return what is found once it is."""
    end = time.monotonic() + PATIENCE_S
    while (value := found()) is None:
        assert time.monotonic() < end, why()
        time.sleep(0.02)
    return value


@contextmanager
def held(pid: int) -> Iterator[None]:
    """Let a process stand still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
