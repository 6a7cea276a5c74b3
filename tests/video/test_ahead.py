from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from lrcn.video.ahead import read_ahead


def decode_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "lrcn-decode"]


def test_items_come_whole_and_in_order() -> None:
    assert list(read_ahead(iter(range(100)))) == list(range(100))
    assert decode_threads() == []


def test_an_error_comes_after_what_was_made_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("broken")

    ahead = read_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(KeyError, match="broken"):
        next(ahead)
    assert decode_threads() == []


def test_no_more_is_made_than_there_is_room_for() -> None:
    made: list[int] = []
    ahead = read_ahead((made.append(i) or i for i in range(1000)), depth=2)
    for used in range(3):
        assert next(ahead) == used
    for _ in range(100):  # the thread runs on until it must wait
        time.sleep(0.01)
        if len(made) >= 6:
            break
    time.sleep(0.05)
    assert len(made) == 3 + 2 + 1
    ahead.close()  # type: ignore[attr-defined]


def test_closing_early_closes_the_source_and_ends_the_thread() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(10**9)
        finally:
            closed.set()

    ahead = read_ahead(items())
    next(ahead)
    ahead.close()  # type: ignore[attr-defined]
    assert closed.is_set()
    assert decode_threads() == []


def test_work_and_reading_overlap() -> None:
    running: list[str] = []

    def items() -> Iterator[int]:
        for i in range(3):
            running.append(f"make {i}")
            yield i

    used = threading.Event()
    ahead = read_ahead(items())
    next(ahead)
    for _ in range(200):
        if "make 1" in running:
            used.set()
            break
        time.sleep(0.01)
    assert used.is_set()  # the second was made while the first was in use
    ahead.close()  # type: ignore[attr-defined]
