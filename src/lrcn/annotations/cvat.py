"""CVAT's XML, version 1.1 (CVAT 1 to 2), of tasks, jobs and projects: "CVAT for video", and tags of "CVAT for images".

A track is a bout wherever it is not `outside`: the label is the track's. Where shapes have an attribute called action,
activity, behaviour or event, its value is the label, a bout lasts as long as the value, and the subject is the track,
`mouse 3`. Other attributes are modifiers, as `name=value`, as they are at the bout's start. Of images, a bout is a run
of frames with a shape or tag of a label. Frames are those of the source video; its rate comes from the video, or the
user. The frames of a task count as gone through.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from xml.etree.ElementTree import Element

from lrcn.annotations.frames import NO_RATE, frame_span, rate_of, whole_number
from lrcn.annotations.reading import Log, ReadOptions, in_order, looked_at, number
from lrcn.annotations.xml_files import XMLFile, read_xml, root_tag, text_of
from lrcn.bouts import WHOLE, Annotations, Bout, Recording, Span
from lrcn.errors import DataError

_ACTION = re.compile(r"action|activity|behavior|behaviour|event", re.IGNORECASE)
_NOTHING = ("", "__undefined__", "none", "false", "no", "nothing")


def detect_cvat(path: Path) -> bool:
    """Whether a file is XML of annotations."""
    return root_tag(path) == "annotations"


@dataclass(frozen=True)
class _Task:
    """A video of the file."""

    name: str
    source: str
    first: int
    last: int | None
    """In frames of the source; None where it is not said."""
    step: int
    fps: float | None


@dataclass(frozen=True)
class _Stretch:
    """Frames with one label, the last included."""

    label: str
    subject: str
    modifiers: tuple[str, ...]
    first: int
    last: int


def read_cvat(path: Path, options: ReadOptions) -> Annotations:
    """Read a file.

    Raises:
        DataError: If it is no annotations of CVAT, or of a version other than 1.
    """
    document = read_xml(path)
    version = text_of(document.root, "version")
    if document.root.tag != "annotations":
        raise DataError(f"{path}: is <{document.root.tag}>, and <annotations> was expected; name an XML file of CVAT")
    log = Log(path.name)
    if version and not version.startswith("1."):
        log.warn("", f"is of version {version} of CVAT's XML, newer than 1.1; check a few bouts, or update lrcn")
    tasks = _tasks(document.root, path)
    labels = [text_of(label, "name") for label in document.root.findall("meta//label")]
    recordings = []
    for i, (task_id, task) in enumerate(tasks.items()):
        elements = [
            element
            for element in document.root
            if element.tag in ("track", "image") and (element.get("task_id", "") == task_id or len(tasks) == 1)
        ]
        orphans = [one for one in document.root.iter("track") if one.get("task_id", task_id) not in tasks and not i]
        for element in orphans:
            log.num_events += 1
            log.skip(
                document.place(element), f"is of task {element.get('task_id')!r}, which the file does not describe"
            )
        recordings.append(_recording(task, elements, document, options, log))
    return log.annotations(
        recordings, [label for label in labels if label] if not _has_actions(document.root) else None
    )


def _has_actions(root: Element) -> bool:
    return any(_ACTION.fullmatch(one.get("name", "")) for one in root.iter("attribute"))


def _tasks(root: Element, path: Path) -> dict[str, _Task]:
    """Return the videos by their ids; one without any where nothing is described."""
    found = {}
    for one in (*root.findall("meta/task"), *root.findall("meta/job"), *root.findall("meta/project/tasks/task")):
        step = re.search(r"step\s*=\s*(\d{1,11})(?!\d)", text_of(one, "frame_filter"))
        source = text_of(one, "source") or text_of(root.find("meta"), "source") or text_of(one, "name")
        found[text_of(one, "id")] = _Task(
            text_of(one, "name") or source or path.stem,
            source,
            _frame(text_of(one, "start_frame")) or 0,
            _frame(text_of(one, "stop_frame")),
            max(1, int(step[1])) if step else 1,
            number(text_of(one, "fps")),
        )
    return found or {"": _Task(path.stem, path.stem, 0, None, 1, None)}


def _frame(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None


def _recording(
    task: _Task, elements: Sequence[Element], document: XMLFile, options: ReadOptions, log: Log
) -> Recording:
    video = options.media.find(task.source, partial(log.warn, f"task {task.name!r}"))
    fps = rate_of(video, task.fps, options)
    bouts: list[Bout] = []
    before = len(log.skipped)
    stretches: list[tuple[str, _Stretch]] = []
    for track in (element for element in elements if element.tag == "track"):
        place = document.place(track)
        shapes = _shapes(track, place, log)
        log.num_events += _count(track, shapes)
        stretches += [(place, found) for found in _track(track, shapes, task)]
    images = [element for element in elements if element.tag == "image"]
    in_images = [(f"frame {found.first}", found) for found in _images(images, task)]
    log.num_events += len(in_images)
    lost = len(log.skipped) > before
    for place, found in stretches + in_images:
        if fps is None:
            log.skip(place, f"{found.label!r} {NO_RATE}")
            continue
        start_s, end_s = frame_span(found.first, found.last, fps)
        bouts.append(Bout(found.label, start_s, end_s, found.subject, found.modifiers))
    seen: tuple[Span, ...] = WHOLE
    if fps is not None and task.last is not None:
        seen = (frame_span(task.first, task.last, fps),)
    return Recording(
        task.name,
        video,
        in_order(bouts),
        looked_at(seen, options.looked_at, unknown=WHOLE if lost or fps is None else ()),
        fps=fps,
    )


def _shapes(track: Element, place: str, log: Log) -> list[tuple[int, Element]]:
    """Return the shapes of a track in the order of their frames."""
    shapes: list[tuple[int, Element]] = []
    for shape in track:
        if shape.get("frame") is None:
            continue
        try:
            shapes.append((whole_number(shape.get("frame")), shape))
        except DataError as exc:
            log.num_events += 1
            log.skip(place, f"a shape of track {track.get('id')}: {exc}")
    return sorted(shapes, key=lambda pair: pair[0])


def _count(track: Element, shapes: Sequence[tuple[int, Element]]) -> int:
    """Count how often something begins to be shown."""
    shown = [_shown(track, shape) for _, shape in shapes]
    labels = [None if one is None else one[0] for one in shown]
    return sum(after is not None and after != before for before, after in itertools.pairwise([None, *labels]))


def _track(track: Element, shapes: Sequence[tuple[int, Element]], task: _Task) -> Iterator[_Stretch]:
    """Yield the stretches in which a track shows one thing; a shape holds until the next one."""
    shown: _Stretch | None = None
    for frame, shape in shapes:
        now = _shown(track, shape)
        if shown is not None and now is not None and shown.label == now[0]:
            continue
        if shown is not None:
            yield replace(shown, last=frame - 1)
        shown = None if now is None else _Stretch(*now, frame, frame)
    if shown is not None:
        last = shapes[-1][0] if task.last is None else task.last
        yield replace(shown, last=max(last, shown.first))


def _shown(track: Element, shape: Element) -> tuple[str, str, tuple[str, ...]] | None:
    """Return label, subject and modifiers of a shape; None where nothing is shown."""
    if shape.get("outside") == "1":
        return None
    attributes = {one.get("name", ""): (one.text or "").strip() for one in shape.iter("attribute")}
    label, subject = track.get("label", ""), ""
    actions = [name for name in attributes if _ACTION.fullmatch(name)]
    if actions:
        value = attributes.pop(actions[0])
        if value.lower() in _NOTHING:
            return None
        label, subject = (actions[0] if value.lower() == "true" else value), f"{label} {track.get('id', '')}".strip()
    return label, subject, tuple(f"{name}={value}" for name, value in attributes.items() if value)


def _images(images: Sequence[Element], task: _Task) -> Iterator[_Stretch]:
    """Yield runs of frames that have a tag or shape of one label; frames are counted in steps of the task."""
    frames: dict[str, set[int]] = defaultdict(set)
    for image in images:
        frame = _frame(image.get("id", ""))
        for one in image:
            if one.get("label") and frame is not None:
                frames[one.get("label", "")].add(frame)
    for label, numbers in frames.items():
        for first in sorted(numbers):
            if first - task.step in numbers:
                continue
            last = first
            while last + task.step in numbers:
                last += task.step
            yield _Stretch(label, "", (), first, last + task.step - 1)
