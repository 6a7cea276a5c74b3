"""The process of a model: takes jobs from a pipe, works on several at once, sends answers back.

It ends when it is told to, or when the server has ended, however it did: its end of the pipe is then closed.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

from lrcn.errors import ConfigError, DataError, LRCNError, MediaError, ShapeError, brief
from lrcn.serving.jobs import AT_ONCE, Answer, Asked, Cancelled, Job, Ready, Unusable
from lrcn.serving.settings import ServedModel

_OF_THE_REQUEST = (ConfigError, DataError, MediaError, ShapeError)
"""Errors that another request would not meet."""


class _GivenUp(Exception):
    """Nobody waits for this job any more."""


def main(pipe: Connection, served: ServedModel) -> None:
    """Work until the server's end of the pipe is closed."""
    for number in (getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)):
        signal.signal(number, signal.SIG_IGN)  # meant for the server, which lets this process finish its work
    try:
        worker = _Worker(pipe, served)
    except LRCNError as exc:
        pipe.send(Unusable(str(exc)))
        return
    except ModuleNotFoundError as exc:
        pipe.send(Unusable(brief(f"{served.path}: needs {exc.name}, which is not installed")))
        return
    from lrcn.video.isolation import isolated_decoding

    with isolated_decoding():
        worker.work()


class _Worker:
    def __init__(self, pipe: Connection, served: ServedModel) -> None:
        from lrcn.serving.loading import load_shared

        self._pipe, self._sending = pipe, threading.Lock()
        self._predictor, self._network, about = load_shared(served)
        self._given_up: dict[int, threading.Event] = {}
        self._pools = {kind: ThreadPoolExecutor(count, f"lrcn-{kind}") for kind, count in AT_ONCE.items()}
        self._send(Ready(about))

    def work(self) -> None:
        """Take what the server says, until it says nothing more."""
        while True:
            try:
                said: Asked | Cancelled | None = self._pipe.recv()
            except (EOFError, OSError):
                break
            if said is None:
                break
            if isinstance(said, Cancelled):
                if said.number in self._given_up:
                    self._given_up[said.number].set()
                continue
            given_up = self._given_up[said.number] = threading.Event()
            self._pools[said.job.kind].submit(self._answer, said.number, said.job, given_up)
        for given_up in list(self._given_up.values()):
            given_up.set()
        for pool in self._pools.values():
            pool.shutdown(cancel_futures=True)

    def _answer(self, number: int, job: Job, given_up: threading.Event) -> None:
        def check(done_s: float = 0.0) -> None:
            if given_up.is_set():
                raise _GivenUp

        began = time.perf_counter()
        status, body, memory = self._try(job, check)
        self._given_up.pop(number, None)
        self._send(
            Answer(
                number=number,
                status=status,
                body=body.encode(errors="backslashreplace"),
                memory=memory,
                spent_s=time.perf_counter() - began,
                calls=self._network.calls,
                frames=self._network.frames,
            )
        )

    def _try(self, job: Job, check: Callable[[float], None]) -> tuple[int, str, bytes]:
        from lrcn.serving.answering import ANSWERS, renamed

        try:
            check(0.0)
            said = ANSWERS[job.kind](self._predictor, job, check)
            return 200, said.body, said.memory
        except _GivenUp:
            return 499, "", b""
        except LRCNError as exc:
            status = 422 if isinstance(exc, _OF_THE_REQUEST) else 500
            return status, json.dumps(renamed(str(exc), job.uploads)), b""
        except Exception as exc:  # a bug, or no memory: this request's alone
            print(f"lrcn: error: a job of kind {job.kind} failed", file=sys.stderr)
            traceback.print_exception(exc)
            return 500, json.dumps(f"this request failed inside the server ({type(exc).__name__})"), b""

    def _send(self, message: Any) -> None:
        with self._sending:
            try:
                self._pipe.send(message)
            except OSError:  # the server is gone, and this process is about to notice
                return
