"""`lrcn --help` and `lrcn info` against a bare `import torch`: neither imports it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks.timing import Figure, compare


def run() -> list[Figure]:
    """Time whole processes."""

    def process(*arguments: str) -> None:
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)

    figures = []
    for arguments in (["--help"], ["info", "demo"]):
        ratio = compare(
            lambda arguments=arguments: process("-m", "lrcn", *arguments),
            lambda: process("-c", "import torch"),
            rounds=7,
        )
        seconds = min(_seconds(process, arguments) for _ in range(5))
        name = f"lrcn {' '.join(arguments)} ({seconds:.2f} s at best)"
        figures.append(Figure(name, "import torch", *ratio, same="no torch in sys.modules (tested)"))
    return figures


def _seconds(process: Callable[..., None], arguments: list[str]) -> float:
    start = time.perf_counter()
    process("-m", "lrcn", *arguments)
    return time.perf_counter() - start
