"""What every predictor does with the sources it is given, before it looks at one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import cast

from lrcn.errors import ConfigError, MediaError
from lrcn.video.inputs import Source, is_source
from lrcn.video.sources import expand_sources

OnFailure = Callable[[Source, MediaError], None]
"""Told what cannot be read, and why."""


def each_source(
    sources: Source | Iterable[Source],
    *,
    pictures: bool = False,
    vectors: bool = False,
    on_failure: OnFailure | None = None,
) -> Iterator[Source]:
    """Yield what the sources stand for, in order: the files that paths, folders and globs name, and all else as it is.

    Args:
        sources: One, or several.
        pictures: Images in folders are pictures, not frames of a video.
        vectors: Folders stand for their files of ready vectors.
        on_failure: Told what names nothing; None raises.

    Raises:
        MediaError: At a source that names nothing, unless `on_failure` is given.
    """
    several = [sources] if is_source(sources) else cast(Iterable[Source], sources)
    for source in several:
        if not isinstance(source, str | os.PathLike):
            yield source
            continue
        with telling(on_failure, source):
            yield from expand_sources([os.fspath(source)], pictures=pictures, vectors=vectors)


@contextmanager
def telling(on_failure: OnFailure | None, source: Source) -> Iterator[None]:
    """Tell that a source cannot be read, and go on behind the block; None raises."""
    try:
        yield
    except MediaError as exc:
        if on_failure is None:
            raise
        on_failure(source, exc)


def refuse_for_several(start_s: float, end_s: float | None, on_progress: object) -> None:
    """Make sure that a list of sources comes without what is for one; `ConfigError` if not."""
    if start_s or end_s is not None or on_progress is not None:
        raise ConfigError("start_s, end_s and on_progress are for one source: call with each by itself")
