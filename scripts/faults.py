"""Hurt commands in the ways that machines do, and see whether they say so in one line, leave nothing, and go on.

    python scripts/faults.py
    python scripts/faults.py --only 'evaluate;data extract' --faults 'disk full,SIGTERM' --times 5

For each command and fault: the exit code must be one of the fault's, stderr must hold lines of lrcn and no traceback,
no temporary file and no process may be left, and once the fault is gone, the same command (a training with `--resume`)
must end with what an undisturbed one gives. Prints a table of exit codes, those that are wrong in bold, and every
failure; ends with code 1 if there was one. Linux; a full disk and one that cannot be written need the right to mount,
and are left out without it.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.trials import JOBS, Bench, Ended, Job, Truth, age, finish, leftovers, run, set_up, start

_LONGEST_LINE = 330
"""A message of 300 letters, and what stands before it."""

_OWN = ("lrcn: ", "warning: ", "try: ")
"""What lines on stderr begin with."""


@dataclass(frozen=True)
class Fault:
    """One way to hurt a command."""

    name: str
    codes: tuple[int, ...]
    """Exit codes that are right; 0 stands among them where a command may be through before it is hurt, or not mind."""
    before: Callable[[], None] | None = None
    """Called in its process, before it begins."""
    during: Callable[[Bench, Path, int], None] | None = None
    """Called with the folder of outputs and the process id, at a random moment."""
    share: float | None = None
    """Of the space that it needs: what it has."""
    read_only: bool = False
    may_leave: bool = False
    """Whether temporary files may be left, as none can be removed."""


def _few_files() -> None:
    count = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 2, count + 2))


def _small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))


def _signal(number: int) -> Callable[[Bench, Path, int], None]:
    def send(bench: Bench, output: Path, pid: int) -> None:
        os.kill(pid, number)

    return send


def _take_inputs(bench: Bench, output: Path, pid: int) -> None:
    bench.inputs.rename(bench.folder / "taken")


def _take_outputs(bench: Bench, output: Path, pid: int) -> None:
    for path in output.iterdir():  # the folder itself is where a mount may be
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("disk full", (1,), share=0.4),
        Fault("read-only", (1, 2), read_only=True, may_leave=True),
        Fault("file limit", (0, 1, 3), before=_few_files),
        Fault("file size limit", (0, 1, 3), before=_small_files),
        Fault("input vanishes", (0, 1, 3), during=_take_inputs),
        Fault("output vanishes", (0, 1, 3), during=_take_outputs),
        Fault("SIGINT", (0, 130), during=_signal(signal.SIGINT)),
        Fault("SIGTERM", (0, 143), during=_signal(signal.SIGTERM)),
        Fault("SIGHUP", (0, 129), during=_signal(signal.SIGHUP)),
    )
}
"""Name -> what goes wrong with machines."""


def can_mount(folder: Path) -> bool:
    """Whether this user may mount a file system in memory."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False)
    if done.returncode == 0:
        subprocess.run(["umount", folder], check=True)
    folder.rmdir()
    return done.returncode == 0


@contextmanager
def _place(fault: Fault, truth: Truth, output: Path) -> Iterator[Callable[[], None]]:
    """Hurt the file system of a folder; gives what puts it right."""
    if fault.share is None and not fault.read_only:
        yield lambda: None
        return
    size = f"size={max(8192, int(truth.size * (fault.share or 2.0)))}"
    options = f"{size},ro" if fault.read_only else size
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", output], check=True)
    try:
        yield lambda: subprocess.run(["mount", "-o", "remount,rw,size=256m", output], check=True) and None
    finally:
        subprocess.run(["umount", "--lazy", output], check=True)


def _complaint(fault: Fault, ended: Ended, output: Path) -> str:
    """Return what is wrong with how a command ended; nothing where all is as it should be."""
    if ended.code not in fault.codes:
        return f"code {ended.code}: {ended.said[-600:]}"
    if ended.strays:
        return "a process went on"
    lines = ended.said.splitlines()
    if odd := [line for line in lines if not line.startswith(_OWN) or len(line) > _LONGEST_LINE]:
        return f"said {odd[-1][:300]!r}"
    if ended.code in (1, 2, 3) and not any(line.startswith("lrcn: error: ") for line in lines):
        return "did not say why"
    if not fault.may_leave and (left := leftovers(output)):
        return f"left behind: {left}"
    return ""


def trial(bench: Bench, job: Job, fault: Fault, rng: random.Random) -> tuple[int, str]:
    """Hurt a job once; return its exit code, and what was wrong."""
    truth = bench.truth(job)
    log = bench.folder / "log"
    with bench.empty("hurt") as output, _place(fault, truth, output) as put_right:

        def hurt() -> int:
            if fault.before is not None:
                fault.before()
            return bench.call(job, output)()

        began = time.monotonic()
        pid = start(hurt, log)
        if fault.during is not None:
            time.sleep(rng.uniform(0.05, 0.9) * truth.took_s)
            fault.during(bench, output, pid)
        ended = finish(pid, log, began)
        if (bench.folder / "taken").is_dir():
            (bench.folder / "taken").rename(bench.inputs)
        wrong = _complaint(fault, ended, output)
        put_right()
        age(output)
        if fault.during is _take_outputs:  # what somebody took away needs another place
            _take_outputs(bench, output, 0)
        again = run(bench.call(job, output, *job.again), log)
        if not wrong and (again.code or "Traceback" in again.said):
            wrong = f"does not go on: code {again.code}: {again.said[-300:]}"
        if not wrong and (left := leftovers(output)):
            wrong = f"left behind at last: {left}"
        if not wrong and job.found(output) != truth.found:
            wrong = "ends with something else"
        return ended.code, wrong


def main() -> int:
    """Run it and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", default="", help="commands, with semicolons between")
    parser.add_argument("--faults", default="", help="faults, with commas between")
    parser.add_argument("--times", type=int, default=1, help="of each command and fault")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    set_up()
    rng = random.Random(args.seed)
    jobs = [JOBS[name.strip()] for name in args.only.split(";")] if args.only else list(JOBS.values())
    faults = [FAULTS[name.strip()] for name in args.faults.split(",")] if args.faults else list(FAULTS.values())
    wrong = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        os.environ.update(TMPDIR=name, XDG_CACHE_HOME=f"{name}/user-cache")
        if not can_mount(Path(name) / "mount"):
            print("no right to mount: nothing of full disks and such that cannot be written", flush=True)
            faults = [fault for fault in faults if fault.share is None and not fault.read_only]
        bench = Bench(Path(name) / "bench")
        bench.prepare()
        rows = []
        for job in jobs:
            cells = []
            for fault in faults:
                codes: Counter[str] = Counter()
                for _ in range(args.times):
                    code, complaint = trial(bench, job, fault, rng)
                    codes[f"**{code}**" if complaint else str(code)] += 1
                    if complaint:
                        wrong += 1
                        print(f"{job.name}, {fault.name}: {complaint}", flush=True)
                cells.append(", ".join(f"{code} ({count})" if count > 1 else code for code, count in codes.items()))
            rows.append(f"| {job.name} | {' | '.join(cells)} |")
            print(rows[-1], file=sys.stderr, flush=True)
    print(f"| command | {' | '.join(fault.name for fault in faults)} |\n|{'---|' * (len(faults) + 1)}")
    print("\n".join(rows))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
