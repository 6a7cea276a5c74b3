"""`captions.csv`: its columns, and what is wrong by its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.data.captioning.layouts import EXPECTED, PICTURES, csv, save, summary, write_pictures

from lrcn.data.captioning.readers import (
    holds_captions,
    read_caption_data,
)
from lrcn.errors import DataError


def test_captions_csv(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    file = save(tmp_path / "captions.csv", csv())
    for path in (tmp_path, file):
        data = read_caption_data(path)
        assert summary(data) == EXPECTED
        assert [example.key for example in data.examples] == list(PICTURES)
        assert data.warnings == ()
        assert holds_captions(path)


BAD_ROWS = [
    ("a.jpg,,train", "line 2: the caption is empty"),
    ('a.jpg,"  ",train', "line 2: the caption is empty"),
    ("a.jpg,...,train", "line 2: the caption '...' holds no word"),
    (",a dog,train", "line 2: the path is empty"),
    ("a.jpg,a dog,trian", "line 2: unknown split 'trian'; did you mean 'train'?"),
    ("a.jpg,a dog, a cat,train", "line 2: 4 cells for 3 columns; quote cells that hold a comma"),
    ("a.jpg,a dog,train\na.jpg,a cat,test", "line 3: a.jpg is in test here, but in train in captions.csv line 2"),
]


@pytest.mark.parametrize(("rows", "message"), BAD_ROWS)
def test_a_bad_row_of_the_csv_is_named(rows: str, message: str, tmp_path: Path) -> None:
    write_pictures(tmp_path)
    save(tmp_path / "captions.csv", f"path,caption,split\n{rows}\nb.jpg,a cat,train\n")
    with pytest.raises(DataError) as caught:
        read_caption_data(tmp_path)
    assert f"captions.csv {message}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_bad_rows_are_listed_at_once(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    save(tmp_path / "captions.csv", "path,caption,split\na.jpg,,train\nnowhere.jpg,a cat,train\nb.jpg,a cat,now\n")
    with pytest.raises(DataError, match=r"line 2: .*\(2 more\)") as caught:
        read_caption_data(tmp_path)
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "captions.csv line 2",
        "captions.csv line 4",
        "captions.csv line 3",
    ]
