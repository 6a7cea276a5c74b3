"""CVAT: tracks that come and go, behaviours as attributes, tags, several tasks in one file."""

from __future__ import annotations

import math

import pytest
from tests.annotations.conftest import ReadText

from lrcn.bouts import Bout

META = (
    "<meta><task><id>1</id><name>mice</name><size>100</size><start_frame>0</start_frame><stop_frame>99</stop_frame>"
    "<frame_filter></frame_filter><labels><label><name>mouse</name></label></labels><source>a.mp4</source></task></meta>"
)


def document(*tracks: str, meta: str = META, version: str = "1.1") -> str:
    head = f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>{version}</version>{meta}'
    return f"{head}{''.join(tracks)}</annotations>"


def track(number: int, *boxes: tuple[int, int, dict[str, str]], label: str = "mouse", more: str = "") -> str:
    shapes = "".join(
        f'<box frame="{frame}" outside="{outside}" keyframe="1" xtl="0" ytl="0" xbr="9" ybr="9">'
        + "".join(f'<attribute name="{name}">{value}</attribute>' for name, value in attributes.items())
        + "</box>"
        for frame, outside, attributes in boxes
    )
    return f'<track id="{number}" label="{label}" source="manual" {more}>{shapes}</track>'


def test_a_track_is_a_bout_wherever_it_is_not_outside(read_text: ReadText) -> None:
    first = track(0, (0, 0, {}), (10, 0, {}), (20, 1, {}), (50, 0, {"sex": "f"}))
    (one,) = (found := read_text("a.xml", document(first), fps=10)).recordings
    assert one.bouts == (Bout("mouse", 0.0, 2.0), Bout("mouse", 5.0, 10.0, modifiers=("sex=f",)))
    assert (one.name, one.path and one.path.name, one.looked_at) == ("mice", "a.mp4", ((0.0, 10.0),))
    assert found.num_events == 2


def test_an_action_attribute_holds_the_behaviour(read_text: ReadText) -> None:
    boxes = [
        (frame, 0, {"action": value, "where": "wall"})
        for frame, value in ((0, "__undefined__"), (5, "run"), (8, "run"), (10, "rest"), (30, "none"))
    ]
    (one,) = read_text("a.xml", document(track(3, *boxes)), fps=10).recordings
    assert one.bouts == (
        Bout("run", 0.5, 1.0, "mouse 3", ("where=wall",)),
        Bout("rest", 1.0, 3.0, "mouse 3", ("where=wall",)),
    )


def test_tags_of_images_are_joined(read_text: ReadText) -> None:
    images = "".join(f'<image id="{i}" name="f{i}"><tag label="run"/></image>' for i in (0, 1, 2, 7))
    (one,) = read_text("a.xml", document(images), fps=10).recordings
    assert one.bouts == (Bout("run", 0.0, 0.3), Bout("run", 0.7, 0.8))


def test_projects_hold_several_videos(read_text: ReadText) -> None:
    tasks = "".join(f"<task><id>{i}</id><name>t{i}</name><source>{i}.mp4</source></task>" for i in (4, 5))
    meta = f"<meta><project><id>1</id><tasks>{tasks}</tasks></project></meta>"
    tracks = [track(i, (0, 0, {}), (i, 1, {}), more=f'task_id="{i}"') for i in (4, 5, 6)]
    found = read_text("a.xml", document(*tracks, meta=meta), fps=1)
    assert [[bout.end_s for bout in one.bouts] for one in found.recordings] == [[4.0], [5.0]]
    assert [one.looked_at for one in found.recordings] == [((0.0, math.inf),)] * 2
    assert ["task '6'" in line.reason for line in found.skipped] == [True]


def test_every_fault_is_named(read_text: ReadText) -> None:
    broken = track(0, (0, 0, {}), (10, 1, {})).replace('frame="0"', 'frame="x"')
    found = read_text("a.xml", document(broken, track(1, (0, 0, {})), version="2.0"))
    assert len(found.skipped) == 2
    assert sum("--fps" in line.reason for line in found.skipped) == 1
    assert sum("version 2.0" in line for line in found.warnings) == 1
    assert found.recordings[0].looked_at is None


@pytest.mark.parametrize("digits", ["9" * 400, "9" * 5000])
@pytest.mark.parametrize("place", ["<start_frame>0<", "<stop_frame>99<", "<frame_filter><"])
def test_absurd_numbers_of_frames_say_nothing(read_text: ReadText, place: str, digits: str) -> None:
    number = f"step={digits}" if "filter" in place else digits
    meta = META.replace(place, f"{place.partition('>')[0]}>{number}<")
    assert number in meta
    images = '<image id="3" name="f3"><tag label="run"/></image>' + f'<image id="{digits}"><tag label="run"/></image>'
    (one,) = read_text("a.xml", document(images, meta=meta), fps=10).recordings
    assert one.bouts == (Bout("run", 0.3, 0.4),)
