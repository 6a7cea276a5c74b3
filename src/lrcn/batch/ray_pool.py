"""Workers on this machine or on a cluster, as actors of Ray.

Ray starts processes and carries units to them and rows back. Only this process writes: a worker that nobody waits for
any more can do no harm. Ray Data has such a pool, too, but gives what kills a worker to the next one without end.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import TracebackType
from typing import Any

from lrcn.batch.jobs import Unit
from lrcn.batch.places import Place
from lrcn.batch.reading import UnitReader, Work
from lrcn.batch.tables import Tables
from lrcn.errors import ConfigError, LRCNError, require
from lrcn.graphs.sessions import num_threads
from lrcn.video.ahead import num_processors

MOST_DEATHS = 3
"""Workers that a unit may cost before it is given up; and that may die one after the other before they are ready."""

_AHEAD = 2
"""Units that a worker has at a time: the next is there when one is done."""

_STARTS = 3
"""Times that Ray is started where it does not come up in its half a minute, as on a busy machine."""

_ANSWER_S = 10.0
"""Seconds in which a cluster answers."""

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no report to anybody
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # workers run in this environment, whatever started it
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_ALONE = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray's switch for listening on 127.0.0.1 alone, on all systems
    "RAY_AUTH_MODE": "token",
    "RAY_worker_niceness": "0",  # as any other process
}
"""Where Ray runs on this machine only."""


class RayPool:
    """A `Pool`; Ray is started at the first use, and stopped at the end of the block."""

    def __init__(
        self, work: Work, *, workers: int | None = None, gpus_per_worker: float = 0.0, address: str | None = None
    ) -> None:
        """Say who works.

        Args:
            work: What is wanted of every source; its device and threads are set here.
            workers: Processes; None for as many as there are processors, or GPUs, for.
            gpus_per_worker: Share of a GPU that each needs; 0 for the CPU.
            address: Of a cluster that runs; None starts Ray on this machine.

        Raises:
            MissingExtraError: If Ray is not installed.
        """
        settings = dict(_SETTINGS)
        if address is None:
            settings |= {**_ALONE, "RAY_AUTH_TOKEN": secrets.token_hex(32)}  # else one is left in the user's home
        for name, value in settings.items():
            os.environ.setdefault(name, value)
        with warnings.catch_warnings(action="ignore"):
            self._ray: Any = require("ray", extra="batch", wanted_by="lrcn batch")
        logging.getLogger("ray").setLevel(logging.CRITICAL)  # what matters is raised
        self._work, self._wanted, self._gpus, self._address = work, workers, gpus_per_worker, address
        self._has_started = False
        self._block = ExitStack()

    def __enter__(self) -> RayPool:
        nowhere = self._block.enter_context(open(os.devnull, "w"))
        self._block.enter_context(redirect_stdout(nowhere))  # where Ray tells of workers that died
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._has_started:
            self._ray.shutdown()
        self._block.close()

    @cached_property
    def num_workers(self) -> int:
        """How many processes there are.

        Raises:
            ConfigError: If Ray cannot be reached, or there is no room for so many.
        """
        self._start()
        room = cpus = 0
        for node in self._ray.nodes():
            resources = node["Resources"] if node["Alive"] else {}
            own = int(resources.get("CPU", 0))
            cpus += own
            room += min(own, int(resources.get("GPU", 0) / self._gpus + 1e-9)) if self._gpus else own
        number = self._wanted or max(1, room)
        if number > room:
            needed = f"a processor and {self._gpus:g} of a GPU" if self._gpus else "a processor"
            raise ConfigError(
                f"there is room for {room} worker(s), each with {needed}, and {number} are wanted: use fewer --workers"
            )
        threads = num_threads() or max(1, cpus // number)
        self._work = replace(self._work, device="cuda" if self._gpus else "cpu", threads=threads)
        return number

    def _start(self) -> None:
        where: dict[str, Any] = {"address": self._address}
        if self._address is not None:
            _check_answers(self._address)
        else:
            where = {"address": "local", "num_cpus": max(num_processors(), self._wanted or 1)}
        self._has_started = True
        with _undisturbed():
            for tries_left in reversed(range(_STARTS if self._address is None else 1)):
                try:
                    self._ray.init(
                        **where,
                        include_dashboard=None if self._address else False,
                        log_to_driver=False,
                        configure_logging=False,
                        logging_level=logging.CRITICAL,
                    )
                    return
                except Exception as exc:  # it raises whatever it trips over, plain `Exception` too
                    self._ray.shutdown()
                    reason = " ".join(str(exc).split()) or type(exc).__name__
                    if self._address is not None:
                        raise ConfigError(f"--address {self._address}: no Ray cluster answers ({reason})") from exc
                    if not tries_left:
                        raise ConfigError(f"Ray cannot be started on this machine ({reason})") from exc

    def __call__(self, units: Sequence[Unit], *, isolate: bool) -> Iterator[Tables]:
        """As `Pool`."""
        number = min(self.num_workers, len(units))
        kind = self._ray.remote(num_cpus=1, num_gpus=self._gpus)(_Worker)
        yield from _Run(self._ray, lambda: kind.remote(self._work, isolate), units).results(number)


@dataclass(order=True)
class _Handed:
    """A unit, its place among them, and how many workers it has cost."""

    number: int
    unit: Unit = field(compare=False)
    deaths: int = field(default=0, compare=False)


class _Run:
    """Hands units to workers until all are done or given up."""

    def __init__(self, ray: Any, new_worker: Callable[[], Any], units: Sequence[Unit]) -> None:
        self._ray, self._new_worker = ray, new_worker
        self._left = deque(_Handed(number, unit) for number, unit in enumerate(units))
        self._running: dict[Any, tuple[Any, _Handed | None]] = {}
        """What is awaited, in the order in which it was asked for: of which worker, and what of; None: to be ready."""
        self._dead_at_birth = 0
        self._deaths = (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError)
        """Of a worker, or of the machine that held what it had done."""

    def results(self, num_workers: int) -> Iterator[Tables]:
        """Yield the rows of units as they are done."""
        for _ in range(num_workers):
            self._add_worker()
        while self._left or any(handed is not None for _, handed in self._running.values()):
            (done,), _ = self._ray.wait(list(self._running), num_returns=1)
            worker, handed = self._running.pop(done)
            try:
                found = self._ray.get(done)
            except self._deaths as exc:
                yield from self._bury(worker, handed, exc)
                continue
            except self._ray.exceptions.RayError as exc:
                raise ConfigError(f"a worker failed ({_last_line(exc)})") from exc
            for _ in range(1 if handed else _AHEAD):
                self._hand_to(worker)
            if handed is None:
                self._dead_at_birth = 0
            else:
                yield _tables(found)

    def _add_worker(self) -> None:
        worker = self._new_worker()
        self._running[worker.ready.remote()] = worker, None

    def _hand_to(self, worker: Any) -> None:
        if self._left:
            handed = self._left.popleft()
            self._running[worker.read.remote(handed.unit)] = worker, handed

    def _bury(self, worker: Any, handed: _Handed | None, error: Exception) -> Iterator[Tables]:
        """Put another in the place of a worker that is dead, and its units back; yield what it had done before."""
        if handed is None:
            self._dead_at_birth += 1
            if self._dead_at_birth == MOST_DEATHS:
                raise ConfigError(f"workers die before they are ready ({_last_line(error)}); is lrcn on every machine?")
        lost = [] if handed is None else [handed]
        for reference, (owner, other) in list(self._running.items()):
            if owner is worker and other is not None:
                del self._running[reference]
                try:
                    yield _tables(self._ray.get(reference))
                except self._deaths:
                    lost.append(other)
        lost.sort()
        for one in lost[:1]:  # units are read in order: it was at the first
            one.deaths += 1
        self._left.extendleft(one for one in reversed(lost) if one.deaths < MOST_DEATHS)
        self._add_worker()


class _Worker:
    """What runs in a process of its own."""

    def __init__(self, work: Work, isolate: bool) -> None:
        import torch

        os.environ["OMP_NUM_THREADS"] = str(work.threads)  # other runtimes than torch read it
        torch.set_num_threads(work.threads or 1)
        self._reader, self._isolate = UnitReader(work), isolate

    def ready(self) -> None:
        """Answer when units can be read."""

    def read(self, unit: Sequence[Place]) -> Tables | LRCNError:
        """Return the rows of a unit, or the error that would be that of every other unit, too."""
        try:
            return self._reader.read(unit, isolate=self._isolate)
        except LRCNError as exc:
            return exc


def _tables(found: Tables | LRCNError) -> Tables:
    if isinstance(found, LRCNError):
        raise found
    return found


def _check_answers(address: str) -> None:
    """Make sure that somebody listens at `HOST:PORT`, for Ray itself tries for minutes; `ConfigError` if not."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal():  # `auto`, which Ray knows at once
        return
    try:
        socket.create_connection((host.rpartition("/")[2].strip("[]"), int(port)), _ANSWER_S).close()
    except (OSError, OverflowError) as exc:
        raise ConfigError(f"--address {address}: no Ray cluster answers ({exc})") from exc


def _last_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep how this program ends, for Ray sets a handler of its own for SIGTERM; and what it tells the user.

    Ray's own remarks come from C++, past Python's files.
    """
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    told, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(told, 2)
        os.close(told)
        os.close(nowhere)
        if in_main:
            signal.signal(signal.SIGTERM, before)
