"""The JSON files of COCO, Karpathy, MSR-VTT and MSVD."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.data.captioning.layouts import EXPECTED, PICTURES, coco, csv, save, summary, write_pictures

from lrcn.data.captioning.readers import (
    holds_captions,
    read_caption_data,
)
from lrcn.errors import DataError


def karpathy() -> dict[str, Any]:
    splits = {"train": "restval", "val": "val", "test": "test"}
    return {
        "dataset": "flickr8k",
        "images": [
            {
                "imgid": i,
                "filename": name,
                "split": splits[split],
                "sentences": [{"raw": caption, "tokens": caption.split()} for caption in captions],
            }
            for i, (name, (split, captions)) in enumerate(PICTURES.items())
        ],
    }


def msr_vtt() -> dict[str, Any]:
    return {
        "videos": [
            {"video_id": Path(n).stem, "split": "validate" if s == "val" else s, "start time": 10.0, "end time": 20.0}
            for n, (s, _) in PICTURES.items()
        ],
        "sentences": [
            {"video_id": Path(n).stem, "sen_id": 1, "caption": c} for n, (_, cs) in PICTURES.items() for c in cs
        ],
    }


def test_coco_files_of_two_splits(tmp_path: Path) -> None:
    write_pictures(tmp_path / "images")
    for split in ("train", "val", "test"):
        save(tmp_path / "annotations" / f"captions_{split}2014.json", coco(split))
    save(tmp_path / "annotations" / "instances_train2014.json", {"images": [], "annotations": [{"bbox": [0, 0, 1, 1]}]})
    data = read_caption_data(tmp_path)
    assert sorted(summary(data)) == EXPECTED
    one = read_caption_data(tmp_path / "annotations" / "captions_test2014.json")
    assert summary(one) == EXPECTED[3:]


def test_karpathy(tmp_path: Path) -> None:
    write_pictures(tmp_path / "Flicker8k_Dataset")
    save(tmp_path / "dataset_flickr8k.json", karpathy())
    assert summary(read_caption_data(tmp_path)) == EXPECTED


def test_karpathy_gives_the_folder_of_each_picture(tmp_path: Path) -> None:
    content = karpathy()
    for image in content["images"]:
        image["filepath"] = image["split"]
        write_pictures(tmp_path / image["split"], [image["filename"]])
        write_pictures(tmp_path / "other", [image["filename"]])
    save(tmp_path / "dataset_coco.json", content)
    data = read_caption_data(tmp_path)
    assert summary(data) == EXPECTED
    assert {example.path.parent.name for example in data.examples} == {"restval", "val", "test"}


def test_msr_vtt_and_msvd(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.webm", "c.avi"):
        save(tmp_path / "videos" / name, "")
    write_pictures(tmp_path / "videos" / "d", ["1.png"])  # a folder of frames
    expected = [(Path(name).stem, split, captions) for name, split, captions in EXPECTED]
    msvd = {Path(n).stem: cs for n, (_, cs) in PICTURES.items()}
    for i, content in enumerate((msr_vtt(), msvd)):
        folder = tmp_path / str(i)
        folder.mkdir()
        (folder / "clips").symlink_to(tmp_path / "videos")
        if i:
            for split in ("train", "val", "test"):
                save(
                    folder / f"{split}_list.txt",
                    "".join(f"{Path(n).stem}\n" for n, (s, _) in PICTURES.items() if s == split),
                )
        save(folder / "captions.json", content)
        # a link to a folder of videos is followed only where it is named
        (folder / "clips").unlink()
        (tmp_path / "videos").rename(folder / "videos")
        data = read_caption_data(folder)
        assert [(name.split(".")[0], split, captions) for name, split, captions in summary(data)] == expected
        assert all(example.start_s == 0 and example.end_s is None for example in data.examples)
        (folder / "videos").rename(tmp_path / "videos")


def without(content: dict[str, Any], *keys: Any) -> dict[str, Any]:
    inner: Any = content
    for key in keys[:-1]:
        inner = inner[key]
    del inner[keys[-1]]
    return content


def changed(content: dict[str, Any], *keys: Any) -> dict[str, Any]:
    inner: Any = content
    for key in keys[:-2]:
        inner = inner[key]
    inner[keys[-2]] = keys[-1]
    return content


BAD_JSON = [
    (without(coco(), "images"), "no list 'images'; found 'info', 'annotations'"),
    (without(coco(), "annotations", 1, "caption"), "x.json annotation 1: no 'caption'"),
    (without(coco(), "images", 0, "file_name"), "x.json image 0: no 'file_name'"),
    (changed(coco(), "annotations", 0, "image_id", 99), "x.json annotation 0: its image 99 is not under 'images'"),
    (changed(coco(), "annotations", 2, "caption", ""), "x.json annotation 2: the caption is empty"),
    (changed(coco(), "annotations", 2, "caption", None), "x.json annotation 2: the caption is None; expected text"),
    (changed(coco(), "annotations", 2, "a dog"), "x.json annotation 2: 'a dog' is no object"),
    (changed(coco(), "images", 1, "id", 10), "x.json image 1: image 10 is there twice"),
    (changed(coco(), "images", 1, "file_name", "a.jpg"), "x.json image 1: a.jpg is 11 here, but 10 in x.json image 0"),
    (without(karpathy(), "images", 2, "split"), "x.json image 2: no 'split'"),
    (without(karpathy(), "images", 0, "sentences", 1, "raw"), "x.json image 0 sentence 1: no 'raw'"),
    (changed(karpathy(), "images", 3, "split", "tset"), "x.json image 3: unknown split 'tset'"),
    (changed(karpathy(), "images", 3, "sentences", "a boat"), "x.json image 3: 'sentences' is no list"),
    (without(msr_vtt(), "sentences", 0, "video_id"), "x.json sentence 0: no 'video_id'"),
    (changed(msr_vtt(), "sentences", 0, "video_id", "z"), "x.json sentence 0: its video z is not under 'videos'"),
    ({"a": ["a dog"], "b": ["a cat", 3]}, "x.json 'b' sentence 1: the caption is 3; expected text"),
    ({"hello": 1}, "no captions recognised: expected 'images' and 'annotations' (COCO)"),
    ([1, 2], "found a list"),
    ("{", "x.json line 1: no JSON"),
]


@pytest.mark.parametrize(("content", "message"), BAD_JSON)
def test_bad_json_is_one_line_with_its_place(content: Any, message: str, tmp_path: Path) -> None:
    write_pictures(tmp_path, [*PICTURES, "a.mp4.jpg", "b.png"])
    with pytest.raises(DataError) as caught:
        read_caption_data(save(tmp_path / "x.json", content))
    assert any(message in problem for problem in (*caught.value.problems, str(caught.value)))
    assert "\n" not in str(caught.value)


def test_two_files_that_disagree(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    save(tmp_path / "captions_train.json", coco())
    save(tmp_path / "captions_val.json", coco())
    with pytest.raises(DataError, match=r"a.jpg is in val here, but in train in captions_train.json image 0; keep one"):
        read_caption_data(tmp_path)
    save(tmp_path / "captions.csv", csv())
    with pytest.raises(DataError, match="as captions-csv and as coco-captions, which may disagree"):
        read_caption_data(tmp_path)
    assert summary(read_caption_data(tmp_path, format="captions-csv")) == EXPECTED


def test_lists_of_msvd_that_disagree(tmp_path: Path) -> None:
    save(tmp_path / "v.mp4", "")
    save(tmp_path / "x.json", {"v": ["a dog"], "w": ["a cat"]})
    save(tmp_path / "train_list.txt", "v\n")
    save(tmp_path / "test_list.txt", "v\n")
    with pytest.raises(DataError) as caught:
        read_caption_data(tmp_path)
    assert caught.value.problems == (
        "test_list.txt line 1: v is in test here, but in train in train_list.txt line 1",
        "x.json 'w': in none of train_list.txt, val_list.txt and test_list.txt",
    )


def test_pictures_without_captions_are_left_out_with_a_warning(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    content = coco()
    content["annotations"] = content["annotations"][:2]
    data = read_caption_data(save(tmp_path / "x.json", content), val_fraction=0)
    assert [example.path.name for example in data.examples] == ["a.jpg"]
    assert data.warnings == ("3 without captions left out, the first is b.jpg",)


def test_a_name_with_folders_is_found_below_but_never_in_another_folder(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures" / "dogs", ["1.jpg"])
    save(tmp_path / "captions.csv", "path,caption\ndogs/1.jpg,a dog\n")
    (example,) = read_caption_data(tmp_path, val_fraction=0).examples
    assert example.path == tmp_path / "pictures" / "dogs" / "1.jpg"
    save(tmp_path / "captions.csv", "path,caption\ndogs/1.jpg,a dog\ncats/1.jpg,a cat\n")
    with pytest.raises(DataError, match=r"captions\.csv line 3: cats/1\.jpg") as caught:
        read_caption_data(tmp_path)
    assert len(caught.value.problems) <= 1


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("captions_TEST", "test"),
        ("Captions_Val2014", "val"),
        ("captions_validation", "val"),
        ("train", "train"),
        ("captions_valid", "val"),
        ("captions_dev", "val"),
        ("captions_minival2014", "val"),
        ("captionsVal", "val"),
        ("testset", "test"),
        ("captions_trainval", "train"),
        ("captions_latest", "train"),
        ("captions_retrieval", "train"),
        ("evaluation_train", "train"),
        ("captions", "train"),
    ],
)
def test_the_split_of_a_coco_file_is_a_part_of_its_name(tmp_path: Path, name: str, split: str) -> None:
    write_pictures(tmp_path)
    file = save(tmp_path / f"{name}.json", coco())
    assert {example.split for example in read_caption_data(file, val_fraction=0).examples} == {split}


def test_lists_of_class_names_are_no_captions(tmp_path: Path) -> None:
    save(tmp_path / "classes.json", {"classes": ["walk", "run"]})
    assert not holds_captions(tmp_path)
    save(tmp_path / "captions.json", {"a": ["a dog runs"], "b": ["two cats"]})
    assert holds_captions(tmp_path)


def test_a_number_of_thousands_of_digits_is_one_line(tmp_path: Path) -> None:
    file = save(tmp_path / "x.json", '{"images": ' + "1" * 5000 + "}")
    with pytest.raises(DataError, match=r"x\.json: no JSON that can be read"):
        read_caption_data(file)


def test_a_json_file_that_is_cut_short_is_warned_of(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    save(tmp_path / "annotations" / "captions_train.json", coco("train"))
    save(tmp_path / "annotations" / "captions_val.json", json.dumps(coco("val"))[:-10])
    (warning,) = read_caption_data(tmp_path).warnings
    assert warning == "captions_val.json: left out, it is no JSON that can be read"
    other = {("annotation" if name == "annotations" else name): value for name, value in coco("val").items()}
    save(tmp_path / "annotations" / "captions_val.json", other)
    (warning,) = read_caption_data(tmp_path).warnings
    assert warning == "captions_val.json: left out, no captions are recognised in it"
