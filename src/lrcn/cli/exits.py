"""Exit codes, and the lines that go with them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lrcn.errors import LRCNError

OK = 0
ERROR = 1
USAGE = 2
SOME_FAILED = 3
INTERRUPTED = 130
"""As a shell reports a program that Ctrl-C ended."""
BROKEN_PIPE = 141
"""As a shell reports a program whose reader went away."""


class UsageError(LRCNError):
    """Flags that do not go together, or one that is missing."""


def fail(message: str, code: int) -> int:
    """Print an error and return the exit code."""
    print(f"lrcn: error: {message}", file=sys.stderr)
    return code


def exit_code_after(num_done: int, failures: Sequence[str], what: str, *, told: bool = False) -> int:
    """List what failed, and return the exit code: 3 if other inputs are done, 1 if none is.

    Args:
        num_done: Inputs that worked.
        failures: A line for each that did not.
        what: What the inputs are, in the plural.
        told: The lines have been printed already.
    """
    for message in () if told else failures:
        fail(message, ERROR)
    if not failures:
        return OK
    if num_done:
        print(
            f"lrcn: {len(failures)} of {num_done + len(failures)} {what} failed; the others are done", file=sys.stderr
        )
        return SOME_FAILED
    return ERROR
