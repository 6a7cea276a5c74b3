"""Work in several processes: all of it, with its errors, and no worker that outlives a killed parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lrcn.data.processes import in_processes
from lrcn.errors import DataError

SCRIPT = """
import os, sys, time
from pathlib import Path
from lrcn.data.processes import in_processes

def work(folder, number):
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(60)

if __name__ == "__main__":
    list(in_processes(work, [(sys.argv[1], i) for i in range(4)], 2))
"""


def double(number: int) -> int:
    if number == 99:
        raise DataError("not this one")
    return 2 * number


@pytest.mark.parametrize("workers", [1, 2])
def test_every_call_is_made_and_errors_come_through(workers: int) -> None:
    assert sorted(in_processes(double, [(i,) for i in range(5)], workers)) == [0, 2, 4, 6, 8]
    assert list(in_processes(double, [], workers)) == []
    with pytest.raises(DataError, match="not this one"):
        list(in_processes(double, [(1,), (99,)], workers))


def is_alive(pid: str) -> bool:
    """Whether a process runs; one that ended and waits to be collected has no command line."""
    try:
        return bool(Path("/proc", pid, "cmdline").read_bytes())
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no /proc")
def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    script, marks = tmp_path / "work.py", tmp_path / "marks"
    script.write_text(SCRIPT)
    marks.mkdir()
    source = str(Path(__file__).parents[2] / "src")
    parent = subprocess.Popen([sys.executable, str(script), str(marks)], env={**os.environ, "PYTHONPATH": source})

    deadline = time.monotonic() + 60
    while len(workers := [path.name for path in marks.iterdir()]) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while any(map(is_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(workers) == 2
    assert not any(map(is_alive, workers))
