"""A command that writes, hurt in every way that this user may; `scripts/faults.py` hurts all of them."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("forks, limits and mounts as Linux has them", allow_module_level=True)

from scripts.faults import FAULTS, Fault, can_mount, trial
from scripts.kills import trial as kill
from scripts.trials import JOBS, Bench

JOB = JOBS["data import"]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path / "bench")
    bench.inputs.mkdir(parents=True)
    clip = "a.avi"
    rows = [f"{clip},dig,{number},{number}.5" for number in range(500)]  # an ELAN file of more than 8 KB
    (bench.inputs / "bouts.csv").write_text("\n".join(["path,label,start_s,end_s", *rows]) + "\n")
    (bench.inputs / clip).touch()
    return bench


@pytest.fixture(scope="module")
def unthreaded() -> Iterator[Executor]:
    """A process that has one thread: a fork of one with several may wait for a lock that nobody holds any more."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


def _trial(bench: Bench, fault: str) -> tuple[int, str]:
    return trial(bench, JOB, FAULTS[fault], random.Random(0))


@pytest.mark.parametrize("name", FAULTS)
def test_it_says_so_in_one_line_and_goes_on(bench: Bench, tmp_path: Path, unthreaded: Executor, name: str) -> None:
    fault = FAULTS[name]
    if (fault.share or fault.read_only) and not can_mount(tmp_path / "mount"):
        pytest.skip("no right to mount")
    code, wrong = unthreaded.submit(_trial, bench, name).result()
    assert not wrong
    if fault.share or fault.name == "file size limit":
        assert code == 1


def _kills(bench: Bench) -> tuple[list[str], int]:
    rng = random.Random(0)
    outcomes = [kill(bench, JOB, rng) for _ in range(3)]
    return [outcome.fault for outcome in outcomes if outcome.fault], sum(outcome.kills for outcome in outcomes)


def test_killed_it_leaves_nothing(bench: Bench, unthreaded: Executor) -> None:
    faults, kills = unthreaded.submit(_kills, bench).result()
    assert not faults
    assert kills > 0


def _out_of_order(bench: Bench) -> list[str]:
    """Hurt a command that leaves a temporary file, one that says a traceback, and one that ends otherwise."""

    def untidy(arguments: object) -> int:
        (bench.folder / "hurt" / ".bouts-abcdefgh.eaf").touch()
        return JOB.main(arguments)  # type: ignore[arg-type]

    def loud(arguments: object) -> int:
        print("Traceback (most recent call last):", file=sys.stderr, flush=True)
        return 1

    bench.truth(JOB)
    fault = Fault("none", (0, 1))
    mains = (untidy, loud, lambda arguments: 7)
    return [trial(bench, replace(JOB, main=main), fault, random.Random(0))[1] for main in mains]


def test_what_is_not_in_order_is_noticed(bench: Bench, unthreaded: Executor) -> None:
    left, said, ended = unthreaded.submit(_out_of_order, bench).result()
    assert "left behind" in left
    assert "said 'Traceback" in said
    assert ended.startswith("code 7")
