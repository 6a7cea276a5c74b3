"""Label Studio's exports of video timelines, JSON and JSON-MIN, of versions 1.15 to 1.20 and later.

Read are regions of `TimelineLabels` (frames from 1, the last included) and regions in seconds, as of audio and time
series tracks. Each annotation of a task is a recording of its own and counts as gone through from start to end, for it
was submitted; a cancelled one is left out. Predictions are read where a task has no annotation; the task's `looked_at`
says what was gone through for them, as our CSV does, and without it nothing was. The frame rate is what the task's
`fps` says, else that of the video.

Written are tasks with predictions (pre-annotations), for this labelling configuration:

    <View>
      <TimelineLabels name="timeline" toName="video"><Label value="run"/>...</TimelineLabels>
      <Video name="video" value="$video" frameRate="$fps"/>
    </View>
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from lrcn.annotations.bouts_csv import looked_at_cell, parse_looked_at, relative
from lrcn.annotations.frames import NO_RATE, frame_span, frames_of, known_rate, rate_of, whole_number
from lrcn.annotations.media import exists, file_name
from lrcn.annotations.reading import Log, ReadOptions, checked, in_order, looked_at, number
from lrcn.annotations.text_files import as_dict, as_list, as_text, head_of, looks_like_json, read_json
from lrcn.bouts import WHOLE, Annotations, Bout, Recording
from lrcn.errors import DataError
from lrcn.files import write_json

_UPLOAD = re.compile(r"[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of an uploaded file."""
_NO_STRETCH = ("relation",)
"""Kinds of entries among the regions that are about regions."""

_OF_VIDEO = ("video", "video_url", "url", "audio", "media")


def detect_label_studio(path: Path) -> bool:
    """Whether a file is a JSON list that speaks of annotations, predictions or ranges."""
    if not looks_like_json(path) or not head_of(path).lstrip().startswith("["):
        return False
    return bool(re.search(r'"(timelinelabels|annotations|predictions|completions)"', head_of(path, 2**18)))


def read_label_studio(path: Path, options: ReadOptions) -> Annotations:
    """Read all tasks of an export.

    Raises:
        DataError: If it is no list of tasks.
    """
    tasks = as_list(read_json(path), f"{path.name} as an export of Label Studio")
    log = Log(path.name)
    recordings: list[Recording] = []
    for i, entry in enumerate(tasks, start=1):
        place = f"task {i}"
        try:
            task = as_dict(entry, f"{path.name} {place}")
            place = f"task {as_text(task.get('id')) or i}"
            for suffix, regions, from_person in _annotations(task, place, log):
                recordings.append(_recording(task, suffix, regions, from_person, place, options, log))
        except DataError as exc:
            log.warnings.append(str(exc))
    return log.annotations(recordings)


def _annotations(task: dict[str, Any], place: str, log: Log) -> Iterator[tuple[str, list[Any], bool]]:
    """Yield what tells annotations of a task apart, their regions, and whether a person made them."""
    if "data" not in task:  # JSON-MIN: one row an annotation, with the regions under the control's name
        regions = [
            {"type": "timelinelabels", "value": value}
            for values in task.values()
            if isinstance(values, list)
            for value in values
            if isinstance(value, dict) and ("ranges" in value or "start" in value)
        ]
        annotator = as_text(task.get("annotation_id"))
        yield (f" (annotation {annotator})" if annotator else ""), regions, True
        return
    made = as_list(task.get("annotations", task.get("completions")), place)
    made = [as_dict(one, f"{place} annotation") for one in made]
    whole = [one for one in made if not (one.get("was_cancelled") or one.get("skipped"))]
    for one in made:
        if one not in whole:
            log.warn(place, f"annotation {as_text(one.get('id'))} was cancelled, and is left out; submit it")
    for one in whole:
        suffix = f" (annotation {as_text(one.get('id'))})" if len(whole) > 1 else ""
        yield suffix, as_list(one.get("result"), f"{place} result"), True
    if not made:
        for one in as_list(task.get("predictions"), place)[-1:]:
            yield "", as_list(as_dict(one, f"{place} prediction").get("result"), f"{place} result"), False


def _recording(
    task: dict[str, Any],
    suffix: str,
    regions: list[Any],
    from_person: bool,
    place: str,
    options: ReadOptions,
    log: Log,
) -> Recording:
    about = task.get("data", task)
    about = about if isinstance(about, dict) else {}
    name = next((as_text(about[key]) for key in _OF_VIDEO if as_text(about.get(key))), "")
    name = name or next((value for value in about.values() if isinstance(value, str) and "." in value), "")
    if not name:
        log.warn(place, "names no video; its data should have an entry `video`")
    query = parse_qs(urlsplit(name).query).get("d", [""])[0]
    name = query or name.partition("?")[0]
    short = _UPLOAD.sub("", file_name(name), count=1)
    video = options.media.find(name)
    if not exists(video):  # uploads have another name than the video had
        video = options.media.find(name if short == file_name(name) else short, partial(log.warn, place))
    fps = rate_of(video, number(about.get("fps")), options)
    bouts: list[Bout] = []
    before = len(log.skipped)
    for i, entry in enumerate(regions, start=1):
        at = f"{place} region {i}"
        log.num_events += _count(entry)
        bouts += _bouts(entry, fps, not from_person, at, log)
    lost = len(log.skipped) > before
    seen = WHOLE if from_person else None
    if not from_person and as_text(about.get("looked_at")):
        try:
            seen = parse_looked_at(as_text(about["looked_at"]))
        except DataError as exc:
            log.warn(place, str(exc))
    return Recording(
        f"{short or place}{suffix}",
        video,
        in_order(bouts),
        looked_at(seen, options.looked_at, unknown=WHOLE if lost else ()),
        fps=options.media.rate(video, fps, partial(log.warn, place)),
    )


