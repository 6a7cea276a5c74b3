"""ELAN's annotation files (`.eaf`), EAF schema 2.0 to 3.0, as ELAN 4 to 7 writes them.

Read are annotations with times, of all tiers: the value is the label, the tier's participant the subject, without one
the tier's name (but for `default`). An annotation without value is labelled as its tier is called. Annotations that
refer to others are their modifiers, or their comment in a tier called `comment@...`. Slots without a time lie evenly
between those that have one, as in ELAN. Each linked video becomes a recording, shifted by its time origin. The property
`looked_at` of the header says what was gone through, as our CSV does; without it only the bouts are known. Participants
of tiers without annotations were watched, too.

Written is a tier for each subject, and more where bouts overlap; modifiers and comments in tiers that refer to it, the
behaviours as a controlled vocabulary. Times are the video's, in whole milliseconds; a point event is one long.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from lrcn.annotations.bouts_csv import joined_modifiers, looked_at_cell, parse_looked_at, relative, split_modifiers
from lrcn.annotations.observations import MediaFile, Observation, Observed, Player, recordings_of
from lrcn.annotations.one_a_recording import write_one_a_recording
from lrcn.annotations.reading import Log, ReadOptions, seconds
from lrcn.annotations.xml_files import XMLFile, read_xml, root_tag
from lrcn.bouts import WHOLE, Annotations, Bout, Recording, Span
from lrcn.errors import DataError

_ROOT = "ANNOTATION_DOCUMENT"
_UNITS = {"milliseconds": 0.001, "PAL-frames": 1 / 25, "NTSC-frames": 1001 / 30000}
_NO_SUBJECT = re.compile(r"default(-\d+)?", re.IGNORECASE)
_LOOKED_AT = "looked_at"
_COMMENTS, _MODIFIERS = "comment@", "modifiers@"
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold."""


def detect_elan(path: Path) -> bool:
    """Whether a file is called `.eaf`, or is such a document."""
    return path.suffix.lower() == ".eaf" or root_tag(path) == _ROOT


def read_elan(path: Path, options: ReadOptions) -> Annotations:
    """Read a file; its recording is called like the file.

    Raises:
        DataError: If it is no such document.
    """
    document = read_xml(path)
    if document.root.tag != _ROOT:
        raise DataError(f"{path}: is <{document.root.tag}>, and <{_ROOT}> was expected; name an .eaf file")
    log = Log(path.name)
    log.num_events = len(document.root.findall("TIER/ANNOTATION/ALIGNABLE_ANNOTATION"))
    notes = _notes(document, log)
    events: list[Observed] = []
    for tier in document.root.findall("TIER"):
        events += _events(tier, document, notes, log)
    header = document.root.find("HEADER")
    observation = Observation(
        path.stem,
        tuple(events),
        _players(header, log),
        looked_at=_looked_at(header, log),
        unknown=WHOLE if log.skipped else (),
    )
    participants = [tier.get("PARTICIPANT", "").strip() for tier in document.root.findall("TIER")]
    recordings = [recording.watching(participants) for recording in recordings_of(observation, options, log)]
    return log.annotations(recordings, _vocabulary(document.root))


def _looked_at(header: Element | None, log: Log) -> tuple[Span, ...] | None:
    for one in [] if header is None else header.findall("PROPERTY"):
        if one.get("NAME") == _LOOKED_AT and (one.text or "").strip():
            try:
                return parse_looked_at(one.text or "")
            except DataError as exc:
                log.warn(f"property {_LOOKED_AT}", str(exc))
    return None


def _players(header: Element | None, log: Log) -> tuple[Player, ...]:
    media = [] if header is None else header.findall("MEDIA_DESCRIPTOR")
    videos = [one for one in media if not one.get("MIME_TYPE", "").startswith("audio")]
    if not videos:
        log.warn("", "links no video, so none is known; link it in ELAN")
    players = []
    for i, one in enumerate(videos, start=1):
        try:
            origin_s = seconds(one.get("TIME_ORIGIN", "0")) / 1000
        except DataError as exc:
            log.warn("TIME_ORIGIN", f"{exc}; taken as 0")
            origin_s = 0.0
        name = one.get("RELATIVE_MEDIA_URL") or one.get("MEDIA_URL") or ""
        players.append(Player(i, (MediaFile(name),), -origin_s))
    return tuple(players)


