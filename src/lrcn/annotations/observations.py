"""From the times of an observation, over several files and cameras, to bouts of recordings.

An observation counts its time over all files that one player shows in a row. A second player shows another camera's
file, later or earlier by an offset. Each file becomes a recording with the bouts that lie in it, cut where the next
file begins; those of one observation are one group.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from lrcn.annotations.media import file_name
from lrcn.annotations.reading import Log, ReadOptions, in_order, looked_at, rounded
from lrcn.bouts import Bout, Recording, Span


@dataclass(frozen=True)
class MediaFile:
    """A file of a player."""

    name: str
    """As the annotation names it."""
    duration_s: float | None = None
    fps: float | None = None
    start_s: float | None = None
    """In the observation's time, where that is stated; None where it follows the file before."""


@dataclass(frozen=True)
class Player:
    """Files that one player shows in a row."""

    number: int
    """From 1; events are logged on the first player's time."""
    files: tuple[MediaFile, ...]
    offset_s: float = 0.0
    """When its first file begins, in the first player's time."""


@dataclass(frozen=True)
class Observed:
    """An event in the observation's time."""

    bout: Bout
    place: str
    """In the file, for messages."""


@dataclass(frozen=True)
class Observation:
    """What one observation holds."""

    name: str
    events: tuple[Observed, ...]
    players: tuple[Player, ...] = ()
    """None for a live observation."""
    time_offset_s: float = 0.0
    """What the program added to the files' times."""
    looked_at: tuple[Span, ...] | None = None
    """In the observation's time."""
    unknown: tuple[Span, ...] = ()
    """Spans of events that could not be read, in the observation's time."""


def recordings_of(observation: Observation, options: ReadOptions, log: Log) -> list[Recording]:
    """Return a recording for each file, or one without a video."""
    place = f"observation {observation.name!r}"
    players = [player for player in observation.players if player.files]
    spans = [(player, _begins(player, observation, options, log)) for player in players]
    if not players or spans[0][1] is None:
        return [_without_video(observation, options, log)]
    found = [
        recording
        for player, begins in spans
        if begins is not None
        for recording in _of_player(player, begins, observation, options, log)
    ]
    if len({recording.path for recording in found}) < len(found):
        log.warn(place, "shows one file twice; each time is a recording of its own")
    if len(found) > 1:
        found = [replace(recording, group=observation.name) for recording in found]
    return found


def _begins(player: Player, observation: Observation, options: ReadOptions, log: Log) -> list[float] | None:
    """Return when each file of a player begins, in the observation's time; None if that cannot be known."""
    begins, next_s = [], observation.time_offset_s + player.offset_s
    for i, file in enumerate(player.files):
        begins.append(rounded(next_s if file.start_s is None else file.start_s))
        duration_s = file.duration_s
        if duration_s is None and i < len(player.files) - 1 and player.files[i + 1].start_s is None:
            info = options.media.info(options.media.find(file.name))
            if info is None:
                log.warn(
                    f"observation {observation.name!r}",
                    f"does not say how long {file.name} is, and what follows it cannot be placed in its file: no video "
                    "is known; put that file where it is found, or read the project file",
                )
                return None
            duration_s = info.duration_s
        next_s = begins[-1] + (duration_s or 0.0)
    return begins


def _of_player(
    player: Player, begins: list[float], observation: Observation, options: ReadOptions, log: Log
) -> Iterator[Recording]:
    ends = [*begins[1:], math.inf]
    pieces: list[list[Bout]] = [[] for _ in begins]
    first = player.number == min(other.number for other in observation.players if other.files)
    early = 0
    for event in observation.events:
        cut = list(_cut(event.bout, begins, ends))
        if not cut or event.bout.start_s < begins[0]:
            early += 1
        if first and not cut:
            log.skip(event.place, _before_zero(event.bout, begins[0]))
        elif first and event.bout.start_s < begins[0]:
            log.warn(event.place, f"{_before_zero(event.bout, begins[0])}; its beginning is cut off")
        log.num_copies += len(cut) - bool(first and cut)
        for i, bout in cut:
            pieces[i].append(bout)
    if early and not first:
        log.warn(
            f"observation {observation.name!r}",
            f"{early} events begin before the file of player {player.number} does, by its offset of "
            f"{player.offset_s:g} s, and are left to player 1",
        )
    several = len(begins) > 1 or sum(bool(other.files) for other in observation.players) > 1
    for file, begin_s, end_s, bouts in zip(player.files, begins, ends, pieces, strict=True):
        warn = partial(log.warn, f"observation {observation.name!r}")
        path = options.media.find(file.name, warn)
        where = file_name(file.name) if first else f"player {player.number}, {file_name(file.name)}"
        stated = observation.looked_at
        yield Recording(
            f"{observation.name} ({where})" if several else observation.name,
            path,
            in_order(bouts),
            looked_at(
                None if stated is None else _moved(stated, begin_s, end_s),
                options.looked_at,
                unknown=_moved(observation.unknown, begin_s, end_s),
            ),
            duration_s=file.duration_s,
            fps=options.media.rate(path, file.fps, warn),
            offset_s=begin_s,
        )


def _cut(bout: Bout, begins: Sequence[float], ends: Sequence[float]) -> Iterator[tuple[int, Bout]]:
    """Yield the part of a bout in each file, in that file's time."""
    for i, (begin_s, end_s) in enumerate(zip(begins, ends, strict=True)):
        start_s, stop_s = max(bout.start_s, begin_s), min(bout.end_s, end_s)
        if start_s < stop_s or (bout.is_point and begin_s <= bout.start_s < end_s):
            yield i, replace(bout, start_s=rounded(start_s - begin_s), end_s=rounded(stop_s - begin_s))


def _moved(spans: Sequence[Span], begin_s: float, end_s: float) -> list[Span]:
    """Return spans in a file's time; one that reaches the file's end goes on to `inf`."""
    moved = [
        (rounded(max(0.0, start_s - begin_s)), math.inf if stop_s >= end_s else rounded(stop_s - begin_s))
        for start_s, stop_s in spans
        if start_s < end_s
    ]
    return [(start_s, stop_s) for start_s, stop_s in moved if start_s < stop_s]


def _before_zero(bout: Bout, begin_s: float) -> str:
    return (
        f"{bout.label!r} at {bout.start_s:g} s lies {begin_s - bout.start_s:g} s before the file begins, by the offset "
        f"of {begin_s:g} s; correct the offset or the time"
    )


def _without_video(observation: Observation, options: ReadOptions, log: Log) -> Recording:
    begin_s = observation.time_offset_s
    bouts = []
    for event in observation.events:
        cut = list(_cut(event.bout, [begin_s], [math.inf]))
        if not cut:
            log.skip(event.place, _before_zero(event.bout, begin_s))
        elif event.bout.start_s < begin_s:
            log.warn(event.place, f"{_before_zero(event.bout, begin_s)}; its beginning is cut off")
        bouts += [bout for _, bout in cut]
    stated = observation.looked_at
    seen = looked_at(
        None if stated is None else _moved(stated, begin_s, math.inf),
        options.looked_at,
        unknown=_moved(observation.unknown, begin_s, math.inf),
    )
    return Recording(observation.name, None, in_order(bouts), seen, offset_s=begin_s)
