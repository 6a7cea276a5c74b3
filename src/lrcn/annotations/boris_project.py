"""BORIS project files (`.boris`, `.boris.gz`): JSON of project format 7.0, as BORIS 7 to 9.12 writes it, and older.

Read are observations of media (with their files, lengths, rates, players and offsets) and live ones, with subjects,
modifiers and comments. Every second event of a state behaviour of one subject with equal modifiers stops it, as in
BORIS. Where an observation shows several subjects, all that the project names were watched in each. An observation
counts as gone through from start to end (a live one to its last event), or over its observation
interval; one without events does not count as gone through. After a state that is never stopped nothing is known.

Written are projects that BORIS 9 opens: one observation a recording, one media file each.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lrcn.annotations.bouts_csv import looked_at_cell, parse_looked_at
from lrcn.annotations.media import MediaFinder, file_name
from lrcn.annotations.observations import MediaFile, Observation, Player, recordings_of
from lrcn.annotations.reading import Log, ReadOptions, number, rounded, seconds
from lrcn.annotations.state_events import POINT, Mark, num_events, paired
from lrcn.annotations.text_files import as_dict, as_list, as_text, head_of, looks_like_json, read_json
from lrcn.bouts import WHOLE, Annotations, Bout, Recording, Span
from lrcn.errors import DataError
from lrcn.files import write_json

KNOWN_VERSION = (9, 12, 3)
"""The newest BORIS whose files were looked at."""

_STATE = "State event"
_WITHOUT = "observation without events; if nothing was to be seen, say so with --looked-at whole, else leave it out"


def detect_boris_project(path: Path) -> bool:
    """Whether a file is called `.boris`, or is JSON that begins as a project does."""
    name = path.name.lower()
    if name.endswith((".boris", ".boris.gz")):
        return True
    return looks_like_json(path) and bool(re.search(r'"(project_format_version|behaviors_conf)"', head_of(path, 2**16)))


def read_boris_project(path: Path, options: ReadOptions) -> Annotations:
    """Read all observations of a project.

    Raises:
        DataError: If it is no project.
    """
    project = as_dict(read_json(path), path.name)
    if "observations" not in project:
        raise DataError(f"{path}: has no observations, so it is no BORIS project; name the project file")
    log = Log(path.name)
    version = as_text(project.get("project_format_version"))
    if tuple(map(int, re.findall(r"\d+", version))) > KNOWN_VERSION:
        known = ".".join(map(str, KNOWN_VERSION))
        log.warn("", f"is of BORIS {version}, newer than {known}; check a few bouts, or update lrcn")
    types = _types(project)
    recordings: list[Recording] = []
    for name, entry in as_dict(project["observations"], f"{path.name} observations").items():
        place = f"observation {name!r}"
        try:
            raw = as_dict(entry, f"{path.name} {place}")
            rows = as_list(raw.get("events"), f"{path.name} {place} events")
        except DataError as exc:
            log.warnings.append(str(exc))
            continue
        log.num_events += _count(rows, types)
        recordings += recordings_of(_observation(name, raw, rows, types, options, log), options, log)
    if any(len({bout.subject for bout in one.bouts if bout.subject}) > 1 for one in recordings):
        # they are watched together; where each observation shows one at most, it is a recording of that one
        recordings = [recording.watching(_subjects(project)) for recording in recordings]
    return log.annotations(recordings, tuple(types))


def _types(project: dict[str, Any]) -> dict[str, str]:
    """Return the type of each behaviour of the ethogram."""
    listed = project.get("behaviors_conf") or {}
    entries = listed.values() if isinstance(listed, dict) else listed if isinstance(listed, list) else ()
    found = [(as_text(entry.get("code")), as_text(entry.get("type"))) for entry in entries if isinstance(entry, dict)]
    return {code: kind for code, kind in found if code}


def _subjects(project: dict[str, Any]) -> list[str]:
    """Return the subjects that the project names."""
    listed = project.get("subjects_conf") or {}
    entries = listed.values() if isinstance(listed, dict) else listed if isinstance(listed, list) else ()
    return [as_text(entry.get("name")) for entry in entries if isinstance(entry, dict)]


def _count(rows: list[Any], types: dict[str, str]) -> int:
    """Count a project's events on their own."""
    whole = [row for row in rows if _is_event(row)]
    statuses = (
        ((as_text(row[2]), as_text(row[1]), _modifiers(row)), "" if _is_state(as_text(row[2]), types) else POINT)
        for row in whole
    )
    return num_events(statuses) + len(rows) - len(whole)


def _is_event(row: Any) -> bool:
    if not isinstance(row, list) or len(row) < 3 or not as_text(row[2]):
        return False
    try:
        seconds(row[0])
    except DataError:
        return False
    return True


def _is_state(code: str, types: dict[str, str]) -> bool:
    return types.get(code, "").startswith(_STATE)  # or `State event with coding map`


