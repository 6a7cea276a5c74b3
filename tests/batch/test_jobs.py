"""Every source has one row in the end, whatever workers die, and nothing is done twice."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.batch.test_results import MANIFEST, THEN, place, rows_of, sources_in

pytest.importorskip("pyarrow")

from lrcn.batch.jobs import ALONE_BYTES, UNIT_BYTES, UNIT_SOURCES, BatchReport, Unit, _units, run_batch
from lrcn.batch.places import Place
from lrcn.batch.results import ResultFolder
from lrcn.batch.tables import Tables
from lrcn.errors import ConfigError


class HerePool:
    """Works in this process, in disorder; units with a source that kills are lost."""

    num_workers = 2

    def __init__(self, *, bad: Collection[str] = (), kills: Collection[str] = (), ends_after: int = 10**9) -> None:
        self.bad, self.kills, self.ends_after = bad, kills, ends_after
        self.looked_at: Counter[str] = Counter()
        self.isolated: list[bool] = []

    def __call__(self, units: Sequence[Unit], *, isolate: bool) -> Iterator[Tables]:
        self.isolated.append(isolate)
        for number, unit in enumerate(random.Random(0).sample(units, len(units))):
            if number == self.ends_after:
                raise KeyboardInterrupt
            self.looked_at.update(one.name for one in unit)
            if not any(one.name in self.kills for one in unit):
                yield rows_of([one.name for one in unit], bad=[one.name for one in unit if one.name in self.bad])


def run(folder: Path, places: Sequence[Place], pool: HerePool, **options: bool) -> BatchReport:
    with ResultFolder.opened(folder, MANIFEST) as results:
        return run_batch(places, results, pool, **options)


def names(number: int) -> list[str]:
    return [f"clip{i:03}" for i in range(number)]


def test_an_interrupted_run_goes_on_and_looks_at_nothing_twice(tmp_path: Path) -> None:
    places = [place(name) for name in names(100)]
    first, second = HerePool(ends_after=3), HerePool(bad=["clip007"])
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, places, first)
    done = sources_in(tmp_path, "sources")
    assert sorted(first.looked_at) == done
    assert 0 < len(done) < 100
    report = run(tmp_path, places, second)
    assert set(second.looked_at) == set(names(100)) - set(done)
    assert sources_in(tmp_path, "sources") == names(100)
    assert sources_in(tmp_path, "segments") == [name for name in names(100) if name != "clip007" or name in done]
    assert report == BatchReport(100 - len(report.failures), len(done), report.failures)
    third = HerePool()
    report = run(tmp_path, places, third)
    assert not third.looked_at
    assert not third.isolated  # no worker was needed
    assert report.kept == 100


def test_what_failed_is_listed_by_every_run_and_looked_at_again_where_that_is_wanted(tmp_path: Path) -> None:
    places = [place(name) for name in names(20)]
    report = run(tmp_path, places, HerePool(bad=["clip003", "clip004"]))
    assert (report.done, report.kept, sorted(report.failures)) == (18, 0, ["clip003: broken", "clip004: broken"])
    again = HerePool()
    assert sorted(run(tmp_path, places, again).failures) == ["clip003: broken", "clip004: broken"]
    assert not again.looked_at
    report = run(tmp_path, places, again, retry_failed=True)
    assert (report.done, report.kept, report.failures) == (20, 18, ())
    assert again.looked_at == Counter(["clip003", "clip004"])
    assert sources_in(tmp_path, "sources") == sources_in(tmp_path, "segments") == names(20)


def test_a_source_that_has_changed_is_looked_at_again_and_others_are_not(tmp_path: Path) -> None:
    run(tmp_path, [place(name) for name in names(10)], HerePool())
    pool = HerePool()
    changed = [place(name, size=6 if name == "clip002" else 5) for name in names(10)]
    report = run(tmp_path, changed, pool)
    assert pool.looked_at == Counter(["clip002"])
    assert (report.done, report.kept) == (10, 9)
    assert sources_in(tmp_path, "sources") == sources_in(tmp_path, "bouts") == names(10)


def test_what_kills_workers_costs_its_own_row_alone(tmp_path: Path) -> None:
    pool = HerePool(kills=["clip011", "clip050"])
    report = run(tmp_path, [place(name) for name in names(60)], pool)
    assert report.done == 58
    assert sorted(failure.partition(":")[0] for failure in report.failures) == ["clip011", "clip050"]
    assert all("died" in failure for failure in report.failures)
    assert pool.isolated == [False, True]
    assert sources_in(tmp_path, "sources") == names(60)
    assert sources_in(tmp_path, "segments") == [name for name in names(60) if name not in pool.kills]
    (tmp_path / "alone").mkdir()
    report = run(tmp_path / "alone", [place("only")], HerePool(kills=["only"]))
    assert len(report.failures) == 1


def test_workers_that_always_die_are_no_property_of_sources(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="every worker died"):
        run(tmp_path, [place(name) for name in names(60)], HerePool(kills=names(60)))
    assert sources_in(tmp_path, "sources") == []


def test_progress_counts_sources_to_the_end(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    with ResultFolder.opened(tmp_path, MANIFEST) as results:
        run_batch([place(n) for n in names(9)], results, HerePool(), on_progress=lambda *now: told.append(now))
        run_batch([place(n) for n in names(12)], results, HerePool(), on_progress=lambda *now: told.append(now))
    first, second = ([done for done, total in told if total == of] for of in (9, 3))
    assert (first, second) == (sorted(first), sorted(second))
    assert (first[-1], second[0] > 0, second[-1]) == (9, True, 3)  # what was there before tells no time that is left


@given(
    st.lists(st.sampled_from([0, 5, ALONE_BYTES, ALONE_BYTES + 1, UNIT_BYTES, UNIT_BYTES + 1]), max_size=300),
    st.integers(1, 50),
)
def test_units_hold_every_source_once_in_order_and_no_more_than_they_may(sizes: list[int], num_workers: int) -> None:
    places = [Place(str(number), "", size, THEN) for number, size in enumerate(sizes)]
    units = _units(places, num_workers)
    assert [one for unit in units for one in unit] == places
    for unit in units:
        assert 0 < len(unit) <= UNIT_SOURCES
        assert sum(one.size for one in unit) <= UNIT_BYTES or len(unit) == 1
        assert len(unit) == 1 or all(one.size <= ALONE_BYTES for one in unit)
    assert len(units) >= min(len(places), 2 * num_workers)