def _count(region: Any) -> int:
    """Count the bouts of a region on their own: its ranges times its labels, at least one."""
    value = region.get("value") if isinstance(region, dict) else None
    if not isinstance(value, dict):
        return 0 if isinstance(region, dict) and region.get("type") in _NO_STRETCH else 1
    labels = [one for key, one in value.items() if key.endswith("labels") and isinstance(one, list)]
    ranges = value.get("ranges")
    return max(1, sum(map(len, labels)) * (len(ranges) if isinstance(ranges, list) else 1))


def _bouts(region: Any, fps: float | None, predicted: bool, place: str, log: Log) -> Iterator[Bout]:
    """Yield the bouts of a region."""
    if isinstance(region, dict) and region.get("type") in _NO_STRETCH:
        return
    value = region.get("value") if isinstance(region, dict) else None
    if not isinstance(value, dict):
        log.skip(place, "has no value; delete it in Label Studio")
        return
    labels = [
        as_text(label)
        for key, found in value.items()
        if key.endswith("labels") and isinstance(found, list)
        for label in found
    ]
    counted = _count(region)
    ranges = value.get("ranges")
    spans = ranges if isinstance(ranges, list) else [value] if "start" in value and "end" in value else []
    if not labels or not spans:
        what = as_text(region.get("type")) or "no known type"
        for _ in range(counted):
            log.skip(place, f"is of {what}, without a label and a stretch of time; label it on the timeline")
        return
    note = region.get("meta", {}).get("text", "") if isinstance(region.get("meta"), dict) else ""
    comment = " ".join(map(as_text, note)) if isinstance(note, list) else as_text(note)
    score = region.get("score")
    prob = float(score) if predicted and isinstance(score, (int, float)) and 0 <= score <= 1 else None
    for span in spans:
        for label in labels:
            try:
                if not label:
                    raise DataError("the label is empty; name the behaviour")
                start_s, end_s = _times(span, isinstance(ranges, list), fps)
            except DataError as exc:
                log.skip(place, f"{label!r}: {exc}")
                continue
            yield Bout(label, start_s, end_s, comment=comment, prob=prob)


def _times(span: Any, in_frames: bool, fps: float | None) -> tuple[float, float]:
    if not isinstance(span, dict):
        raise DataError(f"{span!r} is no range with start and end")
    if not in_frames:
        return checked(span.get("start"), span.get("end"))
    first, last = whole_number(span.get("start")), whole_number(span.get("end"))
    if last < first:
        raise DataError(f"ends at frame {last}, before its start at frame {first}; correct one of them")
    if fps is None:
        raise DataError(NO_RATE)
    return frame_span(max(first, 1) - 1, max(last, 1) - 1, fps)


def write_label_studio(annotations: Annotations, path: Path) -> None:
    """Write a task with a prediction for each recording; times become frames, a point event one frame.

    Subjects and modifiers, offsets, splits, groups and regions have no place in it.

    Raises:
        DataError: If a frame rate is not known.
        OSError: If the file cannot be written.
    """
    write_json(path, [_task(recording, path) for recording in annotations.recordings], indent=1)


def _task(recording: Recording, path: Path) -> dict[str, Any]:
    fps = known_rate(recording, path)
    regions = []
    for i, bout in enumerate(recording.bouts):
        first, last = frames_of(bout.start_s, bout.end_s, fps)
        region: dict[str, Any] = {
            "id": f"bout{i}",
            "from_name": "timeline",
            "to_name": "video",
            "type": "timelinelabels",
            "value": {"ranges": [{"start": first + 1, "end": last + 1}], "timelinelabels": [bout.label]},
        }
        if bout.prob is not None:
            region["score"] = bout.prob
        if bout.comment:
            region["meta"] = {"text": [bout.comment]}
        regions.append(region)
    probs = [bout.prob for bout in recording.bouts if bout.prob is not None]
    prediction: dict[str, Any] = {"model_version": "lrcn", "result": regions}
    if probs:
        prediction["score"] = sum(probs) / len(probs)
    video = relative(recording.path, path.parent) or recording.name
    about = {"video": video, "fps": fps}
    if recording.looked_at is not None:
        about["looked_at"] = looked_at_cell(recording.looked_at)
    return {"data": about, "predictions": [prediction]}
