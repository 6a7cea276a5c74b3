from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrcn.data.recognition.grouping import divide_train, source_of, torn_groups, with_groups
from lrcn.data.recognition.readers import (
    READERS,
    Reader,
    ReadOptions,
    RecognitionData,
    RecognitionExample,
    read_recognition_data,
    register_reader,
)
from lrcn.errors import ConfigError, DataError, UnknownNameError


def touch(root: Path, *names: str) -> Path:
    """Empty files: readers do not open videos."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def by_split(data: RecognitionData, root: Path) -> dict[str, list[tuple[str, str]]]:
    found = defaultdict(list)
    for example in data.examples:
        found[example.split].append((example.path.relative_to(root).as_posix(), example.label))
    return {split: sorted(rows) for split, rows in found.items()}


def refusal(path: Path, **options: object) -> DataError:
    with pytest.raises(DataError) as caught:
        read_recognition_data(path, **options)  # type: ignore[arg-type]
    for line in (str(caught.value), *caught.value.problems):
        assert "\n" not in line
    return caught.value


# ---- folders


def test_split_folders(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "train/walk/a.mp4",
        "train/run/b.AVI",
        "Validation/walk/c.webm",
        "test/run/deep/down/d.mkv",
        "train/walk/notes.txt",
        "train/walk/._a.mp4",
        "cache/x.npy",
    )
    data = read_recognition_data(tmp_path)
    assert data.labels == ("run", "walk")
    assert by_split(data, tmp_path) == {
        "train": [("train/run/b.AVI", "run"), ("train/walk/a.mp4", "walk")],
        "val": [("Validation/walk/c.webm", "walk")],
        "test": [("test/run/deep/down/d.mkv", "run")],
    }
    assert data.warnings == ("beside train, val and test, these folders are left out: cache",)


def test_class_folders_give_train_and_val_and_no_test(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{label}/{number:03d}.mp4" for label in ("run", "walk") for number in range(10)))
    data = read_recognition_data(tmp_path, val_fraction=0.3)
    assert Counter((e.split, e.label) for e in data.examples) == {
        ("train", "run"): 7,
        ("train", "walk"): 7,
        ("val", "run"): 3,
        ("val", "walk"): 3,
    }
    assert data.warnings == ()
    with pytest.raises(DataError, match=r"no 'test' split; there is train \(14 examples\), val \(6 examples\)"):
        data.split("test")


def test_split_folders_without_val_get_one_from_train_alone(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{split}/run/{number}.mp4" for split in ("train", "test") for number in range(10)))
    data = read_recognition_data(tmp_path)
    assert Counter(e.split for e in data.examples) == {"train": 8, "val": 2, "test": 10}
    assert all(e.path.parts[-3] == "test" for e in data.split("test"))
    assert {e.split for e in read_recognition_data(tmp_path, val_fraction=0).examples} == {"train", "test"}


def test_folders_of_frames_are_videos(tmp_path: Path) -> None:
    touch(tmp_path, "run/one/1.jpg", "run/one/2.jpg", "run/two/1.png", "run/three.mp4")
    data = read_recognition_data(tmp_path, val_fraction=0)
    assert [e.path.name for e in data.examples] == ["one", "three.mp4", "two"]


def test_images_straight_in_a_class_folder_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "run/1.jpg", "run/2.jpg")
    assert "put the frames of each video in a folder of their own (run/video1/*.jpg)" in str(refusal(tmp_path))


def test_empty_class_folders_are_listed(tmp_path: Path) -> None:
    touch(tmp_path, "run/a.mp4", "walk/readme.txt", "jump/readme.txt")
    error = refusal(tmp_path)
    assert re.search(r"jump: this class folder holds no video; .* \(1 more\)$", str(error))
    assert len(error.problems) == 2


@pytest.mark.parametrize("names", [[], ["a.mp4", "b.mp4"], ["readme.txt"], ["x/y.txt"]])
def test_folder_without_a_data_set_is_one_line(tmp_path: Path, names: list[str]) -> None:
    touch(tmp_path, *names)
    assert str(tmp_path) in str(refusal(tmp_path))


def test_videos_in_no_class_folder_get_a_hint(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    assert "put each video in a folder named after its class" in str(refusal(tmp_path))


def test_missing_folder_and_wrong_format_are_one_line(tmp_path: Path) -> None:
    assert "no such folder" in str(refusal(tmp_path / "nowhere"))
    with pytest.raises(UnknownNameError, match="did you mean 'ucf101'"):
        read_recognition_data(tmp_path, format="ucf10")
    touch(tmp_path, "a.mp4")
    assert "cannot be read" in str(refusal(tmp_path / "a.mp4", format="class-folders"))
    for name in READERS:
        refusal(tmp_path, format=name)


# ---- annotations.csv


def write_csv(root: Path, text: str, encoding: str = "utf-8") -> Path:
    touch(root, "a.mp4", "b.mp4", "sub/c, d.mp4", "frames/1.jpg")
    (root / "annotations.csv").write_bytes(text.encode(encoding))
    return root


def test_csv_with_all_columns(tmp_path: Path) -> None:
    write_csv(
        tmp_path,
        "path,label,split,start_s,end_s,group\n"
        "a.mp4,walk,train,0.5,2,anna\n"
        'a.mp4,"run, fast",train,2,,anna\n'
        '"sub/c, d.mp4",walk,Validation,,3.5,bob\n'
        "frames,walk,test,,,carl\n",
    )
    data = read_recognition_data(tmp_path)
    assert data.labels == ("run, fast", "walk")
    assert data.examples == (
        RecognitionExample(tmp_path / "a.mp4", "walk", "train", 0.5, 2.0, "anna"),
        RecognitionExample(tmp_path / "a.mp4", "run, fast", "train", 2.0, None, "anna"),
        RecognitionExample(tmp_path / "sub/c, d.mp4", "walk", "val", 0.0, 3.5, "bob"),
        RecognitionExample(tmp_path / "frames", "walk", "test", 0.0, None, "carl"),
    )
    assert read_recognition_data(tmp_path / "annotations.csv").examples == data.examples


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("path,label,split\r\na.mp4,go,train\r\nb.mp4,go,val\r\n", "utf-8"),
        ("path,label,split\na.mp4,go,train\nb.mp4,go,val", "utf-8-sig"),
        ("Path ; LABEL;split\n\n a.mp4;go ;train\n;;\nb.mp4;go;val\n", "utf-8"),
        ("label\tsplit\tpath\ngo\ttrain\ta.mp4\ngo\tval\tb.mp4\n", "utf-8"),
        ('"path","label","split"\r"a.mp4","go","train"\r"b.mp4","go","val"\r', "utf-8"),
        ("file_name,label,split\na.mp4,go,train\nb.mp4,go,val\n", "utf-8"),
    ],
)
def test_csv_as_people_save_it(tmp_path: Path, text: str, encoding: str) -> None:
    data = read_recognition_data(write_csv(tmp_path, text, encoding))
    assert by_split(data, tmp_path) == {"train": [("a.mp4", "go")], "val": [("b.mp4", "go")]}


def test_csv_without_split_is_divided(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{number}.mp4" for number in range(10)))
    rows = "".join(f"{number}.mp4,go\n" for number in range(10))
    (tmp_path / "metadata.csv").write_text("file_name,label\n" + rows)
    data = read_recognition_data(tmp_path, val_fraction=0.2)
    assert Counter(e.split for e in data.examples) == {"train": 8, "val": 2}


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("gone.mp4,go,train,,", "gone.mp4 not found; put the videos there, or leave such rows out with --skip-missing"),
        (",go,train,,", "the path is empty"),
        ("a.mp4,,train,,", "the label is empty"),
        ("a.mp4,go,trian,,", "unknown split 'trian'; did you mean 'train'? choices: train, val, test"),
        ("a.mp4,go,,,", "unknown split ''; choices: train, val, test"),
        ("a.mp4,go,train,-1,", "'-1' is no time in seconds from 0 up"),
        ("a.mp4,go,train,nan,", "'nan' is no time in seconds from 0 up"),
        ("a.mp4,go,train,,inf", "'inf' is no time in seconds from 0 up"),
        ("a.mp4,go,train,0:10,", "'0:10' is no time in seconds from 0 up"),
        ("a.mp4,go,train,3,2", "ends at 2 s, not after its start at 3 s"),
        ("a.mp4,go,train,3,3", "ends at 3 s, not after its start at 3 s"),
        ("b.mp4,go,train,,", "repeats line 2; remove one"),
        ("b.mp4,stop,train,,", "is 'stop' here and 'go' in line 2; keep one class"),
        ("a.mp4,go,train", "3 cells for 5 columns; quote cells that hold a comma"),
        ("a.mp4,go,train,,,,", "7 cells for 5 columns; quote cells that hold a comma"),
        ("a\0.mp4,go,train,,", "a\0.mp4 not found; put the videos there, or leave such rows out with --skip-missing"),
        ('"a.mp4,go,train,,', "unexpected end of data; check its quotes"),
    ],
)
def test_bad_csv_row_is_named(tmp_path: Path, row: str, complaint: str) -> None:
    write_csv(tmp_path, f"path,label,split,start_s,end_s\nb.mp4,go,train,,\n{row}\n")
    assert str(refusal(tmp_path)) == f"annotations.csv line 3: {complaint}"


def test_all_bad_csv_rows_are_counted_and_kept(tmp_path: Path) -> None:
    write_csv(tmp_path, "path,label\nb.mp4,go\nx.mp4,go\na.mp4,\ny.mp4,go\n")
    error = refusal(tmp_path)
    assert str(error) == "annotations.csv line 3: x.mp4 not found (2 more)"
    assert error.problems == (
        "annotations.csv line 3: x.mp4 not found",
        "annotations.csv line 4: the label is empty",
        "annotations.csv line 5: y.mp4 not found",
    )


def test_missing_videos_can_be_left_out(tmp_path: Path) -> None:
    write_csv(tmp_path, "path,label\nx.mp4,go\na.mp4,go\ny.mp4,go\n")
    data = read_recognition_data(tmp_path, skip_missing=True, val_fraction=0)
    assert [e.path.name for e in data.examples] == ["a.mp4"]
    assert data.warnings[0] == "left out: annotations.csv line 2: x.mp4 not found (1 more)"
    write_csv(tmp_path, "path,label\nx.mp4,go\n")
    assert "no video to read: annotations.csv line 2: x.mp4 not found" in str(refusal(tmp_path, skip_missing=True))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf\n\n", "the file is empty"),
        (b"a.mp4,walk\n", "line 1: no column 'path'"),
        (b"path,class\na.mp4,walk\n", "line 1: no column 'label'"),
        (b"path,label\n", "no video to read"),
        (
            "path,label\na.mp4,go\nb.mp4,rückwärts\n".encode("latin-1"),
            "line 3: byte 0xfc is no UTF-8; save the file as",
        ),
        ("path,label\na.mp4,go\n".encode("utf-16"), "line 1: byte 0xff is no UTF-8"),
        (b"path,label\na.mp4," + b"x" * 200_000, "line 2: field larger than field limit"),
    ],
)
def test_csv_that_is_no_table_is_one_line(tmp_path: Path, content: bytes, complaint: str) -> None:
    write_csv(tmp_path, "")
    (tmp_path / "annotations.csv").write_bytes(content)
    assert complaint in str(refusal(tmp_path))


def test_column_that_is_not_known_is_said(tmp_path: Path) -> None:
    data = read_recognition_data(write_csv(tmp_path, "path,label,start\na.mp4,go,3\n"))
    assert any("columns not used: start" in warning for warning in data.warnings)


@given(content=st.binary(max_size=60) | st.text(alphabet='path,label\n\r";\t\0aé.mp4-0', max_size=60).map(str.encode))
@settings(deadline=None)
def test_any_csv_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    root = touch(tmp_path_factory.mktemp("csv"), "a.mp4")
    (root / "annotations.csv").write_bytes(b"path,label,start_s\na.mp4,go,\n" + content)
    try:
        data = read_recognition_data(root)
    except DataError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017
    else:
        assert all(example.path.exists() for example in data.examples)


def test_group_given_by_the_user_must_not_be_torn(tmp_path: Path) -> None:
    write_csv(tmp_path, "path,label,split,group\na.mp4,go,train,anna\nb.mp4,go,test,anna\n")
    assert "clips of 'anna' are in test and train; give each group one split" in str(refusal(tmp_path))


# ---- official lists

UCF = [
    f"{name}/v_{name}_g{group:02d}_c{clip:02d}.avi"
    for name in ("Zorbing", "Archery")
    for group in range(1, 7)
    for clip in (1, 2)
]


def ucf101(root: Path, *, videos: str = "UCF-101/{}", lists: str = "ucfTrainTestlist") -> Path:
    """Two classes, numbered against the alphabet; groups 1 and 2 are for the test."""
    touch(root, *(videos.format(name if "{}" in videos else Path(name).name) for name in UCF))
    (root / lists).mkdir(exist_ok=True)
    test = [name for name in UCF if re.search("_g0[12]_", name)]
    number = {"Zorbing": 1, "Archery": 2}
    (root / lists / "classInd.txt").write_text("1 Zorbing\r\n2 Archery\r\n\r\n")
    (root / lists / "trainlist01.txt").write_text(
        "".join(f"{name} {number[name.split('/')[0]]}\r\n" for name in UCF if name not in test)
    )
    (root / lists / "testlist01.txt").write_text("".join(f"{name}\r\n" for name in test))
    return root


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


def hmdb51(root: Path) -> Path:
    names = {
        label: [
            f"{movie}_{label}_u_nm_np1_ba_goo_{clip}.avi" for movie in ("Up", "Alpha_1", "#9(x)") for clip in (0, 1)
        ]
        for label in ("brush_hair", "wave")
    }
    lists = root / "testTrainMulti_7030_splits"
    lists.mkdir()
    for label, files in names.items():
        touch(root, *(f"{label}/{name}" for name in files))
        codes = ["1", "1", "2", "2", "1", "0"]
        (lists / f"{label}_test_split1.txt").write_text(
            "".join(f"{name} {code} \n" for name, code in zip(files, codes, strict=True))
        )
    return root


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


# ---- groups and the division


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("v_Archery_g08_c01.avi", "v_Archery_g08"),
        ("April_09_brush_hair_u_nm_np1_ba_goo_0.avi", "April_09_brush_hair"),
        ("-aB_1_000010_000020.mp4", "-aB_1"),
        ("kitchen_clip03.mp4", "kitchen"),
        ("kitchen-seg-12.mov", "kitchen"),
        ("kitchen_c3", "kitchen"),
        ("kitchen-7.mp4", "kitchen"),
        ("20240115_101530.mp4", None),
        ("IMG_0001.MOV", None),
        ("walk3.mp4", None),
        ("c01.mp4", None),
        ("-7.mp4", None),
    ],
)
def test_source_video_from_a_clip_name(name: str, source: str | None) -> None:
    assert source_of(Path(name)) == source


def test_numbered_videos_are_not_taken_for_clips_of_one(tmp_path: Path) -> None:
    touch(
        tmp_path, *(f"jump/jump-{number}.mp4" for number in range(5)), *(f"run/{c}-{n}.mp4" for c in "ab" for n in "12")
    )
    data = read_recognition_data(tmp_path)
    assert Counter(e.label for e in data.split("val")) == {"jump": 1, "run": 2}
    assert {e.group for e in data.examples if e.label == "run"} == {"a", "b"}
    assert any("taken as videos of their own, not as clips of 'jump'" in warning for warning in data.warnings)


def test_clips_of_one_video_in_two_splits_are_warned_of(tmp_path: Path) -> None:
    touch(tmp_path, "train/run/x_clip1.mp4", "train/run/y.mp4", "test/run/x_clip2.mp4", "val/run/z.mp4")
    assert any("clips of 'x' are in test and train" in warning for warning in read_recognition_data(tmp_path).warnings)


def test_division_does_not_depend_on_where_the_folder_lies(tmp_path: Path) -> None:
    names = [f"{label}/{number}.mp4" for label in ("a", "b") for number in range(20)]
    divisions = [
        by_split(read_recognition_data(touch(root, *names)), root)
        for root in (tmp_path / "one", tmp_path / "two" / "x")
    ]
    assert divisions[0] == divisions[1]
    assert by_split(read_recognition_data(tmp_path / "one", seed=1), tmp_path / "one") != divisions[0]


def test_class_of_one_video_stays_in_train(tmp_path: Path) -> None:
    touch(tmp_path, "a/only.mp4", "b/1.mp4", "b/2.mp4")
    data = read_recognition_data(tmp_path)
    assert Counter((e.split, e.label) for e in data.examples) == {("train", "a"): 1, ("train", "b"): 1, ("val", "b"): 1}
    assert any("class a" in warning for warning in data.warnings)


@pytest.mark.parametrize("val_fraction", [-0.1, 1.0, float("nan")])
def test_share_out_of_range_is_refused(val_fraction: float) -> None:
    with pytest.raises(ConfigError, match="val_fraction"):
        divide_train([], val_fraction=val_fraction, seed=0)


clips = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 8)), min_size=1, max_size=60)


@given(clips=clips, val_fraction=st.floats(0.01, 0.9), seed=st.integers(0, 9), order=st.randoms(use_true_random=False))
@settings(deadline=None)
def test_division_respects_groups_classes_and_share(
    clips: list[tuple[str, int]], val_fraction: float, seed: int, order: object
) -> None:
    examples = [
        RecognitionExample(Path(f"{label}{group}_{i}.mp4"), label, "train", group=f"{label}{group}")
        for i, (label, group) in enumerate(clips)
    ]
    divided, warnings = divide_train(examples, val_fraction=val_fraction, seed=seed)
    assert [e.path for e in divided] == [e.path for e in examples]
    assert torn_groups(divided) == []
    for label in {e.label for e in examples}:
        sizes = Counter(e.group for e in examples if e.label == label)
        in_val = sum(e.split == "val" for e in divided if e.label == label)
        if len(sizes) == 1:
            assert in_val == 0
            assert any(label in warning for warning in warnings) or len(warnings) == 1
        else:
            assert 0 < in_val < sum(sizes.values())
            assert in_val <= max(1, round(val_fraction * sum(sizes.values())), min(sizes.values()))
    shuffled = list(examples)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    again, _ = divide_train(shuffled, val_fraction=val_fraction, seed=seed)
    assert {e.path: e.split for e in again} == {e.path: e.split for e in divided}


def test_video_of_two_classes_is_not_torn() -> None:
    examples = [
        RecognitionExample(Path(f"{number}.mp4"), label, "train", start_s=start_s)
        for number in range(10)
        for label, start_s in (("a", 0.0), ("b", 5.0))
    ]
    grouped, _ = with_groups(examples, Path("."))
    divided, _ = divide_train(grouped, val_fraction=0.2, seed=0)
    assert torn_groups(divided) == []
    assert Counter(e.label for e in divided if e.split == "val") == {"a": 2, "b": 2}


# ---- readers from outside


@pytest.fixture
def toy_format() -> Iterator[str]:
    """Lines `class video` in a file named toy.txt."""

    def read(path: Path, options: ReadOptions) -> RecognitionData:
        rows = [line.split() for line in (path / "toy.txt").read_text().splitlines()]
        examples = tuple(RecognitionExample(path / video, label, "train") for label, video in rows)
        return RecognitionData(tuple(sorted({label for label, _ in rows})), examples, "toy")

    register_reader("toy", Reader(lambda path: (path / "toy.txt").is_file(), read))
    yield "toy"
    del READERS["toy"]


def test_reader_from_outside_is_asked_first(tmp_path: Path, toy_format: str) -> None:
    touch(tmp_path, "folder/a.mp4", "folder/b.mp4")
    (tmp_path / "toy.txt").write_text("run folder/a.mp4\nrun folder/b.mp4\n")
    data = read_recognition_data(tmp_path)
    assert data.name == "toy"
    assert Counter(e.split for e in data.examples) == {"train": 1, "val": 1}
    assert read_recognition_data(tmp_path, format="class-folders").labels == ("folder",)


def test_taken_reader_name_is_refused(toy_format: str) -> None:
    for name in (toy_format, "ucf101"):
        with pytest.raises(ConfigError, match=f"data format '{name}' is taken"):
            register_reader(name, READERS["ucf101"])


def test_two_lists_of_one_data_set_are_refused_with_the_way_out(tmp_path: Path) -> None:
    ucf101(tmp_path)
    write_csv(tmp_path, "path,label\n" + f"UCF-101/{UCF[0]},go\n")
    error = str(refusal(tmp_path))
    assert error == (
        f"{tmp_path}: can be read as ucf101 and as annotations-csv, which may disagree; name one file, or choose with "
        "--format ucf101"
    )
    assert len(read_recognition_data(tmp_path, format="ucf101").examples) == len(UCF)
    assert read_recognition_data(tmp_path / "annotations.csv").labels == ("go",)


def test_a_list_goes_before_the_folders_that_its_videos_lie_in(tmp_path: Path) -> None:
    touch(tmp_path, "train/walk/a.mp4", "train/run/b.mp4")
    write_csv(tmp_path, "path,label\ntrain/walk/a.mp4,go\n")
    assert read_recognition_data(tmp_path).labels == ("go",)
    assert read_recognition_data(tmp_path, format="split-folders").labels == ("run", "walk")
    (tmp_path / "annotations.csv").unlink()
    assert read_recognition_data(tmp_path).labels == ("run", "walk")


def test_a_list_finds_its_video_beside_a_picture_of_the_same_name(tmp_path: Path) -> None:
    ucf101(tmp_path)
    touch(tmp_path, f"thumbnails/{Path(UCF[0]).stem}.jpg", f"UCF-101/{Path(UCF[0]).with_suffix('.jpg')}")
    assert len(read_recognition_data(tmp_path).examples) == len(UCF)
