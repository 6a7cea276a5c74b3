"""Every module is imported, and a video recognised, where what only Unix or Linux has is missing."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import as_file, files

PROGRAM = """
import importlib, os, pkgutil, signal, sys
import lrcn, lrcn_sets

def modules():
    for package in (lrcn, lrcn_sets):
        for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not found.name.endswith(("__main__", ".cli.__main__")):
                yield found.name

names = list(modules())
for name in names:  # what ours import may well know the system that it runs on
    importlib.import_module(name)
for name in [name for name in sys.modules if name.split(".")[0] in ("lrcn", "lrcn_sets")]:
    del sys.modules[name]
for name in ("resource", "fcntl", "pwd", "grp", "termios", "pty"):
    sys.modules[name] = None
for name in ("SIGHUP", "SIGXCPU", "SIGKILL", "SIGUSR1", "SIGALRM", "setitimer", "alarm"):
    delattr(signal, name)
for name in ("fork", "getuid", "geteuid", "sched_getaffinity", "setsid", "killpg", "sysconf", "statvfs"):
    delattr(os, name)
for name in names:
    importlib.import_module(name)

from lrcn.cli import main
from lrcn.files import cache_folder
from lrcn.training.features import _memory_for_features

assert _memory_for_features() > 0
assert cache_folder("features").name == "features"
raise SystemExit(main(["recognize", sys.argv[1], "--device", "cpu", "--quiet"]))
"""


def test_all_modules_do_without_what_only_unix_has() -> None:
    with as_file(files("lrcn") / "assets" / "walking.mp4") as video:
        command = [sys.executable, "-c", PROGRAM, str(video)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "walk" in done.stdout
