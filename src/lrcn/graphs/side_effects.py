"""What exporters and engines do besides their work, undone: talk, and put a stack of theirs under ours. No torch."""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import sys
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings, log messages and what is printed to standard output, but no errors."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)


class _Stack(ctypes.Structure):
    """`stack_t` of <signal.h>, as Linux lays it out."""

    _fields_ = [("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


_DISABLED = 2
"""`SS_DISABLE`: the thread has no such stack."""


def signal_stack() -> tuple[int | None, int, int]:
    """Return start, flags and size of this thread's stack for signal handlers (Linux only)."""
    stack = _Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
    return stack.start, stack.flags, stack.size


@contextlib.contextmanager
def signal_stack_kept() -> Iterator[None]:
    """Leave this thread's stack for signal handlers as it was.

    OpenVINO 2026.4 registers one of its own while it compiles a model and unmaps it when the model goes, still
    registered: the next signal, a Ctrl-C or the end of a data-loading process, then kills the whole program.
    """
    if sys.platform != "linux":
        yield
        return
    start, flags, size = signal_stack()
    try:
        yield
    finally:
        before = _Stack(start, flags & _DISABLED, size)
        ctypes.CDLL(None).sigaltstack(ctypes.byref(before), None)
