"""FiftyOne's temporal detections: the `labels.json` of a `FiftyOneTemporalDetectionDataset`, of FiftyOne 0.15 to 1.

Read are `timestamps` in seconds and `support` in frames, from 1 and the last included; the rate comes from the video,
or the user. A label may be a number in `classes`. Confidence is the probability, attributes are modifiers as
`name=value`. Videos are called like the entries, or as `data.json` beside the file says. Nothing says that a video was
gone through: only the bouts are known.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

from lrcn.annotations.frames import NO_RATE, frame_span, rate_of, whole_number
from lrcn.annotations.reading import Log, ReadOptions, checked, in_order, looked_at
from lrcn.annotations.text_files import as_dict, as_list, as_text, head_of, looks_like_json, read_json
from lrcn.bouts import WHOLE, Annotations, Bout, Recording
from lrcn.errors import DataError


def detect_fiftyone(path: Path) -> bool:
    """Whether a file is JSON with `labels` that have a support or timestamps."""
    if not looks_like_json(path):
        return False
    head = head_of(path, 2**18)
    return '"labels"' in head and bool(re.search(r'"(support|timestamps)"', head))


def read_fiftyone(path: Path, options: ReadOptions) -> Annotations:
    """Read all videos of a file.

    Raises:
        DataError: If it has no labels.
    """
    content = as_dict(read_json(path), path.name)
    if "labels" not in content:
        raise DataError(f"{path}: has no entry 'labels', so it is none of FiftyOne's; name its labels.json")
    log = Log(path.name)
    classes = [as_text(label) for label in as_list(content.get("classes"), f"{path.name} classes")]
    manifest = path.with_name("data.json")
    places = as_dict(read_json(manifest), manifest.name) if manifest.is_file() and manifest != path else {}
    recordings = []
    for name, entry in as_dict(content["labels"], f"{path.name} labels").items():
        place = f"video {name!r}"
        try:
            detections = as_list(entry, f"{path.name} {place}")
        except DataError as exc:
            log.warnings.append(str(exc))
            continue
        video = options.media.find(as_text(places.get(name)) or name, partial(log.warn, place))
        fps = rate_of(video, None, options)
        log.num_events += len(detections)
        bouts, before = [], len(log.skipped)
        for i, detection in enumerate(detections, start=1):
            try:
                bouts.append(_bout(detection, classes, fps))
            except DataError as exc:
                log.skip(f"{place} detection {i}", str(exc))
        lost = len(log.skipped) > before
        seen = looked_at(None, options.looked_at, unknown=WHOLE if lost else ())
        recordings.append(Recording(name, video, in_order(bouts), seen, fps=fps))
    return log.annotations(recordings, classes)


def _bout(detection: Any, classes: list[str], fps: float | None) -> Bout:
    entry = as_dict(detection, "a detection")
    label = entry.get("label")
    if isinstance(label, int) and not isinstance(label, bool):
        if not 0 <= label < len(classes):
            raise DataError(f"label {label} is no number of one of the {len(classes)} classes; correct it")
        label = classes[label]
    name = as_text(label)
    if not name:
        raise DataError("the label is empty; name the behaviour")
    if "timestamps" in entry:
        start_s, end_s = checked(*_two(entry["timestamps"], "timestamps"))
    else:
        first, last = map(whole_number, _two(entry.get("support"), "support"))
        if last < first:
            raise DataError(f"{name!r} ends at frame {last}, before its start at frame {first}; correct one of them")
        if fps is None:
            raise DataError(f"{name!r} {NO_RATE}")
        start_s, end_s = frame_span(max(first, 1) - 1, max(last, 1) - 1, fps)
    score = entry.get("confidence")
    prob = float(score) if isinstance(score, (int, float)) and 0 <= score <= 1 else None
    attributes = entry.get("attributes") if isinstance(entry.get("attributes"), dict) else {}
    assert isinstance(attributes, dict)
    modifiers = tuple(f"{key}={as_text(value)}" for key, value in attributes.items())
    return Bout(name, start_s, end_s, modifiers=modifiers, prob=prob)


def _two(value: object, what: str) -> tuple[object, object]:
    if not isinstance(value, list) or len(value) != 2:
        raise DataError(f"{what} should be [first, last], and is {value!r}; correct it")
    return value[0], value[1]
