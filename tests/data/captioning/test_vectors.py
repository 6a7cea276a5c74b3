"""Ready vectors and sentences from files: what is read, and what is refused in one line."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lrcn.data.captioning.readers import read_caption_data
from lrcn.data.captioning.sentences import VAL_SHARE
from lrcn.data.captioning.vectors import read_vectors
from lrcn.errors import DataError


def test_rows_of_one_id_are_a_sequence(tmp_path: Path) -> None:
    path = tmp_path / "v.csv"
    path.write_text("id,v1,v2\na,1,2\nb,3,4\na,5,6e-1\n\n")
    found = read_vectors(path)
    assert list(found) == ["a", "b"]
    np.testing.assert_array_equal(found["a"], np.array([[1, 2], [5, 0.6]], dtype=np.float32))
    assert found["b"].shape == (1, 2)


def test_tensors_of_one_and_two_dimensions(tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    save_file({"a": torch.arange(3), "b": torch.randn(4, 3).half()}, path)
    found = read_vectors(str(path))
    assert {key: (rows.shape, rows.dtype.name) for key, rows in found.items()} == {
        "a": ((1, 3), "float32"),
        "b": ((4, 3), "float32"),
    }


def _header(dtype: str, shape: list[int], size: int) -> bytes:
    """A file of one tensor as its own header describes it."""
    text = json.dumps({"a": {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(text)) + text + bytes(size)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("v.csv", "name,v1\na,1\n", "line 1: expected a header: id"),
        ("v.csv", "id,v1\n", "no vectors in it"),
        ("v.csv", "", "line 1: expected a header: id"),
        ("v.csv", "id,v1,v2\na,1,2\nb,1\n", "line 3: 2 columns, the header has 3"),
        ("v.csv", "id,v1\na,x\n", "line 2: could not convert string to float: 'x'"),
        ("v.csv", "id,v1\na,nan\n", "'a' holds a value that is no finite number"),
        ("v.csv", b"id,v\n\xff\xfe,1\n", "no CSV text"),
        ("v.safetensors", b"\0\0", "no .safetensors file, or damaged"),
        ("v.safetensors", _header("F6_E3M2", [8], 6), "no .safetensors file, or damaged"),
        ("v.safetensors", _header("F4", [2], 1), "no .safetensors file, or damaged"),
        ("v.safetensors", _header("F32", [2**62, 0], 0), "no .safetensors file, or damaged"),
        ("v.safetensors", _header("F32", [2**62], 4), "no .safetensors file, or damaged"),
    ],
)
def test_bad_files_are_one_line(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError) as caught:
        read_vectors(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_tensors_that_do_not_go_together_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    for tensors, message in [
        ({"a": torch.ones(2), "b": torch.ones(3)}, r"'a' has 2 values and 'b' 3|'b' has 3 values and 'a' 2"),
        ({"a": torch.ones(1, 2, 3)}, r"'a' is \(1, 2, 3\); expected \(values,\) or \(steps, values\)"),
        ({"a": torch.ones(0, 3)}, "'a' has no values"),
    ]:
        save_file(tensors, path)
        with pytest.raises(DataError, match=message):
            read_vectors(path)
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_vectors(tmp_path / "none.csv")


def test_equal_sentences_lie_in_one_split(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_text("\n".join(f"sentence {number % 500} here" for number in range(1000)) + "\n\n  \n")
    data = read_caption_data(path, need_files=False)
    assert len(data.examples) == 1000
    splits: dict[str, set[str]] = {}
    for example in data.examples:
        splits.setdefault(example.captions[0], set()).add(example.split)
    assert {len(found) for found in splits.values()} == {1}
    held_out = sum(example.split == "val" for example in data.examples)
    assert 0.5 < held_out * VAL_SHARE / 1000 < 1.6
    assert len({example.key for example in data.examples}) == 1000


def test_texts_that_are_none_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_text("\n \n")
    with pytest.raises(DataError, match="no sentence in it; expected one a line"):
        read_caption_data(path, need_files=False)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="line 1: byte 0xff is no UTF-8"):
        read_caption_data(path, need_files=False)
    with pytest.raises(DataError, match="no such folder or captions file"):
        read_caption_data(tmp_path / "none.txt", need_files=False)