def _modifiers(row: list[Any]) -> tuple[str, ...]:
    """Return the modifiers, one of each set; an unset one is `None` in BORIS, which keeps the others in place."""
    text = row[3] if len(row) > 3 and isinstance(row[3], str) else ""
    return tuple(modifier.strip() for modifier in text.split("|")) if text.strip() else ()


def _observation(
    name: str, raw: dict[str, Any], rows: list[Any], types: dict[str, str], options: ReadOptions, log: Log
) -> Observation:
    place = f"observation {name!r}"
    marks, lost = [], False
    for i, row in enumerate(rows, start=1):
        at = f"{place} event {i}"
        if not _is_event(row):
            shown = row[0] if isinstance(row, list) and row else row
            log.skip(at, f"{shown!r} is no event with a time in seconds and a behaviour; correct or delete it")
            lost = True
            continue
        code = as_text(row[2])
        comment = row[4].strip() if len(row) > 4 and isinstance(row[4], str) else ""
        status = "" if _is_state(code, types) else POINT
        marks.append(Mark(seconds(row[0]), code, as_text(row[1]), _modifiers(row), comment, at, status))
    for code in dict.fromkeys(mark.label for mark in marks if mark.label not in types):
        log.warn(place, f"{code!r} is not in the ethogram: read as a point event; add it there, with its type")
    marks.sort(key=lambda mark: (mark.time_s, mark.subject, mark.label))
    events, unknown = paired(marks, log.skip)
    if not rows and options.looked_at == "auto" and not _SAID.fullmatch(as_text(raw.get("description"))):
        log.warn(place, _WITHOUT)
    offset_s = _offset(raw.get("time offset"), place, log)
    players = _players(raw, offset_s, place, log)
    end_s = math.inf if players else max((mark.time_s for mark in marks), default=0.0)
    return Observation(
        name,
        tuple(events),
        players,
        offset_s,
        described(as_text(raw.get("description")), offset_s, _interval(raw, offset_s, end_s) if rows else None),
        tuple(unknown) if not lost else ((-math.inf, math.inf),),
    )


_SAID = re.compile(r"looked at: (.+)", re.DOTALL)


def description_of(recording: Recording) -> str:
    """Return what an observation's description says where it was not gone through from start to end."""
    if recording.looked_at == WHOLE:
        return ""
    return f"looked at: {looked_at_cell(recording.looked_at) or 'the bouts only'}"


def described(description: str, offset_s: float, otherwise: tuple[Span, ...] | None) -> tuple[Span, ...] | None:
    """Return what was gone through, in an observation's time: what `description_of` wrote, else what is given."""
    match = _SAID.fullmatch(description)
    if match is None:
        return otherwise
    try:
        spans = parse_looked_at(match[1])
    except DataError:  # the bouts only
        return None
    return tuple((rounded(start_s + offset_s), rounded(end_s + offset_s)) for start_s, end_s in spans)


def _offset(value: object, place: str, log: Log) -> float:
    if value in (None, ""):
        return 0.0
    try:
        return seconds(value)
    except DataError:
        log.warn(place, f"time offset {value!r} is no number of seconds; taken as 0")
        return 0.0


def _interval(raw: dict[str, Any], offset_s: float, all_end_s: float) -> tuple[Span, ...]:
    """Return the observation interval; `[0, 0]` stands for all, an end of 0 for that of all."""
    stated = raw.get("observation time interval")
    if isinstance(stated, list) and len(stated) == 2:
        start_s, end_s = (number(value) or 0.0 for value in stated)
        if end_s > start_s or start_s:
            return ((rounded(start_s + offset_s), rounded(end_s + offset_s) if end_s > start_s else all_end_s),)
    return ((-math.inf, all_end_s),)


def _players(raw: dict[str, Any], offset_s: float, place: str, log: Log) -> tuple[Player, ...]:
    """Return the players; none of a live observation."""
    if as_text(raw.get("type")) == "LIVE":
        return ()
    if as_text(raw.get("type")) == "IMAGES":
        log.warn(place, "is of pictures, not of a video: no video is known")
        return ()
    listed = raw.get("file") or {}
    if isinstance(listed, list):  # before version 1
        listed = {str(i): [name] for i, name in enumerate(listed, start=1)}
    about = _table(raw.get("media_info"))
    offsets = _table(about.get("offset")) or {"2": raw.get("time offset second player")}  # before version 7
    created = about.get("media_creation_time") if raw.get("media_creation_date_as_offset") else None
    players: list[Player] = []
    for key, names in sorted(_table(listed).items(), key=lambda item: (len(item[0]), item[0])):
        files = []
        for name in names if isinstance(names, list) else ():
            begins = number(_of_file(created, name))
            files.append(
                MediaFile(
                    str(name),
                    number(_of_file(about.get("length"), name)),
                    number(_of_file(about.get("fps"), name)),
                    None if begins is None else begins + offset_s,
                )
            )
        if files:
            of_player = _offset(offsets.get(key), f"{place} player {key}", log)
            players.append(Player(int(key) if key.isdecimal() else len(players) + 1, tuple(files), of_player))
    if not players:
        log.warn(place, "names no media file: no video is known; add it in BORIS")
    return tuple(players)


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _of_file(about: object, name: object) -> object:
    """Return what is said of a file, which may be named with other folders there."""
    table = _table(about)
    if str(name) in table:
        return table[str(name)]
    same = [value for key, value in table.items() if file_name(str(key)) == file_name(str(name))]
    return same[0] if len(same) == 1 else None


