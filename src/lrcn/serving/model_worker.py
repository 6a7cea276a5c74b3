"""A model as the server sees it: a queue, and a process that is started again when it ends.

All methods are for the event loop of the server. What the process says comes from a thread that reads its pipe, and
what it is told goes through another, for a pipe that is full waits.
"""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import queue
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from lrcn.serving import worker
from lrcn.serving.jobs import AT_ONCE, Answer, Asked, Cancelled, Job, Ready, Unusable
from lrcn.serving.metrics import ModelMetrics
from lrcn.serving.refusals import Refusal
from lrcn.serving.settings import SESSIONS_EACH, ServedModel

TRIES = 2
"""Times that a job is given to a process: one that ended may have ended of something else."""

LONGEST_PAUSE_S = 30.0
"""Before a process is started again that ends before it is ready."""

STUCK_AFTER_S = 120.0
"""A process that has not given up a job so long after it was told to is ended."""

_FIRST_GUESS_S = 1.0
"""What a job takes, while none is done."""


_FORKED_FROM = ("lrcn.serving.worker", "lrcn.serving.loading", "lrcn.serving.answering", "lrcn.models.recognition")
"""Imported once, by a process that each model's is forked from: another is then ready within a second or two."""


@dataclass(eq=False)
class _Pending:
    number: int
    job: Job
    done: asyncio.Future[Answer]
    tries: int = 0


@dataclass(eq=False)
class _Process:
    """One life of a process."""

    process: Any
    pipe: Connection
    outbox: queue.SimpleQueue[Asked | Cancelled | None]
    """None asks it to end."""
    ready: bool = False
    in_work: dict[int, _Pending] = field(default_factory=dict)


