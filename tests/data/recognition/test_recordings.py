"""Annotated recordings as data sets: what is said of them, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrcn.annotations.formats import FORMATS, write_annotations
from lrcn.bouts import BACKGROUND, Annotations, Bout, Recording, Skipped
from lrcn.data.recognition.examples import ReadOptions, RecognitionData
from lrcn.data.recognition.readers import read_recognition_data
from lrcn.data.recognition.recordings import data_of
from lrcn.errors import DataError

GREY = np.full((200, 24, 32, 3), 120, np.uint8)
"""Twenty seconds."""


def videos(folder: Path, make_clip: Any, number: int = 2) -> list[Path]:
    return [make_clip(folder / f"{i}.avi", GREY, 10) for i in range(number)]


def annotated(*recordings: Recording, labels: tuple[str, ...] = ("rest", "groom", "rear"), **more: Any) -> Annotations:
    return Annotations("mice", recordings, labels, **more)


def read(annotations: Annotations, **options: Any) -> RecognitionData:
    return data_of(annotations, ReadOptions(**options), Path("mice.boris"))


BOUTS = tuple(Bout("groom" if i % 2 else "rest", 2.0 * i, 2.0 * i + 1) for i in range(10))
OVERLAPPING = (*BOUTS, Bout("rear", 4.0, 6.5))
WHOLE = ((0.0, float("inf")),)


def test_exclusive_behaviours_have_background_where_it_was_looked_at(tmp_path: Path, make_clip: Any) -> None:
    paths = videos(tmp_path, make_clip)
    data = read(annotated(*(Recording(path.name, path, BOUTS, WHOLE) for path in paths)))
    assert data.labels == ("rest", "groom", BACKGROUND)
    assert not data.multi_label
    assert {example.split for example in data.examples} == {"train", "val", "test"}
    assert {data.shown(example) for example in data.examples} == {("rest",), ("groom",), (BACKGROUND,)}
    assert {recording.split for recording in data.recordings} == {"train", "val", "test"}
    assert all(r.duration_s == 20.0 and r.looked_at[-1][1] <= 20.0 for r in data.recordings if r.looked_at)


def test_between_bouts_lies_background_only_where_it_was_looked_at(tmp_path: Path, make_clip: Any) -> None:
    (path,) = videos(tmp_path, make_clip, 1)
    unknown = read(annotated(Recording("one", path, BOUTS)))
    assert unknown.labels == ("rest", "groom")
    assert any("add --looked-at whole" in warning for warning in unknown.warnings)
    half = read(annotated(Recording("one", path, BOUTS, ((0.0, 10.0),))))
    assert max(e.end_s or 0 for e in half.examples if e.label == BACKGROUND) <= 10.0
    assert not any("--looked-at" in warning for warning in half.warnings)


def test_overlapping_behaviours_are_learnt_each_by_itself(tmp_path: Path, make_clip: Any) -> None:
    (path,) = videos(tmp_path, make_clip, 1)
    data = read(annotated(Recording("one", path, OVERLAPPING, WHOLE)), val_fraction=0.0)
    assert data.multi_label
    assert data.labels == ("rest", "groom", "rear")
    shown = {data.shown(example) for example in data.examples}
    assert shown >= {(), ("rest",), ("groom",), ("rear",), ("rear", "rest")}
    assert any("2 pairs of bouts overlap, the first 'rest' and 'rear' at 4 s of one" in w for w in data.warnings)


def test_a_tick_of_overlap_is_a_slip_of_the_hand(tmp_path: Path, make_clip: Any) -> None:
    (path,) = videos(tmp_path, make_clip, 1)
    own = (Bout("rest", 0.0, 10.05), Bout("groom", 10.0, 20.0))
    assert not read(annotated(Recording("one", path, own))).multi_label


def test_nothing_is_left_out_in_silence(tmp_path: Path, make_clip: Any) -> None:
    (path,) = videos(tmp_path, make_clip, 1)
    broken = tmp_path / "broken.avi"
    broken.write_bytes(b"no video")
    own = (*BOUTS, Bout("rear", 3.0, 3.0), Bout("groom", 19.5, 25.0), Bout("hop", 30.0, 31.0))
    data = read(
        annotated(
            Recording("one", path, own, WHOLE),
            Recording("outside", path, BOUTS, WHOLE, roi=(0, 0, 999, 8)),
            Recording("two", broken, BOUTS, WHOLE),
            Recording("one again", path, BOUTS, WHOLE),
            skipped=(Skipped("mice.boris row 7", "no stop"),),
            warnings=("mice.boris: written by a newer program",),
        )
    )
    text = "\n".join(data.warnings)
    for said in (
        "row 7: no stop",
        "newer program",
        "broken.avi",
        "one again",
        "2 bouts go past its end at 20.00 s and are cut there (1 begin after it and are left out), the first 'groom'",
        "'rear' have no length",
        "0.avi: the region of interest 0,0,999,8",
    ):
        assert said in text
    assert "rear" not in data.labels
    assert max(example.end_s or 0 for example in data.examples) <= 20.0


def test_two_annotations_of_one_file_are_one_recording(tmp_path: Path, make_clip: Any) -> None:
    (path,) = videos(tmp_path, make_clip, 1)
    halves = [
        Recording("first half", path, BOUTS[:5], ((0.0, 10.0),)),
        Recording("second half", path, BOUTS[5:], ((10.0, 20.0),)),
    ]
    together = read(annotated(*halves))
    assert together.examples == read(annotated(Recording("first half", path, BOUTS, ((0.0, 20.0),)))).examples


def test_two_regions_of_one_file_are_two_recordings(tmp_path: Path, make_clip: Any) -> None:
    (path,) = videos(tmp_path, make_clip, 1)
    left, right = (0, 0, 8, 8), (8, 0, 8, 8)
    data = read(annotated(Recording("a", path, BOUTS, WHOLE, roi=left), Recording("b", path, BOUTS, WHOLE, roi=right)))
    assert {example.roi for example in data.examples} == {left, right}
    assert {recording.roi for recording in data.recordings} == {left, right}


def test_missing_recordings_are_named_and_may_be_left_out(tmp_path: Path, make_clip: Any) -> None:
    (path,) = videos(tmp_path, make_clip, 1)
    there = Recording("one", path, BOUTS, WHOLE)
    gone = annotated(there, Recording("two", tmp_path / "two.avi", BOUTS), Recording("three", None, BOUTS))
    with pytest.raises(DataError) as refused:
        read(gone)
    assert len(refused.value.problems) == 2
    assert "three: its video, which the annotations do not name, not found" in refused.value.problems
    assert len(read(gone, skip_missing=True).recordings) == 3
    gone = annotated(there, Recording("two", tmp_path / "two.avi", BOUTS))
    with pytest.raises(DataError, match=r"two.avi not found; put the recordings there, or leave such rows out"):
        read(gone)
    assert any("two.avi not found" in warning for warning in read(gone, skip_missing=True).warnings)


def test_events_alone_are_refused_in_one_line(tmp_path: Path, make_clip: Any) -> None:
    (path,) = videos(tmp_path, make_clip, 1)
    with pytest.raises(DataError, match="no bout has a length"):
        read(annotated(Recording("one", path, (Bout("rear", 3.0, 3.0),))))
    with pytest.raises(DataError, match="no bout has a length"):  # background alone is none
        read(annotated(Recording("one", path, (Bout("rear", 3.0, 3.0),), WHOLE)))
    with pytest.raises(DataError, match=r"the behaviour 'a\|b' has a \| in its name"):
        read(annotated(Recording("one", path, (Bout("a|b", 3.0, 9.0), Bout("c", 4.0, 8.0)))))


CSV = """path,label,start_s,end_s,looked_at
0.avi,rest,1,3,all
0.avi,groom,4,9,
1.avi,rest,2,12,all
1.avi,groom,14,18,
"""


def test_csv_with_a_column_of_recordings_holds_recordings(tmp_path: Path, make_clip: Any) -> None:
    videos(tmp_path, make_clip)
    (tmp_path / "annotations.csv").write_text(CSV)
    for path in (tmp_path, tmp_path / "annotations.csv"):
        data = read_recognition_data(path)
        assert len(data.recordings) == 6
        assert set(data.labels) == {"rest", "groom", BACKGROUND}
    assert BACKGROUND not in read_recognition_data(tmp_path, looked_at="bouts").labels


def test_csv_of_clips_stays_one_unless_the_user_says_what_only_recordings_have(tmp_path: Path, make_clip: Any) -> None:
    videos(tmp_path, make_clip)
    (tmp_path / "annotations.csv").write_text(CSV.replace(",looked_at", "").replace(",all", "").replace(",\n", "\n"))
    clips = read_recognition_data(tmp_path)
    assert not clips.recordings
    assert {e.within for e in clips.examples} == {None}
    for said in ({"looked_at": "whole"}, {"videos": tmp_path}, {"format": "recordings"}, {"format": "bouts-csv"}):
        assert read_recognition_data(tmp_path, **said).recordings, said  # type: ignore[arg-type]
    with pytest.raises(DataError, match="read as annotations-csv; videos, subject and looked_at are for annotations"):
        read_recognition_data(tmp_path, format="annotations-csv", looked_at="whole")


def test_videos_may_lie_elsewhere_and_one_subject_be_chosen(tmp_path: Path, make_clip: Any) -> None:
    (tmp_path / "far").mkdir()
    videos(tmp_path / "far", make_clip)
    rows = ["0.avi,rest,1,9,ann,all", "0.avi,groom,4,12,bob,", "1.avi,rest,2,12,ann,all"]
    (tmp_path / "bouts.csv").write_text("\n".join(["path,label,start_s,end_s,subject,looked_at", *rows]))
    both = read_recognition_data(tmp_path / "bouts.csv", videos=tmp_path / "far")
    assert both.multi_label
    assert any("at 4 s of 0.avi" in w and "--subject takes those of one" in w for w in both.warnings)
    ann = read_recognition_data(tmp_path / "bouts.csv", subject="ann", videos=tmp_path / "far")
    assert not ann.multi_label
    assert ann.labels == ("rest", BACKGROUND)


@pytest.mark.parametrize("format", ["elan", "boris-events", "bouts-csv"])
def test_a_folder_of_a_file_for_each_recording_is_a_data_set(tmp_path: Path, make_clip: Any, format: str) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "notes").mkdir()
    paths = videos(tmp_path / "far", make_clip, 5)
    for number, path in enumerate(paths):
        bouts = (Bout("groom", 0.2 * number, 2.0), Bout("rear", 3.0, 4.0))
        one = Annotations(path.name, (Recording(path.name, path, bouts, looked_at=WHOLE),), ("groom", "rear"))
        write_annotations(one, tmp_path / "notes" / f"{path.stem}{FORMATS[format].suffix}", format=format)
    data = read_recognition_data(tmp_path / "notes")
    assert data == read_recognition_data(tmp_path / "notes", videos=tmp_path / "far")
    assert {one.path.resolve() for one in data.recordings} == set(paths)
    assert {one.split for one in data.recordings} == {"train", "val", "test"}
    assert data.labels == ("groom", "rear", BACKGROUND)
    starts = {one.path.resolve(): min(bout.start_s for bout in one.bouts) for one in data.recordings}
    assert [starts[path] for path in paths] == pytest.approx([0.2 * number for number in range(5)], abs=1e-3)


def test_annotations_beside_class_folders_are_no_data_set_of_recordings(tmp_path: Path, make_clip: Any) -> None:
    for label in ("groom", "rear"):
        (tmp_path / label).mkdir()
        make_clip(tmp_path / label / "a.avi", np.zeros((5, 8, 8, 3), np.uint8), 10)
    clips = [tmp_path / "groom" / "a.avi", tmp_path / "rear" / "a.avi"]
    own = [Recording(f"{n}", path, (Bout("x", 0.0, 0.3),), looked_at=WHOLE) for n, path in enumerate(clips)]
    write_annotations(Annotations("all", tuple(own), ("x",)), tmp_path / "project.boris")
    assert read_recognition_data(tmp_path).labels == ("groom", "rear")
    assert read_recognition_data(tmp_path, looked_at="whole").labels == ("x",)
    write_annotations(Annotations("all", tuple(own), ("x",)), tmp_path / "more.csv")
    with pytest.raises(DataError, match=r"holds annotations of boris-project and of bouts-csv; name one file"):
        read_recognition_data(tmp_path, looked_at="whole")
