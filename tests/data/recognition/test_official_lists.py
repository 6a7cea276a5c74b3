"""UCF-101 and HMDB-51 as they are unpacked."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from tests.data.recognition.folders import UCF, hmdb51, refusal, touch, ucf101

from lrcn.data.recognition.readers import (
    read_recognition_data,
)


@pytest.mark.parametrize("lists", ["ucfTrainTestlist", "."])
@pytest.mark.parametrize("videos", ["UCF-101/{}", "{}", "flat"])
def test_ucf101(tmp_path: Path, videos: str, lists: str) -> None:
    if videos == "flat":
        touch(ucf101(tmp_path, videos="unused", lists=lists), *(Path(name).name for name in UCF))
    else:
        ucf101(tmp_path, videos=videos, lists=lists)
    data = read_recognition_data(tmp_path, val_fraction=0.25)
    assert data.labels == ("Zorbing", "Archery")
    assert data.name == "UCF-101 split 1"
    assert data.warnings == ()
    names = {split: {e.path.name for e in data.split(split)} for split in ("train", "val", "test")}
    assert names["test"] == {Path(name).name for name in UCF if re.search("_g0[12]_", name)}
    assert len(names["val"]) == 4
    assert len(names["train"]) == 12
    groups = {split: {name[:-8] for name in names[split]} for split in names}
    assert not groups["train"] & groups["val"]


def test_ucf101_videos_may_be_converted(tmp_path: Path) -> None:
    ucf101(tmp_path)
    for video in tmp_path.rglob("*.avi"):
        video.rename(video.with_suffix(".mp4"))
    assert len(read_recognition_data(tmp_path).examples) == len(UCF)


def test_ucf101_names_what_is_missing(tmp_path: Path) -> None:
    ucf101(tmp_path)
    (tmp_path / "UCF-101" / UCF[0]).unlink()
    (tmp_path / "UCF-101" / UCF[-1]).unlink()
    error = refusal(tmp_path)
    assert str(error) == (
        f"trainlist01.txt line 16: Archery/v_Archery_g06_c02.* below {tmp_path} not found (1 more); "
        "put the videos there, or leave such rows out with --skip-missing"
    )
    assert error.problems[1] == f"testlist01.txt line 1: Zorbing/v_Zorbing_g01_c01.* below {tmp_path} not found"
    assert len(read_recognition_data(tmp_path, skip_missing=True).examples) == len(UCF) - 2
    assert "no trainlist03.txt; there is trainlist01.txt" in str(refusal(tmp_path, split_number=3))


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("Archery/v_Archery_g03_c01.avi 1", "class 'Archery' has number 1 here and 2 in classInd.txt"),
        ("Archer/v_Archery_g03_c01.avi 2", "class 'Archer' is not in classInd.txt"),
        ("v_Archery_g03_c01.avi 2", "expected Class/video.avi and a class number"),
        ("Archery/v Archery g03.avi 2", "expected Class/video.avi and a class number"),
    ],
)
def test_bad_ucf101_line_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    (ucf101(tmp_path) / "ucfTrainTestlist" / "trainlist01.txt").write_text(line + "\n")
    assert str(refusal(tmp_path)).startswith(f"trainlist01.txt line 1: {complaint}")


def test_video_kept_twice_is_named(tmp_path: Path) -> None:
    touch(ucf101(tmp_path), f"old/{UCF[0]}")
    assert "two files of this name" in str(refusal(tmp_path))


def test_hmdb51(tmp_path: Path) -> None:
    data = read_recognition_data(hmdb51(tmp_path))
    assert data.labels == ("brush_hair", "wave")
    assert Counter((e.split, e.label) for e in data.examples) == {
        ("train", "brush_hair"): 2,
        ("val", "brush_hair"): 1,
        ("test", "brush_hair"): 2,
        ("train", "wave"): 2,
        ("val", "wave"): 1,
        ("test", "wave"): 2,
    }
    assert data.warnings == ()
    assert {e.group for e in data.split("test")} == {"Alpha_1_brush_hair", "Alpha_1_wave"}


def test_bad_hmdb51_lines_are_named(tmp_path: Path) -> None:
    list_file = hmdb51(tmp_path) / "testTrainMulti_7030_splits" / "wave_test_split1.txt"
    list_file.write_text("Up_wave_u_nm_np1_ba_goo_0.avi 3\ngone.avi 1\nunused.avi 0\n")
    assert refusal(tmp_path).problems == (
        "wave_test_split1.txt line 1: expected video.avi and 0, 1 or 2, found 'Up_wave_u_nm_np1_ba_goo_0.avi 3'",
        f"wave_test_split1.txt line 2: wave/gone.* below {tmp_path} not found",
    )
    assert "no *_test_split2.txt; there is brush_hair_test_split1.txt" in str(refusal(tmp_path, split_number=2))
