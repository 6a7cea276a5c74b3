"""A bounded number of damaged files through every reader; `scripts/fuzz.py` runs as many as one likes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from scripts.fuzz import GOOD, Target, case_of, fuzz
from scripts.fuzz_seeds import make_targets

from lrcn.errors import DataError


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> list[Target]:
    return make_targets(tmp_path_factory.mktemp("seeds"))


def test_no_reader_fails_otherwise_than_by_one_line(targets: list[Target], tmp_path: Path) -> None:
    wrong = [case for case in fuzz(targets, seed=19, folder=tmp_path, cases=12) if case[2] not in GOOD]
    assert wrong == []


def test_good_files_are_read(targets: list[Target]) -> None:
    for target in targets:
        for seed in target.seeds:
            if seed.name != "weights-byte.pth":  # no good file to begin with
                target.read(seed)


def test_cases_are_the_same_wherever_they_run(targets: list[Target]) -> None:
    target = targets[0]
    assert case_of(target, 7, 0) == case_of(target, 7, 0)
    assert len({case_of(target, number, 0) for number in range(20)}) > 15


def _misbehave(path: Path) -> object:
    number = path.read_bytes().count(b"x") % 5
    if number == 0:
        raise DataError("expected")
    if number == 1:
        raise KeyError("unexpected")
    if number == 2:
        import os

        os.abort()
    if number == 3:
        return bytearray(2**40)
    return None


def test_what_goes_wrong_is_counted(tmp_path: Path) -> None:
    (tmp_path / "seed").write_bytes(b"x" * 40)
    target = Target("toy", [tmp_path / "seed"], _misbehave)
    counts = Counter(result for _, _, result, _ in fuzz([target], seed=0, folder=tmp_path, cases=60))
    assert counts.keys() == {"read", "refused", "traceback", "signal", "memory"}


def test_other_content_behind_a_checksum_is_counted(tmp_path: Path) -> None:
    (tmp_path / "seed").write_bytes(bytes(100))
    target = Target("toy", [tmp_path / "seed"], Path.read_bytes, checked=True)
    assert {result for _, _, result, _ in fuzz([target], seed=0, folder=tmp_path, cases=20)} <= {"unseen", "read"}
