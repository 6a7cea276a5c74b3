"""Text files of sentences."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.data.captioning.layouts import save

from lrcn.data.captioning.readers import (
    holds_captions,
    read_caption_data,
)
from lrcn.errors import DataError


def test_a_text_file_holds_captions_for_those_who_need_no_picture(tmp_path: Path) -> None:
    file = save(tmp_path / "s.txt", "a dog runs\n")
    assert holds_captions(file)
    assert read_caption_data(file, need_files=False).examples[0].captions == ("a dog runs",)
    with pytest.raises(DataError, match=r"s\.txt: sentences without pictures; they go with --objective sentences only"):
        read_caption_data(file)