class ModelWorker:
    """A model that answers jobs."""

    def __init__(self, served: ServedModel, *, max_queue: int, metrics: ModelMetrics) -> None:
        """Take the model; `start` starts its process."""
        self.served = served
        self.about: dict[str, Any] = {}
        """What the process said of the model; empty until it is ready for the first time."""
        self.restarts = 0
        self.last_exit = ""
        """How the process before ended; empty where there was none."""
        self.unusable: str | None = None
        """Why the model cannot be used, where its process says so."""
        self.usable = asyncio.Event()
        """Set once it is known whether the model can be used."""
        self._metrics = metrics
        self._most_admitted = max_queue + max(AT_ONCE[kind] for kind in AT_ONCE if kind != "stream")
        self._admitted = 0
        self._sessions = 0
        self._numbers = 0
        self._mean_s = _FIRST_GUESS_S
        self._waiting: dict[str, deque[_Pending]] = {kind: deque() for kind in AT_ONCE}
        self._process: _Process | None = None
        self._starting: asyncio.Task[None] | None = None
        self._deaths_in_row = 0
        self._closed = False

    # -- what routes ask ------------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether the process has its model."""
        return self._process is not None and self._process.ready

    def state(self) -> dict[str, Any]:
        """Return what `/ready` says."""
        life = self._process
        return {
            "state": "ready" if self.ready else "unusable" if self.unusable else "starting",
            "pid": None if life is None else life.process.pid,
            "restarts": self.restarts,
            "last_exit": self.last_exit,
            "waiting": sum(map(len, self._waiting.values())),
            "in_work": 0 if life is None else len(life.in_work),
            "sessions": self._sessions,
        }

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place in the queue, from before the upload until the answer.

        Raises:
            Refusal: 429 if there is none, with the time after which there should be.
        """
        if self._admitted >= self._most_admitted:
            self._metrics.refused.inc()
            wait_s = self._mean_s * self._admitted / AT_ONCE["recognize"]
            raise Refusal(
                429,
                f"the queue of {self.served.name} is full ({self._admitted} requests); try again later",
                {"Retry-After": str(max(1, math.ceil(wait_s)))},
            )
        self._admitted += 1
        self._metrics.admitted.set(self._admitted)
        try:
            yield
        finally:
            self._admitted -= 1
            self._metrics.admitted.set(self._admitted)

    @contextmanager
    def session(self) -> Iterator[None]:
        """Be one of the streams that are followed.

        Raises:
            Refusal: 429 if there are as many as can be.
        """
        if self._sessions >= SESSIONS_EACH:
            raise Refusal(429, f"{self.served.name} follows {self._sessions} streams already", {"Retry-After": "10"})
        self._sessions += 1
        self._metrics.sessions.set(self._sessions)
        try:
            yield
        finally:
            self._sessions -= 1
            self._metrics.sessions.set(self._sessions)

    async def run(self, job: Job) -> Answer:
        """Return the answer to a job; when this is cancelled, the job is.

        Raises:
            Refusal: If it failed.
        """
        self._numbers += 1
        pending = _Pending(self._numbers, job, asyncio.get_running_loop().create_future())
        self._waiting[job.kind].append(pending)
        self._hand_out()
        try:
            answer = await pending.done
        except asyncio.CancelledError:
            self._cancel(pending)
            raise
        if answer.status != 200:
            raise Refusal(answer.status, answer.body)
        return answer

    # -- the process ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start a process."""
        self._starting = asyncio.create_task(self._start())

    async def _start(self) -> None:
        if self._closed:
            return
        context = process_context()
        own, its = context.Pipe()
        process = context.Process(target=worker.main, args=(its, self.served), name="lrcn-worker", daemon=True)
        try:
            await asyncio.to_thread(process.start)
        except (OSError, EOFError) as exc:  # no memory, no room for another, what they are forked from was ended
            print(f"lrcn: warning: {self.served.name}: {exc}; tried again soon", file=sys.stderr, flush=True)
            asyncio.get_running_loop().call_later(LONGEST_PAUSE_S, self.start)
            return
        finally:
            its.close()  # or nobody would notice that the process has ended
        life = self._process = _Process(process, own, queue.SimpleQueue())
        loop = asyncio.get_running_loop()

        def tell(what: Callable[..., None], *arguments: Any) -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(what, life, *arguments)

        threading.Thread(target=_read, args=(life, tell, self._heard, self._ended), daemon=True).start()
        threading.Thread(target=_write, args=(life,), daemon=True).start()

    async def close(self) -> None:
        """End the process; what waits is not answered."""
        self._closed = True
        if self._starting is not None:
            await self._starting
        life = self._process
        if life is None:
            return
        self._process = None
        life.outbox.put(None)
        await asyncio.to_thread(_end, life.process)

    def _heard(self, life: _Process, said: Answer | Ready | Unusable) -> None:
        if life is not self._process:
            return
        if isinstance(said, Ready):
            life.ready, self._deaths_in_row, self.unusable = True, 0, None
            self.about = said.about
            self._metrics.up.set(1)
            self.usable.set()
        elif isinstance(said, Unusable):
            self.unusable = said.message
            self.usable.set()
        else:
            pending = life.in_work.pop(said.number, None)
            self._metrics.note(said)
            if pending is not None and not pending.done.done():
                if pending.job.kind != "stream":
                    self._mean_s += 0.2 * (said.spent_s - self._mean_s)
                pending.done.set_result(said)
        self._hand_out()

    def _ended(self, life: _Process) -> None:
        """Notice that a process is gone: give its jobs to another."""
        life.process.join(1.0)
        life.outbox.put(None)
        if life is not self._process:
            return
        life.pipe.close()
        self._process = None
        self.restarts += 1
        self._deaths_in_row += 1
        self.last_exit = _how_ended(life.process.exitcode)
        self._metrics.up.set(0)
        self._metrics.restarts.inc()
        for pending in reversed(life.in_work.values()):
            if pending.done.done():
                continue
            if pending.tries < TRIES:
                self._waiting[pending.job.kind].appendleft(pending)
            else:
                pending.done.set_exception(
                    Refusal(500, "the process that worked on this request ended, and so did the next one")
                )
        if self._closed or (self.unusable is not None and not self.about):  # it never could be used
            return
        print(
            f"lrcn: warning: the process of {self.served.name} ended ({self.last_exit}) and is started again",
            file=sys.stderr,
            flush=True,
        )
        pause_s = 0.0 if life.ready else min(LONGEST_PAUSE_S, 2.0 ** (self._deaths_in_row - 1))
        asyncio.get_running_loop().call_later(pause_s, self.start)

    # -- jobs -----------------------------------------------------------------------------------------------------

    def _hand_out(self) -> None:
        """Give the process as much to do as it works on at once."""
        life = self._process
        self._metrics.waiting.set(sum(map(len, self._waiting.values())))
        if life is None or not life.ready:
            return
        suspects = [pending for waiting in self._waiting.values() for pending in waiting if pending.tries]
        if suspects:  # one of them may have ended the process: each has the next one to itself
            if not life.in_work:
                self._hand(life, suspects[0])
        elif not any(pending.tries > 1 for pending in life.in_work.values()):
            for kind, waiting in self._waiting.items():
                in_work = sum(pending.job.kind == kind for pending in life.in_work.values())
                for pending in list(waiting)[: AT_ONCE[kind] - in_work]:
                    self._hand(life, pending)
        self._metrics.waiting.set(sum(map(len, self._waiting.values())))

    def _hand(self, life: _Process, pending: _Pending) -> None:
        self._waiting[pending.job.kind].remove(pending)
        pending.tries += 1
        life.in_work[pending.number] = pending
        life.outbox.put(Asked(pending.number, pending.job))

    def _cancel(self, pending: _Pending) -> None:
        self._metrics.cancelled.inc()
        with suppress(ValueError):
            self._waiting[pending.job.kind].remove(pending)
        life = self._process
        if life is not None and pending.number in life.in_work:
            life.outbox.put(Cancelled(pending.number))
            asyncio.get_running_loop().call_later(STUCK_AFTER_S, self._end_if_stuck, life, pending.number)
        self._hand_out()  # what could go on may have waited for it

    def _end_if_stuck(self, life: _Process, number: int) -> None:
        if life is self._process and number in life.in_work:
            life.process.kill()  # `_ended` sees to the rest


def process_context() -> Any:
    """Return what starts processes: forked from one that has imported torch and used nothing of it, on Linux."""
    if sys.platform != "linux":  # where what lies below torch does not bear to be forked, or nothing can be
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_FORKED_FROM))
    return context


def _read(life: _Process, tell: Callable[..., None], heard: Callable[..., None], ended: Callable[..., None]) -> None:
    """Pass on what a process says, until it ends."""
    with suppress(EOFError, OSError):
        while True:
            tell(heard, life.pipe.recv())
    tell(ended)


def _write(life: _Process) -> None:
    """Tell a process what is put into its outbox, up to None."""
    with suppress(OSError):
        while True:
            said = life.outbox.get()
            life.pipe.send(said)
            if said is None:
                return


def _end(process: Any) -> None:
    process.join(5.0)
    if process.is_alive():
        process.kill()
        process.join()


def _how_ended(code: int | None) -> str:
    if code is None:
        return "its pipe closed"
    return f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
