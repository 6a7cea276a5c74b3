"""Work ahead: how many may, and a thread that decodes the next chunks while the present one is used."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")

_END = object()


def num_processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_ahead(items: Iterator[T], *, depth: int = 1) -> Iterator[T]:
    """Yield `items` in order, each made in a thread of its own before it is asked for.

    ffmpeg and NumPy let other threads run, so decoding and the CNN overlap. Besides the item in use, at most `depth`
    finished ones and one unfinished are held. An error of `items` is raised here, after what came before it; when this
    iterator is closed or dropped, `items` is closed and the thread has ended.
    """
    made: queue.Queue[object] = queue.Queue(maxsize=depth)
    stopped = threading.Event()
    failure: list[BaseException] = []

    def work() -> None:
        try:
            for item in items:
                made.put(item)
                del item
                if stopped.is_set():
                    break
        except BaseException as exc:
            failure.append(exc)
        finally:
            close = getattr(items, "close", None)  # only generators have it
            if close is not None:
                close()
            made.put(_END)

    thread = threading.Thread(target=work, name="lrcn-decode", daemon=True)
    thread.start()
    try:
        while (item := made.get()) is not _END:
            yield item  # type: ignore[misc]
        if failure:
            raise failure[0]
    finally:
        stopped.set()
        while thread.is_alive():  # it may wait for room
            try:
                made.get(timeout=0.05)
            except queue.Empty:
                continue
        thread.join()
