"""A command that writes, hurt in every way that this user may; `scripts/faults.py` hurts all of them."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
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


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_it_says_so_in_one_line_and_goes_on(bench: Bench, tmp_path: Path, fault: Fault) -> None:
    if (fault.share or fault.read_only) and not can_mount(tmp_path / "mount"):
        pytest.skip("no right to mount")
    code, wrong = trial(bench, JOB, fault, random.Random(0))
    assert not wrong
    if fault.share or fault.name == "file size limit":
        assert code == 1


def test_killed_it_leaves_nothing(bench: Bench) -> None:
    rng = random.Random(0)
    outcomes = [kill(bench, JOB, rng) for _ in range(3)]
    assert not [outcome.fault for outcome in outcomes if outcome.fault]
    assert sum(outcome.kills for outcome in outcomes) > 0


def test_what_is_not_in_order_is_noticed(bench: Bench) -> None:
    """A command that leaves a temporary file, says a traceback, or ends otherwise."""

    def untidy(arguments: object) -> int:
        (bench.folder / "hurt" / ".bouts-abcdefgh.eaf").touch()
        return JOB.main(arguments)  # type: ignore[arg-type]

    def loud(arguments: object) -> int:
        print("Traceback (most recent call last):", file=sys.stderr, flush=True)
        return 1

    bench.truth(JOB)
    fault = Fault("none", (0, 1))
    assert "left behind" in trial(bench, replace(JOB, main=untidy), fault, random.Random(0))[1]
    assert "said 'Traceback" in trial(bench, replace(JOB, main=loud), fault, random.Random(0))[1]
    assert trial(bench, replace(JOB, main=lambda arguments: 7), fault, random.Random(0))[1].startswith("code 7")
