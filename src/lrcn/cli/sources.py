"""What the sources on a command line name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lrcn.errors import MediaError


def expand_each(sources: Sequence[str], expand: Callable[[Sequence[str]], list[Path]]) -> tuple[list[Path], list[str]]:
    """Return the files that the sources name, each once, and a message for each source that names none."""
    found: dict[Path, None] = {}
    failures = []
    for source in sources:
        try:
            found.update(dict.fromkeys(expand([source])))
        except MediaError as exc:
            failures.append(str(exc))
        except OSError as exc:  # a name too long, a folder that may not be read
            failures.append(f"{exc.filename or source}: {exc.strerror}")
    return list(found), failures
