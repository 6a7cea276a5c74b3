"""BORIS projects: pairing as BORIS does it, queues and players in their files' times, nothing lost in silence."""

from __future__ import annotations

import gzip
import json
import math
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.annotations.conftest import REAL, ReadText, real
from tests.annotations.strategies import bouts, looked_at_spans, recordings, words

from lrcn.annotations.formats import read_annotations, write_annotations
from lrcn.bouts import WHOLE, Annotations, Bout
from lrcn.errors import DataError

ETHOGRAM = {
    "0": {"type": "State event", "code": "run"},
    "1": {"type": "Point event", "code": "jump"},
    "2": {"type": "State event with coding map", "code": "rest"},
}


def project(version: str = "7.0", **observations: dict[str, Any]) -> str:
    return json.dumps({"project_format_version": version, "behaviors_conf": ETHOGRAM, "observations": observations})


def observed(events: list[Any], files: dict[str, list[str]] | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "MEDIA", "file": files or {"1": ["a.mp4"]}, "events": events, "time offset": 0.0, **more}


def spans(found: Annotations) -> list[list[tuple[str, float, float]]]:
    return [[(bout.label, bout.start_s, bout.end_s) for bout in one.bouts] for one in found.recordings]


def test_states_are_paired_within_subject_and_modifiers(read_text: ReadText) -> None:
    events = [
        [9.0, "m", "run", "", "stops late"],
        [1.0, "m", "run", "", "starts"],
        [2.0, "f", "run", "", ""],
        [3.0, "m", "run", "fast|None", ""],
        [4.0, "f", "jump", "", "", 120],
        [5.0, "m", "run", "fast|None", ""],
        [6.0, "f", "run", "", ""],
    ]
    (recording,) = read_text("a.boris", project(one=observed(events))).recordings
    assert recording.bouts == (
        Bout("run", 1.0, 9.0, "m", comment="starts; stops late"),
        Bout("run", 2.0, 6.0, "f"),
        Bout("run", 3.0, 5.0, "m", ("fast", "None")),
        Bout("jump", 4.0, 4.0, "f"),
    )
    assert recording.looked_at == WHOLE


def test_subjects_of_the_project_were_watched_where_several_are_at_once(read_text: ReadText) -> None:
    named = {str(n): {"name": name} for n, name in enumerate(("m", "f", "pup"))}
    alone = [[1.0, "m", "jump", "", ""]]
    for second, idle in ((alone, [(), ()]), ([*alone, [2.0, "f", "jump", "", ""]], [("f", "pup"), ("pup",)])):
        text = json.loads(project(one=observed(alone), two=observed(second)))
        found = read_text("a.boris", json.dumps({**text, "subjects_conf": named}))
        assert [recording.idle_subjects for recording in found.recordings] == idle


def test_a_queue_is_cut_at_the_borders_of_its_files(read_text: ReadText) -> None:
    about = {"length": {"C:\\x\\a.mp4": 10.1, "b.mp4": 20.2}, "fps": {"b.mp4": 25}, "offset": {"1": 0.0, "2": 4.0}}
    events = [[time, "", code, "", ""] for time, code in ((5, "run"), (12, "run"), (30.3, "jump"), (31, "rest"))]
    found = read_text(
        "a.boris",
        project(
            one=observed(
                [*events, [40, "", "rest", "", ""]],
                {"1": ["C:\\x\\a.mp4", "b.mp4", "c.mp4"], "2": ["d.mp4"]},
                media_info=about,
                **{"observation time interval": [2, 35]},
            )
        ),
    )
    assert spans(found) == [
        [("run", 5.0, 10.1)],
        [("run", 0.0, 1.9)],
        [("jump", 0.0, 0.0), ("rest", 0.7, 9.7)],
        [("run", 1.0, 8.0), ("jump", 26.3, 26.3), ("rest", 27.0, 36.0)],
    ]
    assert [one.looked_at for one in found.recordings] == [((2.0, math.inf),), WHOLE, ((0.0, 4.7),), ((0.0, 31.0),)]
    assert [one.offset_s for one in found.recordings] == [0.0, 10.1, 30.3, 4.0]
    assert (found.num_events, found.num_bouts, found.num_copies) == (3, 7, 4)
    assert {one.group for one in found.recordings} == {"one"}


@pytest.mark.parametrize("offset", [-20.0, 20.0])
def test_the_time_offset_is_taken_off(offset: float, read_text: ReadText) -> None:
    events = [[time + offset, "", "run", "", ""] for time in (1, 2)]
    found = read_text("a.boris", project(one=observed(events, **{"time offset": offset})))
    assert spans(found) == [[("run", 1.0, 2.0)]]


def test_every_fault_is_one_line_and_the_others_carry_on(read_text: ReadText) -> None:
    good = [[1, "", "jump", "", ""]]
    found = read_text(
        "a.boris",
        project(
            "10.1",
            unpaired=observed([[1, "", "run", "", ""], [3, "", "run", "", ""], [5, "x", "run", "", ""], *good]),
            early=observed([[8, "", "run", "", ""], [12, "", "run", "", ""], *good], **{"time offset": 10.0}),
            empty=observed([]),
            odd=observed([["soon", "", "jump", "", ""], "jump", [2, "", "", "", ""], *good]),
            live={"type": "LIVE", "file": [], "events": [[2, "", "dance", "", ""], *good]},
            wrong=[],
        ),
    )
    assert spans(found)[0] == [("jump", 1.0, 1.0), ("run", 1.0, 3.0)]
    assert found.recordings[0].looked_at == ((0.0, 5.0),)  # after it nobody knows whether x still runs
    assert spans(found)[1] == [("run", 0.0, 2.0)]
    assert spans(found)[4] == [("jump", 1.0, 1.0), ("dance", 2.0, 2.0)]
    assert found.recordings[2].looked_at is None
    assert found.recordings[3].looked_at is None
    assert found.recordings[4].looked_at == ((0.0, 2.0),)
    reasons = [f"{line.place}: {line.reason}" for line in found.skipped]
    for text in (
        "observation 'unpaired' event 3: 'run' of 'x' starts at 5 s and is never stopped",
        "observation 'early' event 3: 'jump' at 1 s lies 9 s before",
        "observation 'odd' event 1: 'soon'",
        "observation 'odd' event 2: 'jump'",
        "observation 'odd' event 3: 2",
    ):
        assert sum(text in line for line in reasons) == 1, text
    assert len(reasons) == 5
    for text in (
        "BORIS 10.1",
        "a.mp4 is not there",
        "its beginning is cut off",
        "without events",
        "'dance' is not in the ethogram",
        "observation 'wrong' should be an object",
        "'rest' is never annotated",
    ):
        assert sum(text in line for line in found.warnings) == 1, text
    assert len(found.warnings) == 7


