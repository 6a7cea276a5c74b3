"""Damage every kind of file that lrcn reads, and count what comes of it.

    python scripts/fuzz.py --seconds 60 --seed 0
    python scripts/fuzz.py --cases 200 --only model,ckpt

Seeds are made on the spot (`fuzz_seeds.py`), each changed by `mutated`, and read in a process that may take `_MEMORY`
more than it has and `_CPU_S` seconds a file. A case is right where it is read, or refused by an `LRCNError` of one line
of at most 300 letters; everything else is counted under a name of its own, kept, and ends the program with code 1.
Case N of a target and seed is the same wherever it is run: `--only TARGET --first N --cases 1` runs it alone.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from lrcn.errors import LONGEST_MESSAGE, LRCNError

_MEMORY = 3 * 2**30
"""Bytes of address space that a reader may take beyond what the imports took."""
_CPU_S = 10
_WALL_S = 120.0
"""Of a file, on a machine that has other things to do."""
_BATCH = 25
"""Cases of one target before the next has its turn."""

GOOD = ("read", "refused")
"""Outcomes that are right; the others: `long`, `traceback`, `memory`, `signal`, `hang`, `unseen`."""

_TOKENS = (
    b"\x00",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x80\x00\x00\x00",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e400",
    b"-1",
    b"0",
    b"9" * 20,
    b"9" * 400,
    b"9" * 5000,
    b"[" * 3000,
    b'{"a":' * 3000,
    b"null",
    b"true",
    b'"',
    b"'",
    b"\n",
    b"\r",
    b"\t",
    b",",
    b";",
    b"<",
    b"&amp;",
    b"&a;",
    b"]]>",
    b"<!DOCTYPE a>",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xed\xb2\x80",
    b"../../../etc/passwd",
    b"/dev/zero",
    b"http://127.0.0.1:9/a",
    b"%n%s",
    b"\x1b[2J",
    "\u202e".encode(),
    b"!!python/object:os.system",
    b"*a",
    b"&a",
    b"18446744073709551616",
    b"4611686018427387904",
)


@dataclass(frozen=True)
class Target:
    """One reader."""

    name: str
    seeds: Sequence[Path]
    """Good files."""
    read: Callable[[Path], object]
    """Reads a damaged one. What it returns is compared with what it returns of the seed where `checked`."""
    checked: bool = False
    """Whether a checksum must notice whatever changes what is read."""
    change: Callable[[bytes, random.Random], bytes] | None = None
    """Changes a seed; None leaves it to `mutated`."""


def mutated(content: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    """Return a content changed in one to four ways."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        size = len(data)
        at = rng.randrange(size) if size else 0
        match rng.randrange(9):
            case 0:
                for _ in range(rng.choice((1, 1, 3, 20)) if size else 0):
                    data[rng.randrange(size)] ^= 1 << rng.randrange(8)
            case 1:
                del data[at:]
            case 2:
                del data[at : at + rng.choice((1, 4, 64, 1024))]
            case 3:
                data[at:at] = rng.choice(_TOKENS)
            case 4:
                other = rng.choice(others)
                cut = rng.randrange(len(other)) if other else 0
                data[at:] = other[cut:]
            case 5:
                length = rng.choice((1, 4, 64, 4096))
                data[at : at + length] = bytes(len(data[at : at + length]))
            case 6:
                token = rng.choice(_TOKENS)
                data[at : at + len(token)] = token
            case 7:
                data[at:at] = data[at : at + rng.choice((8, 200, 5000))] * rng.choice((1, 2, 50))
            case _:
                _change_number(data, rng)
    return bytes(data)


def _change_number(data: bytearray, rng: random.Random) -> None:
    """Put another number in the place of one written in digits, or of four bytes where there is none."""
    digits = [i for i, byte in enumerate(data[:100_000]) if 48 <= byte <= 57]
    if digits:
        first = last = rng.choice(digits)
        while last < len(data) and 48 <= data[last] <= 57:
            last += 1
        data[first:last] = rng.choice(
            (b"-1", b"0", b"1e400", b"1e-320", b"9" * 19, b"9" * 400, b"NaN", b"65536", b"1e9")
        )
    elif data:
        at = rng.randrange(len(data))
        data[at : at + 4] = rng.choice((b"\xff" * 4, b"\x7f\xff\xff\xff", bytes(4), b"\xff\xff\xff\x7f"))


def case_of(target: Target, number: int, seed: int) -> tuple[Path, bytes]:
    """Return the seed file of a case, and what becomes of its content."""
    rng = random.Random(f"{seed} {target.name} {number}")
    path = rng.choice(target.seeds)
    content = path.read_bytes()
    if target.change is not None:
        return path, target.change(content, rng)
    return path, mutated(content, [rng.choice(target.seeds).read_bytes(), content], rng)


