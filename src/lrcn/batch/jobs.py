"""From sources to a folder of results: what is left to do, in units, through a pool of workers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from lrcn.batch.places import Place
from lrcn.batch.results import ResultFolder
from lrcn.batch.tables import FAILED, SOURCES, Tables, failed
from lrcn.errors import ConfigError

UNIT_SOURCES = 64
"""Sources that a worker is given at most: so many share the CNN's batches, and are done again if it is killed."""

UNIT_BYTES = 2**28
"""Bytes of the sources of a unit, at most."""

ALONE_BYTES = 2**26
"""A source of more bytes is a unit of its own, whose frames need not be held together."""

UNITS_A_WORKER = 4
"""Units for each worker, at least, so that they end at about the same time."""

Unit = list[Place]


class Pool(Protocol):
    """Workers that each read one unit after the other."""

    @property
    def num_workers(self) -> int:
        """How many there are."""

    def __call__(self, units: Sequence[Unit], *, isolate: bool) -> Iterator[Tables]:
        """Yield the rows of units as they are done, in any order; of one whose workers died, none.

        Raises:
            LRCNError: If there are no workers, or what would happen to every source has happened.
        """


@dataclass(frozen=True)
class BatchReport:
    """What became of the sources."""

    done: int
    """Sources that have results."""
    kept: int
    """Sources that were not looked at again, whether they have results or had failed."""
    failures: tuple[str, ...]
    """Why the others have none."""


def run_batch(
    places: Sequence[Place],
    results: ResultFolder,
    pool: Pool,
    *,
    retry_failed: bool = False,
    isolate: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> BatchReport:
    """Look at every source that has no row yet, or has changed since.

    A unit whose workers died is looked at once more, source by source, with decoding in processes of their own: what
    kills a worker costs its own row alone.

    Args:
        places: Sources, each once.
        results: Where their rows go.
        pool: Who looks.
        retry_failed: Look again at what could not be read.
        isolate: Decode in processes of their own from the first.
        on_progress: Told how many of the sources that it looks at are done, and of how many.

    Raises:
        LRCNError: As the pool; or if workers die and nothing comes of it. What is done is kept.
        OSError: If the results cannot be written.
    """
    known = results.known()
    again = {
        place.name
        for place in places
        if (before := known.get(place.name)) is not None
        and (not before.is_of(place) or (retry_failed and before.reason is not None))
    }
    results.forget(known, again)
    reasons = [known[p.name].reason for p in places if p.name in known and p.name not in again]
    failures = [reason for reason in reasons if reason is not None]
    left = {place.name: place for place in places if place.name not in known or place.name in again}
    num_wanted = len(left)
    for alone in (False, True):
        if not left:
            break
        units = [[place] for place in left.values()] if alone else _units(list(left.values()), pool.num_workers)
        num_left = len(left)
        for tables in pool(units, isolate=isolate or alone):
            results.add(tables)
            for row in tables[SOURCES].select(["source", "status", "reason"]).to_pylist():
                del left[row["source"]]
                if row["status"] == FAILED:
                    failures.append(row["reason"])
            if on_progress is not None:
                on_progress(num_wanted - len(left), num_wanted)
        if len(left) == num_left and len(units) > 1 and not alone:
            raise ConfigError(
                "every worker died before it was done with anything; if memory ran out, use fewer --workers"
            )
    for place in left.values():
        reason = f"{place.name}: every worker that looked at it died; if memory ran out, use fewer --workers"
        results.add({SOURCES: pa.Table.from_pylist([failed(place, reason)], schema=results.schema)})
        failures.append(reason)
    return BatchReport(len(places) - len(failures), len(reasons), tuple(failures))


def _units(places: Sequence[Place], num_workers: int) -> list[Unit]:
    """Return the sources in order, as many at a time as a worker is given."""
    most = max(1, min(UNIT_SOURCES, math.ceil(len(places) / (UNITS_A_WORKER * num_workers))))
    units: list[Unit] = []
    size, is_full = 0, True
    for place in places:
        is_large = place.size > ALONE_BYTES
        if is_full or is_large or len(units[-1]) == most or size + place.size > UNIT_BYTES:
            units.append([])
            size = 0
        units[-1].append(place)
        size, is_full = size + place.size, is_large
    return units
