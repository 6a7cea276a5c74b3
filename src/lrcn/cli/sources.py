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
        if not source:  # of an empty variable in the shell; as a path it would be this folder
            failures.append("a source is empty; name a file or folder")
            continue
        try:
            found.update(dict.fromkeys(expand([source])))
        except MediaError as exc:
            failures.append(str(exc))
    return list(found), failures
