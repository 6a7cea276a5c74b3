"""What all layouts of captions have in common, and which reader reads a path."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.data.captioning.layouts import EXPECTED, coco, csv, save, summary, write_pictures

from lrcn.data.captioning.readers import (
    READERS,
    CaptionData,
    CaptionExample,
    CaptionReader,
    CaptionReadOptions,
    holds_captions,
    read_caption_data,
    register_caption_reader,
)
from lrcn.errors import ConfigError, DataError, UnknownNameError
from lrcn.text.tokenise import tokenise


def test_vectors_need_no_files(tmp_path: Path) -> None:
    file = save(tmp_path / "captions.csv", csv())
    with pytest.raises(DataError, match=r"a.jpg not found \(3 more\); put the files there"):
        read_caption_data(file)
    assert summary(read_caption_data(file, need_files=False)) == EXPECTED


def test_missing_files_may_be_left_out(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["b.jpg", "c.jpg", "d.jpg"])
    save(tmp_path / "captions.csv", csv())
    data = read_caption_data(tmp_path, skip_missing=True)
    assert summary(data) == EXPECTED[1:]
    assert data.warnings == ("left out: captions.csv line 2: a.jpg not found",)


def test_val_is_made_of_train_by_files(tmp_path: Path) -> None:
    names = [f"{i}.jpg" for i in range(20)]
    write_pictures(tmp_path, names)
    rows = [f"{name},a dog,{start},{start + 1}" for name in names for start in (0, 1)]
    save(tmp_path / "captions.csv", "\n".join(["path,caption,start_s,end_s", *rows]))
    data = read_caption_data(tmp_path)
    val = {example.path for example in data.split("val")}
    assert len(val) == 4
    assert val.isdisjoint(example.path for example in data.split("train"))
    assert len({example.key for example in data.examples}) == 40
    assert read_caption_data(tmp_path) == data
    assert read_caption_data(tmp_path, seed=1) != data
    assert {example.split for example in read_caption_data(tmp_path, val_fraction=0).examples} == {"train"}


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        write_pictures(tmp_path / folder)
    with pytest.raises(DataError, match="two files of this name"):
        read_caption_data(save(tmp_path / "x.json", coco()))


def test_what_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no captions recognised here; write captions\.csv"):
        read_caption_data(tmp_path)
    with pytest.raises(DataError, match="no such folder or captions file"):
        read_caption_data(tmp_path / "nowhere")
    with pytest.raises(UnknownNameError, match="did you mean 'karpathy'"):
        read_caption_data(tmp_path, format="karpaty")
    with pytest.raises(DataError, match="no column 'caption'"):
        read_caption_data(save(tmp_path / "captions.csv", "path,label\na.jpg,dog\n"))
    with pytest.raises(ConfigError, match="val_fraction"):
        read_caption_data(tmp_path, val_fraction=1.5)
    with pytest.raises(ConfigError, match="is taken"):
        register_caption_reader("msvd", READERS["msvd"])
    assert not holds_captions(tmp_path / "nowhere")


def test_one_file_under_two_names_is_in_one_split(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["a.jpg"])
    save(tmp_path / "captions.csv", "path,caption,split\na.jpg,a dog,train\n./a.jpg,a dog,test\n")
    with pytest.raises(DataError, match=r"captions\.csv line 3: \./a\.jpg is in test, but .*a\.jpg is in train"):
        read_caption_data(tmp_path)


def test_parts_that_begin_close_together_stay_apart(tmp_path: Path) -> None:
    save(tmp_path / "v.mp4", "")
    rows = "v.mp4,one,1234.561,1240\nv.mp4,two,1234.564,1240\n"
    save(tmp_path / "captions.csv", f"path,caption,start_s,end_s\n{rows}")
    assert [example.captions for example in read_caption_data(tmp_path, val_fraction=0).examples] == [
        ("one",),
        ("two",),
    ]


def test_sentences_of_equal_words_lie_in_one_split(tmp_path: Path) -> None:
    file = save(tmp_path / "s.txt", "".join(f"a man {i}.\nA man {i}\n" for i in range(200)))
    splits: dict[str, set[str]] = {}
    for example in read_caption_data(file, need_files=False).examples:
        splits.setdefault(" ".join(tokenise(example.captions[0])), set()).add(example.split)
    assert len(splits) == 200
    assert all(len(found) == 1 for found in splits.values())
    assert {split for found in splits.values() for split in found} == {"train", "val"}


def test_one_word_captions_are_captions_too(tmp_path: Path) -> None:
    for name in ("000.mp4", "001.mp4"):
        save(tmp_path / name, "")
    save(tmp_path / "c.json", {"000": ["running"], "001": ["a dog"]})
    assert [example.captions for example in read_caption_data(tmp_path, val_fraction=0).examples] == [
        ("running",),
        ("a dog",),
    ]


def test_half_a_character_is_no_caption(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    content = coco()
    content["annotations"][1]["caption"] = "a dog \ud83d runs"
    save(tmp_path / "captions_train.json", content)
    with pytest.raises(DataError, match=r"captions_train\.json annotation 1: .* holds half a character"):
        read_caption_data(tmp_path)


def test_a_video_goes_before_a_picture_of_its_name_and_pictures_will_do(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.jpg", "b.png"):
        save(tmp_path / name, "")
    save(tmp_path / "c.json", {"a": ["a dog runs"], "b": ["two cats"]})
    paths = [example.path.name for example in read_caption_data(tmp_path, val_fraction=0).examples]
    assert paths == ["a.mp4", "b.png"]


def test_a_reader_from_outside_goes_first(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["a.jpg"])
    save(tmp_path / "captions.csv", "path,caption\na.jpg,a dog\n")

    def read(path: Path, options: CaptionReadOptions) -> CaptionData:
        return CaptionData((CaptionExample(path / "a.jpg", ("mine",), "train"),), "mine")

    register_caption_reader("mine", CaptionReader(lambda path: (path / "captions.csv").is_file(), read))
    try:
        assert read_caption_data(tmp_path, val_fraction=0).examples[0].captions == ("mine",)
        assert read_caption_data(tmp_path, format="captions-csv").examples[0].captions == ("a dog",)
    finally:
        del READERS["mine"]
