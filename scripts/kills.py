"""Kill commands at random moments, as the kernel does where memory ends, and see whether they end as if nothing was.

    python scripts/kills.py --kills 500 --seed 0
    python scripts/kills.py --kills 20 --only 'export;data build'

A run is killed (SIGKILL, the process alone) once to three times in one place, what it left is made two days old, and
then it may end. It must then have given what an undisturbed run gives, left no temporary file and no process. Prints a
table, and every failure; ends with code 1 if there was one. Linux only.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.trials import JOBS, Bench, Job, age, finish, leftovers, run, set_up, start

_MOST = 3
"""Kills in one place."""


@dataclass(frozen=True)
class Outcome:
    """What came of a run that was killed."""

    job: str
    kills: int
    """That came before its end."""
    fault: str = ""


def trial(bench: Bench, job: Job, rng: random.Random) -> Outcome:
    """Kill a job, let it end, and compare."""
    truth = bench.truth(job)
    log = bench.folder / "log"
    kills = 0
    with bench.empty("killed") as output:
        for number in range(rng.randint(1, _MOST)):
            began = time.monotonic()
            pid = start(bench.call(job, output, *(job.again if number else ())), log)
            time.sleep(rng.uniform(0.0, 1.05 * truth.took_s))
            os.kill(pid, signal.SIGKILL)
            ended = finish(pid, log, began)
            kills += ended.code == -signal.SIGKILL
            if ended.strays:
                return Outcome(job.name, kills, "a process went on without its parent")
            if ended.code > 0:
                return Outcome(job.name, kills, f"went on with code {ended.code}: {ended.said[-300:]}")
        age(output)
        ended = run(bench.call(job, output, *job.again), log)
        if ended.code or "Traceback" in ended.said:
            return Outcome(job.name, kills, f"did not go on, code {ended.code}: {ended.said[-300:]}")
        if left := leftovers(output):
            return Outcome(job.name, kills, f"left behind: {left}")
        found = job.found(output)
        if found != truth.found:
            other = sorted(name for name in {*found, *truth.found} if found.get(name) != truth.found.get(name))
            return Outcome(job.name, kills, f"ended with other {', '.join(other[:5])}")
    return Outcome(job.name, kills)


def kill(bench: Bench, jobs: list[Job], *, kills: int, seed: int) -> Iterator[Outcome]:
    """Yield outcomes of one job after the other, until there were so many kills."""
    rng = random.Random(seed)
    done = round_number = 0
    while done < kills:
        round_number += 1
        for job in (one for one in jobs if round_number % one.costs == 0 or len(jobs) == 1):
            outcome = trial(bench, job, rng)
            done += outcome.kills
            yield outcome
            if done >= kills:
                return


def main() -> int:
    """Run it and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="commands, with semicolons between")
    parser.add_argument("--minutes", type=float, default=600.0, help="stop then, whatever was reached")
    args = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background has none
    set_up()
    names = args.only.split(";") if args.only else [name for name in JOBS if name != "data import"]
    rows: dict[str, list[int]] = {}
    until = time.monotonic() + 60 * args.minutes
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        os.environ.update(TMPDIR=name, XDG_CACHE_HOME=f"{name}/user-cache")
        bench = Bench(Path(name) / "bench")
        bench.prepare()
        with suppress(KeyboardInterrupt):  # what was found is told
            for outcome in kill(bench, [JOBS[one.strip()] for one in names], kills=args.kills, seed=args.seed):
                row = rows.setdefault(outcome.job, [0, 0, 0])
                row[0] += outcome.kills
                row[1] += 1
                row[2] += bool(outcome.fault)
                if outcome.fault:
                    print(f"{outcome.job}: {outcome.fault}", flush=True)
                if time.monotonic() > until:
                    break
    print("| command | kills | runs that went on and ended | otherwise than undisturbed |\n|---|---|---|---|")
    for label, row in [*rows.items(), ("**all**", [sum(column) for column in zip(*rows.values(), strict=True)])]:
        print(f"| {label} | {row[0]} | {row[1]} | {row[2]} |")
    return 1 if any(row[2] for row in rows.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
