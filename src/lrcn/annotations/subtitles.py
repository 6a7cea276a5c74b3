"""Subtitles, SubRip (`.srt`) and WebVTT (`.vtt`): what is shown while it is shown, in any player. Only written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from lrcn.annotations.one_a_recording import write_one_a_recording
from lrcn.bouts import Annotations, Recording

_SHORTEST_S = 0.5
"""A point event is shown for as long as it takes to see it."""


class Cue(NamedTuple):
    """A subtitle."""

    start_s: float
    end_s: float
    text: str


def subrip(cues: Iterable[Cue]) -> str:
    """Return cues as SubRip; players read `<` as markup."""
    return "\n".join(_cue(number, cue, ",", {"-->": "→", "<": "(", ">": ")"}) for number, cue in enumerate(cues, 1))


def webvtt(cues: Iterable[Cue]) -> str:
    """Return cues as WebVTT; `-->` would end a cue's text, and & and < begin markup."""
    escapes = {"-->": "→", "&": "&amp;", "<": "&lt;", ">": "&gt;"}
    return "\n".join(["WEBVTT\n", *(_cue(number, cue, ".", escapes) for number, cue in enumerate(cues, 1))])


def _cue(number: int, cue: Cue, mark: str, escapes: dict[str, str]) -> str:
    text = cue.text
    for plain, escaped in escapes.items():
        text = text.replace(plain, escaped)
    return f"{number}\n{_clock(cue.start_s, mark)} --> {_clock(cue.end_s, mark)}\n{text}\n"


def _clock(time_s: float, mark: str) -> str:
    milliseconds = round(1000 * time_s)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    seconds, milliseconds = divmod(milliseconds, 1000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}{mark}{milliseconds:03d}"


def write_subrip(annotations: Annotations, path: Path) -> None:
    """Write a SubRip file a recording.

    Raises:
        ConfigError: If one file would have to hold several recordings.
        OSError: If a file cannot be written.
    """
    _write(annotations, path, ".srt", subrip)


def write_webvtt(annotations: Annotations, path: Path) -> None:
    """Write a WebVTT file a recording.

    Raises:
        ConfigError: If one file would have to hold several recordings.
        OSError: If a file cannot be written.
    """
    _write(annotations, path, ".vtt", webvtt)


def _write(annotations: Annotations, path: Path, suffix: str, text_of: Callable[[Iterable[Cue]], str]) -> None:
    write_one_a_recording(annotations, path, suffix, lambda recording, folder: text_of(_cues(recording)))


def _cues(recording: Recording) -> Iterator[Cue]:
    for bout in recording.bouts:
        text = f"{bout.subject}: {bout.label}" if bout.subject else bout.label
        text += f" ({', '.join(bout.modifiers)})" if bout.modifiers else ""
        text += "" if bout.prob is None else f" {bout.prob:.0%}"
        yield Cue(bout.start_s, max(bout.end_s, bout.start_s + _SHORTEST_S * bout.is_point), " ".join(text.split()))