def test_old_projects_and_packed_ones_are_read(read_text: ReadText) -> None:
    old = {
        "behaviors_conf": {"0": {"type": "Point event", "code": "jump", "modifiers": "a,b"}},
        "observations": {
            "one": {
                "type": "VIDEO",
                "file": {"1": ["a.mp4"], "2": ["b.mp4"]},
                "time offset second player": 3,
                "events": [[7, "", "jump", "", ""]],
            }
        },
    }
    found = read_text("a.boris.gz", gzip.compress(json.dumps(old).encode()))
    assert spans(found) == [[("jump", 7.0, 7.0)], [("jump", 4.0, 4.0)]]


def test_media_that_begin_at_a_date_are_told_apart(read_text: ReadText) -> None:
    about = {"length": {"a.mp4": 10, "b.mp4": 10}, "media_creation_time": {"a.mp4": 1000.5, "b.mp4": 2000}}
    found = read_text(
        "a.boris",
        project(
            one=observed(
                [[1001, "", "jump", "", ""], [2003, "", "jump", "", ""]],
                {"1": ["a.mp4", "b.mp4"]},
                media_info=about,
                media_creation_date_as_offset=True,
            )
        ),
    )
    assert spans(found) == [[("jump", 0.5, 0.5)], [("jump", 3.0, 3.0)]]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "line 1: is no JSON"),
        ('{"observations": {"a": 1, "a": 2}}', "has 'a' twice"),
        ("[" * 5000 + "]" * 5000, "levels deep"),
        ("{}", "no BORIS project"),
        ('{"observations": ' + "9" * 5000 + "}", "is no JSON"),
        (gzip.compress(b"{}", mtime=0)[:-9], "no whole gzip file"),
    ],
)
def test_what_is_no_project_is_one_line(content: str | bytes, text: str, read_text: ReadText) -> None:
    with pytest.raises(DataError, match=text) as caught:
        read_text("a.boris", content)
    assert "\n" not in str(caught.value)


modifiers = st.lists(words.filter(lambda word: "|" not in word), max_size=3).map(tuple)


@given(
    recordings(
        bouts(modifiers=modifiers),
        overlap=False,
        looked_at=looked_at_spans,
        duration_s=st.none() | st.floats(1, 1e5),
        fps=st.none() | st.floats(1, 500),
        offset_s=st.sampled_from([0.0, 12.5]),
    )
)
@settings(max_examples=40)
def test_in_and_out_again_loses_nothing(given_: Annotations) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.boris")
        put = given_.placed_in(Path(folder))  # type: ignore[attr-defined]
        write_annotations(put, path)
        back = read_annotations(path)
    assert back.labels == put.labels
    assert len(back.recordings) == len(put.recordings)
    for one, other in zip(back.recordings, put.recordings, strict=True):
        assert Counter(one.bouts) == Counter(other.bouts)
        for about in ("name", "path", "looked_at", "duration_s", "fps", "offset_s"):
            assert getattr(one, about) == getattr(other, about)
    assert back.skipped == ()


def test_what_start_and_stop_cannot_hold_is_refused(tmp_path: Path, read_text: ReadText) -> None:
    found = read_text("a.csv", "path,label,start_s,end_s\na.mp4,run,1,5\na.mp4,run,4,6\n")
    with pytest.raises(DataError, match="two bouts of 'run' overlap at 4 s"):
        write_annotations(found, tmp_path / "a.boris")


@real
@pytest.mark.parametrize("path", sorted(REAL.glob("*.boris")), ids=lambda path: path.stem)
def test_real_projects_are_accounted_for(path: Path) -> None:
    """The number of events is what a plain count of rows gives: points, and pairs of states of one key."""
    raw = json.loads(path.read_text())
    states = {one["code"] for one in raw["behaviors_conf"].values() if one["type"].startswith("State")}
    expected = 0
    for observation in raw["observations"].values():
        keys = Counter((row[2] in states, *row[1:4]) for row in observation["events"])
        expected += sum((count + 1) // 2 if key[0] else count for key, count in keys.items())
    found = read_annotations(path)
    assert found.num_events == expected
    assert found.num_bouts - found.num_copies + len(found.skipped) == expected


@real
def test_durations_are_those_of_boris_own_time_budget() -> None:
    budget = json.loads((REAL / "test_time_budget1.json").read_text())
    found = read_annotations(REAL / "test.boris")
    (one,) = [recording for recording in found.recordings if recording.name == "observation #1"]
    for row in budget:
        durations = [
            bout.duration_s for bout in one.bouts if (bout.subject, bout.label) == (row["subject"], row["behavior"])
        ]
        assert len(durations) == int(row["number"])
        assert sum(durations) == pytest.approx(row["duration"])
