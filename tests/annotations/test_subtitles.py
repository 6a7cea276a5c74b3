"""Subtitles of bouts."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrcn.annotations.formats import write_annotations
from lrcn.bouts import Annotations, Bout, Recording

BOUTS = (Bout("run", 0.5, 3661.25, "m<1>", ("fast",), prob=0.876), Bout("jump --> up", 2.0, 2.0))


@pytest.mark.parametrize(
    ("suffix", "expected"),
    [
        (
            ".srt",
            "1\n00:00:00,500 --> 01:01:01,250\nm(1): run (fast) 88%\n\n2\n00:00:02,000 --> 00:00:02,500\njump → up\n",
        ),
        (
            ".vtt",
            "WEBVTT\n\n1\n00:00:00.500 --> 01:01:01.250\nm&lt;1&gt;: run (fast) 88%\n\n"
            "2\n00:00:02.000 --> 00:00:02.500\njump → up\n",
        ),
    ],
)
def test_bouts_are_shown_while_they_last(suffix: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    write_annotations(Annotations("x", (Recording("a", None, BOUTS),), ("run",)), path)
    assert path.read_text(encoding="utf-8") == expected