def write_boris_project(annotations: Annotations, path: Path) -> None:
    """Write a project with an observation for each recording.

    A behaviour with any bout that has a length is a state event. What was not gone through from start to end says so in
    its observation interval, or its description. Probabilities, splits, groups and regions are left out.

    Raises:
        DataError: If bouts of one behaviour, subject and modifiers overlap, which BORIS cannot hold.
        OSError: If the file cannot be written.
    """
    states = {bout.label for recording in annotations.recordings for bout in recording.bouts if not bout.is_point}
    subjects = dict.fromkeys(
        subject
        for recording in annotations.recordings
        for subject in (*(bout.subject for bout in recording.bouts), *recording.idle_subjects)
        if subject
    )
    observations: dict[str, Any] = {}
    for recording in annotations.recordings:
        name, count = recording.name, 2
        while name in observations:
            name, count = f"{recording.name} ({count})", count + 1
        observations[name] = _written(recording, states, path)
    project = {
        "time_format": "hh:mm:ss",
        "project_date": "",
        "project_name": annotations.name,
        "project_description": "",
        "project_format_version": "7.0",
        "subjects_conf": {
            str(i): {"key": "", "name": subject, "description": ""} for i, subject in enumerate(subjects)
        },
        "behaviors_conf": {
            str(i): {
                "type": _STATE if label in states else "Point event",
                "key": "",
                "code": label,
                "description": "",
                "category": "",
                "modifiers": {},
                "excluded": "",
                "coding map": "",
            }
            for i, label in enumerate(annotations.labels)
        },
        "observations": observations,
        "behavioral_categories": [],
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }
    write_json(path, project, indent=1)


def _written(recording: Recording, states: set[str], path: Path) -> dict[str, Any]:
    check_no_overlap(recording.bouts, f"{path}: {recording.name}")
    events: list[list[Any]] = []
    for bout in recording.bouts:
        modifiers = "|".join(bout.modifiers)
        start_s, end_s = (rounded(time_s + recording.offset_s) for time_s in (bout.start_s, bout.end_s))
        events.append([start_s, bout.subject, bout.label, modifiers, bout.comment])
        if bout.label in states:
            events.append([end_s, bout.subject, bout.label, modifiers, ""])
    spans = recording.looked_at or WHOLE
    start_s, end_s = spans[0] if len(spans) == 1 else WHOLE[0]
    description = "" if recording.bouts and recording.looked_at and len(spans) == 1 else description_of(recording)
    if not recording.bouts and recording.looked_at == WHOLE:
        description = "looked at: all"  # without events, nothing else tells it from one that nobody began
    observation: dict[str, Any] = {
        "file": {},
        "type": "LIVE",
        "date": "",
        "description": description,
        "time offset": recording.offset_s,
        "events": sorted(events, key=lambda event: event[:3]),
        "observation time interval": [start_s, end_s if math.isfinite(end_s) else 0],
        "independent_variables": {},
        "visualize_spectrogram": False,
        "visualize_waveform": False,
        "close_behaviors_between_videos": False,
        "scan_sampling_time": 0,
    }
    if recording.path is not None:
        file = recording.path.absolute().as_posix()
        info = MediaFinder(path).info(recording.path)
        duration_s = recording.duration_s or (info.duration_s if info else None)
        fps = recording.fps or (info.fps if info else None)
        observation |= {
            "type": "MEDIA",
            "file": {"1": [file]},
            "media_info": {
                "length": {} if duration_s is None else {file: duration_s},
                "fps": {} if fps is None else {file: fps},
                "hasVideo": {file: True},
                "hasAudio": {file: bool(info and info.has_audio)},
                "offset": {"1": 0.0},
            },
        }
    return observation


def check_no_overlap(bouts: Iterable[Bout], place: str) -> None:
    """Make sure that start and stop events can hold bouts.

    Raises:
        DataError: If two of one behaviour, subject and modifiers overlap.
    """
    last: dict[tuple[object, ...], Bout] = {}
    for bout in sorted(bouts, key=lambda bout: (bout.start_s, bout.end_s)):
        before = last.setdefault((bout.label, bout.subject, bout.modifiers), bout)
        if before is not bout and bout.start_s < before.end_s:
            raise DataError(
                f"{place}: two bouts of {bout.label!r} overlap at {bout.start_s:g} s, which start and stop events "
                "cannot hold; join them, or name their subjects"
            )
        last[bout.label, bout.subject, bout.modifiers] = bout
