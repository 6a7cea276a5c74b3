"""Work on many files in several processes."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

from lrcn.video.ahead import num_processors

T = TypeVar("T")


def in_processes(make: Callable[..., T], calls: Sequence[tuple[Any, ...]], workers: int | None) -> Iterator[T]:
    """Yield what `make(*call)` returns for each call, as it is done.

    Args:
        make: A function of a module.
        calls: Its arguments.
        workers: Processes; None for one a processor. With 1, all is done in this process and in order.
    """
    workers = min(workers or num_processors(), len(calls))
    if workers <= 1:
        for call in calls:
            yield make(*call)
        return
    # spawn: a fork of a process with threads (torch, a progress bar) may hang
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
        try:
            for future in as_completed([pool.submit(make, *call) for call in calls]):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _end_with_parent() -> None:
    """Let a worker end when its parent is killed: it would wait for work for ever."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
