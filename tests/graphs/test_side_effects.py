"""A signal that comes after OpenVINO's models are gone is handled, and does not kill the program."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lrcn.graphs.exported import ExportedModel

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sigaltstack as Linux lays it out")

SCRIPT = """
import gc, os, signal, sys
from lrcn.graphs.side_effects import signal_stack
from lrcn.graphs.exported import read_exported
from lrcn.inference.recognition.graph_runtime import GraphRuntime

signal.signal(signal.SIGINT, signal.default_int_handler)
before = signal_stack()
for _ in range(2):
    runtime = GraphRuntime(read_exported(sys.argv[1]))
    assert signal_stack() == before, "while it is there"
    del runtime
    gc.collect()
    assert signal_stack() == before, "when it is gone"
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("handled")
"""


@pytest.mark.parametrize("faulthandler", [[], ["-X", "faulthandler"]])  # which has such a stack of its own
def test_signals_are_handled_after_openvino(exported: dict[str, ExportedModel], faulthandler: list[str]) -> None:
    command = [sys.executable, *faulthandler, "-c", SCRIPT, str(exported["openvino"].folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
