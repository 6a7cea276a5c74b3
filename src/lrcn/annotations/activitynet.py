"""ActivityNet's JSON, release 1.2 and 1.3: the annotations (`database`) and the results of a detection (`results`).

Segments are in seconds. Videos are called like the entries, or `v_` and that. In the annotations, an entry that has any
counts as gone through from start to end; in results the score is the probability, and what was gone through is what
`looked_at` of their `external_data` says for each video, as our CSV does, or else nothing.

Written are results, as the evaluation of the challenge takes them; a bout without a probability has the score 1.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

from lrcn.annotations.bouts_csv import looked_at_cell, parse_looked_at
from lrcn.annotations.media import exists
from lrcn.annotations.reading import Log, ReadOptions, checked, in_order, looked_at, number
from lrcn.annotations.text_files import as_dict, as_list, as_text, head_of, looks_like_json, read_json
from lrcn.bouts import WHOLE, Annotations, Bout, Recording
from lrcn.errors import DataError
from lrcn.files import write_json

_SPLITS = {"training": "train", "train": "train", "validation": "val", "val": "val", "testing": "test", "test": "test"}


def detect_activitynet(path: Path) -> bool:
    """Whether a file is JSON with a `database` or `results`, and segments."""
    if not looks_like_json(path):
        return False
    head = head_of(path, 2**18)
    return bool(re.search(r'"(database|results)"\s*:\s*\{', head)) and not re.search(r'"behaviors_conf"', head)


def read_activitynet(path: Path, options: ReadOptions) -> Annotations:
    """Read all videos of a file.

    Raises:
        DataError: If it has neither annotations nor results.
    """
    content = as_dict(read_json(path), path.name)
    key = next((key for key in ("database", "results") if key in content), None)
    if key is None:
        raise DataError(f"{path}: has neither 'database' nor 'results', so it is none of ActivityNet's; name its JSON")
    log = Log(path.name)
    external = content.get("external_data")
    spans = external.get("looked_at") if isinstance(external, dict) else None
    recordings = []
    for name, entry in as_dict(content[key], f"{path.name} {key}").items():
        place = f"video {name!r}"
        try:
            about = as_dict(entry, f"{path.name} {place}") if key == "database" else {"annotations": entry}
            segments = as_list(about.get("annotations"), f"{path.name} {place} annotations")
        except DataError as exc:
            log.warnings.append(str(exc))
            continue
        if key == "results":
            about["looked_at"] = spans.get(name) if isinstance(spans, dict) else None
        recordings.append(_recording(name, about, segments, key == "results", options, log))
    return log.annotations(recordings)


def _recording(
    name: str, about: dict[str, Any], segments: list[Any], is_result: bool, options: ReadOptions, log: Log
) -> Recording:
    place = f"video {name!r}"
    video = options.media.find(f"v_{name}")
    if not exists(video):
        video = options.media.find(name, partial(log.warn, place))
    log.num_events += len(segments)
    bouts, before = [], len(log.skipped)
    for i, segment in enumerate(segments, start=1):
        try:
            bouts.append(_bout(segment))
        except DataError as exc:
            log.skip(f"{place} annotation {i}", str(exc))
    seen = None if is_result or not segments else WHOLE
    if is_result and as_text(about.get("looked_at")):
        try:
            seen = parse_looked_at(as_text(about["looked_at"]))
        except DataError as exc:
            log.warn(place, str(exc))
    lost = len(log.skipped) > before
    split = as_text(about.get("subset")).lower()
    if split and split not in _SPLITS:
        log.warn(place, f"unknown subset {split!r}; use training, validation or testing")
    return Recording(
        name,
        video,
        in_order(bouts),
        looked_at(seen, options.looked_at, unknown=WHOLE if lost else ()),
        duration_s=number(about.get("duration")),
        split=_SPLITS.get(split, ""),
    )


def _bout(segment: Any) -> Bout:
    entry = as_dict(segment, "an annotation")
    label, times = as_text(entry.get("label")), entry.get("segment")
    if not label:
        raise DataError("the label is empty; name the activity")
    if not isinstance(times, list) or len(times) != 2:
        raise DataError(f"the segment of {label!r} should be [start, end], and is {times!r}; correct it")
    start_s, end_s = checked(*times)
    score = entry.get("score")
    prob = float(score) if isinstance(score, (int, float)) and 0 <= score <= 1 else None
    return Bout(label, start_s, end_s, prob=prob)


def write_activitynet(annotations: Annotations, path: Path) -> None:
    """Write results of a detection; videos are named by their files, without suffix.

    Subjects, modifiers, comments, offsets, splits, groups and regions have no place in it.

    Raises:
        DataError: If two recordings are of one name.
        OSError: If the file cannot be written.
    """
    results: dict[str, list[dict[str, Any]]] = {}
    looked_at_of: dict[str, str] = {}
    for recording in annotations.recordings:
        name = recording.path.stem if recording.path is not None else recording.name
        if name in results:
            raise DataError(f"{path}: two recordings are called {name!r}, of which one would be lost; rename one")
        if recording.looked_at is not None:
            looked_at_of[name] = looked_at_cell(recording.looked_at)
        results[name] = [
            {
                "label": bout.label,
                "score": 1.0 if bout.prob is None else bout.prob,
                "segment": [bout.start_s, bout.end_s],
            }
            for bout in recording.bouts
        ]
    external: dict[str, Any] = {"looked_at": looked_at_of} if looked_at_of else {}
    write_json(path, {"version": "VERSION 1.3", "results": results, "external_data": external}, indent=1)