def _events(tier: Element, document: XMLFile, notes: dict[str, _Notes], log: Log) -> list[Observed]:
    name = tier.get("TIER_ID", "")
    own_name = "" if _NO_SUBJECT.fullmatch(name) else name
    participant = tier.get("PARTICIPANT", "").strip()
    times = _times(tier, document)
    events = []
    for element in tier.findall("ANNOTATION/ALIGNABLE_ANNOTATION"):
        place = f"{document.place(element)} tier {name!r}"
        slots = [element.get(f"TIME_SLOT_REF{i}", "") for i in (1, 2)]
        value = (element.findtext("ANNOTATION_VALUE") or "").strip()
        if missing := [slot for slot in slots if slot not in times]:
            log.skip(place, f"{value!r}: time slot {missing[0]!r} has no time; give it one in ELAN")
            continue
        start_s, end_s = (times[slot] for slot in slots)
        if end_s < start_s or start_s < 0:
            log.skip(place, f"{value!r} lies from {start_s:g} to {end_s:g} s; correct its times in ELAN")
            continue
        label, subject = (value, participant or own_name) if value else (own_name, participant)
        if not label:
            log.skip(place, "has neither a value nor a tier with a name; name the behaviour")
            continue
        note = notes.get(element.get("ANNOTATION_ID", ""), _Notes())
        bout = Bout(label, start_s, end_s, subject, tuple(note.modifiers), "; ".join(note.comments))
        events.append(Observed(bout, place))
    return events


def _times(tier: Element, document: XMLFile) -> dict[str, float]:
    """Return the times of a tier's slots, those that are left open spread evenly between their neighbours."""
    header = document.root.find("HEADER")
    unit_s = _UNITS.get("milliseconds" if header is None else header.get("TIME_UNITS", "milliseconds"), 0.001)
    known: dict[str, float] = {}
    left_open: set[str] = set()
    for one in document.root.findall("TIME_ORDER/TIME_SLOT"):
        try:
            known[one.get("TIME_SLOT_ID", "")] = round(seconds(one.get("TIME_VALUE", "")) * unit_s, 6)
        except DataError:
            left_open.add(one.get("TIME_SLOT_ID", ""))
    order: list[str] = []
    for element in tier.findall("ANNOTATION/ALIGNABLE_ANNOTATION"):
        for i in (1, 2):
            slot = element.get(f"TIME_SLOT_REF{i}", "")
            if slot in known or slot in left_open:
                order += [slot] if order[-1:] != [slot] else []
    found = {slot: known[slot] for slot in order if slot in known}
    before = -1
    for place, slot in enumerate(order):
        if slot not in known:
            continue
        if 0 <= before < place - 1:
            step_s = (known[slot] - known[order[before]]) / (place - before)
            for i in range(before + 1, place):
                found.setdefault(order[i], round(known[order[before]] + step_s * (i - before), 6))
        before = place
    return found


class _Notes:
    """What refers to an annotation."""

    def __init__(self) -> None:
        self.modifiers: list[str] = []
        self.comments: list[str] = []


def _notes(document: XMLFile, log: Log) -> dict[str, _Notes]:
    """Return what refers to each annotation that has times; a note without one is skipped."""
    refers: dict[str, str] = {}
    for element in document.root.iter("REF_ANNOTATION"):
        refers[element.get("ANNOTATION_ID", "")] = element.get("ANNOTATION_REF", "")
    timed = {element.get("ANNOTATION_ID", "") for element in document.root.iter("ALIGNABLE_ANNOTATION")}
    notes: dict[str, _Notes] = defaultdict(_Notes)
    for tier in document.root.findall("TIER"):
        name = tier.get("TIER_ID", "")
        for element in tier.findall("ANNOTATION/REF_ANNOTATION"):
            value = (element.findtext("ANNOTATION_VALUE") or "").strip()
            target, steps = element.get("ANNOTATION_REF", ""), 0
            while target in refers and steps < len(refers):  # a note on a note
                target, steps = refers[target], steps + 1
            if target not in timed:
                log.num_events += 1
                log.skip(
                    f"{document.place(element)} tier {name!r}",
                    f"{value!r} refers to {target!r}, which has no times; give it a parent in ELAN",
                )
            elif name.startswith(_COMMENTS):
                notes[target].comments.append(value)
            elif value:
                notes[target].modifiers += split_modifiers(value) if name.startswith(_MODIFIERS) else [value]
    return notes


def _vocabulary(root: Element) -> list[str]:
    """Return the behaviours in the controlled vocabularies of tiers with times."""
    types = {
        tier.get("LINGUISTIC_TYPE_REF")
        for tier in root.findall("TIER")
        if tier.find("ANNOTATION/REF_ANNOTATION") is None
    }
    used = {
        one.get("CONTROLLED_VOCABULARY_REF")
        for one in root.findall("LINGUISTIC_TYPE")
        if one.get("LINGUISTIC_TYPE_ID") in types
    }
    values = [
        (entry.text or "").strip()
        for one in root.findall("CONTROLLED_VOCABULARY")
        if one.get("CV_ID") in used
        for entry in (*one.iter("CV_ENTRY"), *one.iter("CVE_VALUE"))  # to schema 2.7, since 2.8
    ]
    return [value for value in values if value]


def write_elan(annotations: Annotations, path: Path) -> None:
    """Write a file a recording.

    Probabilities, offsets, splits, groups and regions have no place in it.

    Raises:
        ConfigError: If one file would have to hold several recordings.
        OSError: If a file cannot be written.
    """
    write_one_a_recording(annotations, path, ".eaf", lambda one, folder: _document(one, annotations.labels, folder))


