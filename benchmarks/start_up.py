"""`lrcn --help` against a bare `import torch`: the command line loads torch only when it needs it."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.timing import Figure, compare


def run() -> list[Figure]:
    """Time whole processes."""

    def process(*arguments: str) -> None:
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)

    ratio = compare(lambda: process("-m", "lrcn", "--help"), lambda: process("-c", "import torch"), rounds=5)
    return [Figure("lrcn --help", "import torch", *ratio, same="no torch in sys.modules (tested)")]
