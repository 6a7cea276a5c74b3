"""Which of several readers reads a data set: one rule for both tasks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

from lrcn.errors import ConfigError, DataError


class Detects(Protocol):
    """A reader, as far as it concerns the choice."""

    @property
    def detect(self) -> Callable[[Path], bool]:
        """Whether a path, a folder or a file, looks like its layout."""


R = TypeVar("R", bound=Detects)


def add_reader(readers: dict[str, R], name: str, reader: R, *, kind: str) -> None:
    """Put a reader from outside into its table; `ConfigError` if the name is taken."""
    if name in readers:
        raise ConfigError(f"{kind} {name!r} is taken: register another name")
    readers[name] = reader


def recognised(path: Path, readers: Mapping[str, R], own: Collection[str]) -> str | None:
    """Return the name of the reader that recognises a path, None if there is none.

    Readers from outside go first, the last registered one before all others; of our own only one may recognise a path.

    Args:
        path: A folder or a file.
        readers: Name -> reader, in the order of registration.
        own: The names of those that come with lrcn.

    Raises:
        DataError: If two of our own recognise it.
    """
    for name in reversed(list(readers)):
        if name not in own and readers[name].detect(path):
            return name
    found = [name for name in readers if name in own and readers[name].detect(path)]
    if len(found) > 1:
        raise DataError(
            f"{path}: can be read as {' and as '.join(found)}, which may disagree; name one file, or choose with "
            f"--format {found[0]}"
        )
    return found[0] if found else None
