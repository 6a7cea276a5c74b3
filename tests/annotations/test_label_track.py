"""Label tracks of Audacity."""

from __future__ import annotations

from tests.annotations.conftest import ReadText

from lrcn.bouts import Bout


def test_lines_are_bouts_of_the_video_of_that_name(read_text: ReadText) -> None:
    text = "0.500000\t1.250000\trun away\n\\\t200.0\t4000.0\n2,5\t2,5\tjump\n3\t2\trun\n4\t5\t\nnoise\n"
    found = read_text("mouse.txt", text)
    (one,) = found.recordings
    assert one.bouts == (Bout("run away", 0.5, 1.25), Bout("jump", 2.5, 2.5))
    assert (one.name, one.path and one.path.name, one.looked_at) == ("mouse", "mouse", None)
    assert [line.place for line in found.skipped] == [f"mouse.txt line {line}" for line in (4, 5, 6)]
    assert found.num_events == 5
