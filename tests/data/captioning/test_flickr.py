"""Flickr8k and Flickr30k in the forms in which they are handed around."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrcn.data.captioning.readers import CaptionData, holds_captions, read_caption_data
from lrcn.errors import DataError

SENTENCES = {"1_a.jpg": ["A dog , running .", "The dog runs"], "2_b.jpg": ["Two cats", 'A "big" cat']}

FORMS = {
    "Flickr8k.token.txt": ("", "{name}#{number}\t{sentence}\n"),
    "results_20130124.token": ("", "{name}#{number}\t{sentence}\n"),
    "captions.txt": ("image,caption\n", '{name},"{quoted}"\n'),
    "results.csv": ("image_name| comment_number| comment\n", "{name}| {number}| {sentence}\n"),
}


def _write(root: Path, form: str, extra: str = "") -> Path:
    (root / "Images").mkdir(parents=True)
    for name in SENTENCES:
        (root / "Images" / name).touch()
    head, row = FORMS[form]
    rows = [
        row.format(name=name, number=number, sentence=sentence, quoted=sentence.replace('"', '""'))
        for name, sentences in SENTENCES.items()
        for number, sentence in enumerate(sentences)
    ]
    (root / form).write_text(head + "".join(rows) + extra)
    return root


def _captions(data: CaptionData) -> dict[str, list[str]]:
    return {example.path.name: list(example.captions) for example in data.examples}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same(tmp_path: Path, form: str) -> None:
    root = _write(tmp_path / "set", form)
    for path in (root, root / form):
        assert holds_captions(path)
        data = read_caption_data(path, val_fraction=0)
        assert _captions(data) == SENTENCES
        assert {example.split for example in data.examples} == {"train"}
        assert all(example.path.parent == root / "Images" for example in data.examples)


def test_the_makers_lists_are_the_splits(tmp_path: Path) -> None:
    root = _write(tmp_path, "Flickr8k.token.txt")
    (root / "Flickr_8k.trainImages.txt").write_text("1_a.jpg\n")
    (root / "Flickr_8k.testImages.txt").write_text("2_b.jpg\n")
    data = read_caption_data(root, val_fraction=0)
    assert {example.path.name: example.split for example in data.examples} == {"1_a.jpg": "train", "2_b.jpg": "test"}


def test_photographs_in_no_list_are_counted(tmp_path: Path) -> None:
    root = _write(tmp_path, "Flickr8k.token.txt")
    (root / "Flickr_8k.trainImages.txt").write_text("1_a.jpg\n")
    data = read_caption_data(root, val_fraction=0)
    assert [example.path.name for example in data.examples] == ["1_a.jpg"]
    assert data.warnings == ("1 photographs are in none of the splits' lists and left out",)


def test_the_row_of_flickr30k_that_lacks_a_bar_is_read(tmp_path: Path) -> None:
    root = _write(tmp_path, "results.csv", "2_b.jpg| 4   A dog runs across the grass .\n")
    assert _captions(read_caption_data(root))["2_b.jpg"][-1] == "A dog runs across the grass ."


@pytest.mark.parametrize(
    ("form", "row", "line", "what"),
    [
        ("Flickr8k.token.txt", "2258277193.jpg.1#0\tA dog\n", 5, "2258277193.jpg.1 not found"),
        ("Flickr8k.token.txt", "no tab here\n", 5, "names no photograph and sentence"),
        ("captions.txt", "1_a.jpg,\n", 6, "the caption is empty"),
        ("captions.txt", "lonely\n", 6, "expected image,caption"),
    ],
)
def test_a_bad_row_is_named_and_can_be_left_out(tmp_path: Path, form: str, row: str, line: int, what: str) -> None:
    root = _write(tmp_path, form, row)
    with pytest.raises(DataError, match=f"{form} line {line}: .*{what}"):
        read_caption_data(root)
    data = read_caption_data(root, skip_missing=True)
    assert _captions(data) == SENTENCES
    assert f"line {line}" in data.warnings[0]
