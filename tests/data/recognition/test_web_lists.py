"""The lists of Kinetics and ActivityNet."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.data.recognition.folders import by_split, refusal, touch

from lrcn.data.recognition.readers import (
    read_recognition_data,
)


def test_kinetics(tmp_path: Path) -> None:
    touch(tmp_path, "train/-aB_1_000010_000020.mp4", "train/abc_000000_000010.mp4", "val/riding/xyz_000100_000110.mkv")
    (tmp_path / "annotations").mkdir()
    header = "label,youtube_id,time_start,time_end,split,is_cc\n"
    (tmp_path / "annotations" / "train.csv").write_text(
        f'{header}"riding, a bike",-aB_1,10,20,train,0\njuggling,abc,0,10,train,0\n'
    )
    (tmp_path / "annotations" / "validate.csv").write_text("label,youtube_id,time_start,time_end\nriding,xyz,100,110\n")
    data = read_recognition_data(tmp_path)
    assert by_split(data, tmp_path) == {
        "train": [("train/-aB_1_000010_000020.mp4", "riding, a bike"), ("train/abc_000000_000010.mp4", "juggling")],
        "val": [("val/riding/xyz_000100_000110.mkv", "riding")],
    }
    assert {(e.start_s, e.end_s) for e in data.examples} == {(0.0, None)}  # the files are cut already


def test_bad_kinetics_rows_are_named(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(
        "label,youtube_id,time_start,time_end,split\nrun,abc,0,10,train\n,abc,0,10,train\nrun,abc,x,10,train\n"
        "run,abc,0,10,other\nrun,abc\n"
    )
    problems = refusal(tmp_path).problems
    assert problems[0] == f"train.csv line 2: run/abc_000000_000010.* below {tmp_path} not found"
    assert [re.findall(r"line (\d)", line)[0] for line in problems] == list("23456")


def test_activitynet(tmp_path: Path) -> None:
    touch(tmp_path, "videos/v_one.mp4", "videos/two.mkv")
    segments = [{"label": "Hurling", "segment": [1.5, 4]}, {"label": "Polo", "segment": [6, 7.25]}]
    database = {
        "one": {"duration": 9.0, "subset": "training", "annotations": segments},
        "two": {"duration": 9.0, "subset": "validation", "annotations": segments[:1]},
        "three": {"duration": 9.0, "subset": "testing", "annotations": []},
    }
    (tmp_path / "activity_net.json").write_text(json.dumps({"version": "1.3", "database": database}))
    data = read_recognition_data(tmp_path)
    assert data.labels == ("Hurling", "Polo")
    assert [(e.path.name, e.label, e.split, e.start_s, e.end_s) for e in data.examples] == [
        ("v_one.mp4", "Hurling", "train", 1.5, 4.0),
        ("v_one.mp4", "Polo", "train", 6.0, 7.25),
        ("two.mkv", "Hurling", "val", 1.5, 4.0),
    ]
    assert data.warnings == ("1 videos without annotations left out",)
    assert read_recognition_data(tmp_path / "activity_net.json").examples == data.examples


@pytest.mark.parametrize(
    "entry",
    [
        '{"subset": "training"}',
        '{"subset": "training", "annotations": [{"label": "a", "segment": [4, 1]}]}',
        '{"subset": "training", "annotations": [{"label": "a", "segment": [1]}]}',
        '{"subset": "training", "annotations": [{"label": "a", "segment": "xy"}]}',
        f'{{"subset": "training", "annotations": [{{"label": "a", "segment": [0, 1{"0" * 400}]}}]}}',
        '{"subset": "train-val", "annotations": []}',
        '{"subset": null, "annotations": []}',
        "[]",
        "3",
    ],
)
def test_bad_activitynet_entry_is_named(tmp_path: Path, entry: str) -> None:
    touch(tmp_path, "one.mp4")
    (tmp_path / "a.json").write_text(f'{{"database": {{"one": {entry}}}}}')
    assert str(refusal(tmp_path)).startswith("a.json 'one': ")


@pytest.mark.parametrize("text", ['{"database": ', '{"database": 3}', '["database"]', "[" * 100_000 + '"database"'])
def test_json_that_is_no_database_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    assert "a.json" in str(refusal(tmp_path))


def test_a_segment_without_length_costs_itself_alone_where_asked(tmp_path: Path) -> None:
    touch(tmp_path, "one.mp4")
    segments = [{"label": "Hurling", "segment": [1.5, 4]}, {"label": "Polo", "segment": [6, 6]}]
    entry = {"subset": "training", "annotations": segments}
    (tmp_path / "a.json").write_text(json.dumps({"database": {"one": entry}}))
    data = read_recognition_data(tmp_path, skip_missing=True, val_fraction=0)
    assert [(example.label, example.start_s) for example in data.examples] == [("Hurling", 1.5)]
    assert data.warnings[0] == "left out: a.json 'one': segment 6-6 s: expected 0 <= start < end"