def outcome(target: Target, seed_file: Path, damaged: Path, truth: object) -> tuple[str, str]:
    """Read a damaged file, and return the name of what came of it, and words."""
    try:
        found = target.read(damaged)
        if target.checked and found is not None and found != truth:
            return "unseen", "other content is read, and nothing said"
    except LRCNError as exc:
        text = str(exc)
        is_brief = len(text) <= LONGEST_MESSAGE and len(text.splitlines()) == 1
        return ("refused" if is_brief else "long"), text
    except MemoryError as exc:
        return "memory", "".join(traceback.format_exception(exc)[-3:])
    except BaseException as exc:
        return "traceback", "".join(traceback.format_exception(exc)[-4:])
    return "read", ""


def _serve(connection: Connection, targets: dict[str, Target], seed: int, folder: Path) -> None:
    """Read one case after the other, as they are asked for."""
    faulthandler.disable()  # of pytest
    torch.set_num_threads(1)  # a fork has no part of the threads that its parent computed with, and would wait for them
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what libraries in C have to say
    warnings.simplefilter("ignore")
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + _MEMORY, taken + _MEMORY))
    truths: dict[Path, object] = {}
    while True:
        name, number = connection.recv()
        target = targets[name]
        original, content = case_of(target, number, seed)
        if target.checked and original not in truths:
            truths[original] = target.read(original)
        damaged = folder / original.name
        damaged.write_bytes(content)
        spent = resource.getrusage(resource.RUSAGE_SELF)
        resource.setrlimit(
            resource.RLIMIT_CPU, (int(spent.ru_utime + spent.ru_stime) + _CPU_S + 1, resource.RLIM_INFINITY)
        )
        connection.send(outcome(target, original, damaged, truths.get(original)))
        resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class Workshop:
    """A process that reads cases, and is replaced where one of them ends it."""

    def __init__(self, targets: Sequence[Target], seed: int, folder: Path) -> None:
        self._arguments = ({target.name: target for target in targets}, seed, folder)
        folder.mkdir(exist_ok=True)
        self._start()

    def _start(self) -> None:
        context = get_context("fork")  # the imports take seconds
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, *self._arguments), daemon=True)
        self._process.start()
        theirs.close()

    def run(self, target: str, number: int) -> tuple[str, str]:
        """Return the outcome of a case, and words."""
        self._connection.send((target, number))
        try:
            if self._connection.poll(_WALL_S):
                answer: tuple[str, str] = self._connection.recv()
                return answer
            self._process.kill()
            result = ("hang", f"over {_WALL_S:g} s")
        except (EOFError, ConnectionError):
            self._process.join()
            number_of = -(self._process.exitcode or 0)
            result = ("hang", f"over {_CPU_S} s of CPU") if number_of == signal.SIGXCPU else ("signal", str(number_of))
        self._process.join()
        self._start()
        return result

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()


def fuzz(
    targets: Sequence[Target],
    *,
    seed: int,
    folder: Path,
    seconds: float | None = None,
    cases: int | None = None,
    first: int = 0,
) -> Iterator[tuple[str, int, str, str]]:
    """Yield target, number, outcome and words of each case, until the time is over or each target had its cases."""
    until = None if seconds is None else time.monotonic() + seconds
    workshop = Workshop(targets, seed, folder / "damaged")
    try:
        number = first
        while cases is None or number < first + cases:
            last = number + _BATCH if cases is None else min(number + _BATCH, first + cases)
            for target in targets:
                for one in range(number, last):
                    if until is not None and time.monotonic() > until:
                        return
                    yield target.name, one, *workshop.run(target.name, one)
            number = last
    finally:
        workshop.close()


def main() -> int:
    """Run it, print a table, keep what went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, help="stop then")
    parser.add_argument("--cases", type=int, help="of each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", default="", help="targets, with commas between")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="folder for what went wrong")
    args = parser.parse_args()
    from scripts.fuzz_seeds import make_targets

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        targets = [one for one in make_targets(folder) if not args.only or one.name in args.only.split(",")]
        by_name = {target.name: target for target in targets}
        counts: dict[str, Counter[str]] = {target.name: Counter() for target in targets}
        shown: set[str] = set()
        for target, number, result, words in fuzz(
            targets, seed=args.seed, folder=folder, seconds=args.seconds, cases=args.cases, first=args.first
        ):
            counts[target][result] += 1
            kind = f"{target} {result} {words[-150:]}"
            if result not in GOOD and kind not in shown:
                shown.add(kind)
                original, content = case_of(by_name[target], number, args.seed)
                args.keep.mkdir(exist_ok=True)
                (args.keep / f"{target}-{number}-{original.name}").write_bytes(content)
                print(f"{target} case {number} ({original.name}): {result}: {words}", flush=True)
    outcomes = [*GOOD, *sorted({name for row in counts.values() for name in row} - set(GOOD))]
    print(f"{'target':16}" + "".join(f"{name:>11}" for name in outcomes))
    for name, row in (*counts.items(), ("all", sum(counts.values(), Counter()))):
        print(f"{name:16}" + "".join(f"{row[one]:>11}" for one in outcomes))
    return 1 if len(outcomes) > len(GOOD) else 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    sys.exit(main())