def _document(recording: Recording, labels: tuple[str, ...], folder: Path) -> str:
    root = Element(
        _ROOT,
        {
            "AUTHOR": "lrcn",
            "DATE": "1970-01-01T00:00:00+00:00",
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
        },
    )
    header = SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    if recording.path is not None:
        media = {
            "MEDIA_URL": recording.path.absolute().as_uri(),
            "MIME_TYPE": "video/mp4" if recording.path.suffix.lower() == ".mp4" else "video/*",
            "RELATIVE_MEDIA_URL": f"./{relative(recording.path, folder)}",
        }
        SubElement(header, "MEDIA_DESCRIPTOR", media)
    if recording.looked_at is not None:
        SubElement(header, "PROPERTY", {"NAME": _LOOKED_AT}).text = looked_at_cell(recording.looked_at)
    order = SubElement(root, "TIME_ORDER")
    ids = iter(range(1, 10**9))
    taken: set[str] = set()
    for subject, bouts in _tiers(recording):
        _write_tier(root, order, _tier_name(subject, taken), subject, bouts, ids)
    for subject in recording.idle_subjects:
        _write_tier(root, order, _tier_name(subject, taken), subject, [], ids)
    kinds = (("bouts", "true", ""), ("notes", "false", "Symbolic_Association"))
    for name, alignable, constraint in kinds:
        kind = {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": name, "TIME_ALIGNABLE": alignable}
        kind |= {"CONSTRAINTS": constraint} if constraint else {"CONTROLLED_VOCABULARY_REF": "behaviours"}
        SubElement(root, "LINGUISTIC_TYPE", kind)
    SubElement(root, "LANGUAGE", {"LANG_ID": "und", "LANG_LABEL": "undetermined (und)"})
    said = {"DESCRIPTION": "1-1 association with a parent annotation", "STEREOTYPE": "Symbolic_Association"}
    SubElement(root, "CONSTRAINT", said)
    vocabulary = SubElement(root, "CONTROLLED_VOCABULARY", {"CV_ID": "behaviours"})
    SubElement(vocabulary, "DESCRIPTION", {"LANG_REF": "und"})
    for i, label in enumerate(labels):
        entry = SubElement(vocabulary, "CV_ENTRY_ML", {"CVE_ID": f"cveid{i}"})
        SubElement(entry, "CVE_VALUE", {"DESCRIPTION": "", "LANG_REF": "und"}).text = _legal(label)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _milliseconds(bout: Bout) -> tuple[int, int]:
    start = round(1000 * bout.start_s)
    return start, max(start + 1, round(1000 * bout.end_s))


def _tiers(recording: Recording) -> list[tuple[str, list[Bout]]]:
    """Return subjects and bouts that do not overlap, as ELAN's tiers hold them."""
    tiers: list[tuple[str, list[Bout]]] = []
    for bout in recording.bouts:
        start, _ = _milliseconds(bout)
        for subject, bouts in tiers:
            if subject == bout.subject and _milliseconds(bouts[-1])[1] <= start:
                bouts.append(bout)
                break
        else:
            tiers.append((bout.subject, [bout]))
    return tiers


def _tier_name(subject: str, taken: set[str]) -> str:
    first = _legal(subject) or "default"
    name, count = first, 2
    while name in taken:
        name, count = f"{first}-{count}", count + 1
    taken.add(name)
    return name


def _write_tier(root: Element, order: Element, name: str, subject: str, bouts: list[Bout], ids: Iterator[int]) -> None:
    attributes = {"LINGUISTIC_TYPE_REF": "bouts", "TIER_ID": name}
    tier = SubElement(root, "TIER", attributes | ({"PARTICIPANT": _legal(subject)} if subject else {}))
    notes: dict[str, list[tuple[str, str]]] = {_MODIFIERS: [], _COMMENTS: []}
    for bout in bouts:
        number = next(ids)
        slots = []
        for i, time in enumerate(_milliseconds(bout)):
            slots.append(f"ts{2 * number + i}")
            SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": slots[-1], "TIME_VALUE": str(time)})
        annotation = SubElement(
            SubElement(tier, "ANNOTATION"),
            "ALIGNABLE_ANNOTATION",
            {"ANNOTATION_ID": f"a{number}", "TIME_SLOT_REF1": slots[0], "TIME_SLOT_REF2": slots[1]},
        )
        SubElement(annotation, "ANNOTATION_VALUE").text = _legal(bout.label)
        for kind, text in ((_MODIFIERS, joined_modifiers(bout.modifiers)), (_COMMENTS, bout.comment)):
            if text:
                notes[kind].append((f"a{number}", text))
    for kind, texts in notes.items():
        if not texts:
            continue
        below = SubElement(
            root, "TIER", {"LINGUISTIC_TYPE_REF": "notes", "PARENT_REF": name, "TIER_ID": f"{kind}{name}"}
        )
        for target, text in texts:
            reference = {"ANNOTATION_ID": f"a{next(ids)}", "ANNOTATION_REF": target}
            element = SubElement(SubElement(below, "ANNOTATION"), "REF_ANNOTATION", reference)
            SubElement(element, "ANNOTATION_VALUE").text = _legal(text)


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text)
