"""A server of the page with models to choose from, in a process of its own that tells whom it connects to."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lrcn.config import BoutSettings
from lrcn.model_file.storage import load, save

EVIL = "<img src=x onerror=document.title='hacked'> ${alert(1)} {{7*7}}"

WATCHED = """
import sys
log = open(sys.argv[1], "a", buffering=1)
sys.addaudithook(lambda event, args: event == "socket.connect" and log.write(f"{args[1]}\\n"))
from lrcn.cli import main
sys.exit(main(sys.argv[2:]))
"""


@dataclass(frozen=True)
class RunningDemo:
    """`lrcn demo` in a process."""

    process: subprocess.Popen[str]
    address: str
    connections: Path
    """A line for each that it made."""
    temporary: Path
    """Where it writes."""
    errors: Path
    """Its stderr."""


def start_demo(folder: Path, *arguments: str) -> RunningDemo:
    """Start `lrcn demo` at a free port and wait until the page can be opened; the folder takes all that it writes."""
    temporary, connections, errors = folder / "tmp", folder / "connections.txt", folder / "errors.txt"
    temporary.mkdir(parents=True)
    with errors.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", WATCHED, str(connections), "demo", *arguments, "--no-browser", "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            env={**os.environ, "TMPDIR": str(temporary)},
        )
    assert process.stdout is not None
    said = process.stdout.readline()
    assert said.startswith("lrcn demo: http://127.0.0.1:"), errors.read_text()
    return RunningDemo(process, said.split()[-1], connections, temporary, errors)


@pytest.fixture(scope="session")
def bouts_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write `tiny_model` with settings of bouts, and with a label that is markup; every frame lies in a bout."""
    header, network = load(tiny_model)
    settings = BoutSettings(
        smooth_s=0.0, thresholds=(0.0,) * 3, low_thresholds=(0.0,) * 3, shortest_s=(0.0,) * 3, longest_gap_s=(0.0,) * 3
    )
    path = tmp_path_factory.mktemp("bouts") / "bouts.safetensors"
    save(path, replace(header, bouts=settings, labels=("walk", EVIL, "jump")), network.state_dict())
    return path
