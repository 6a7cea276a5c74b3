"""What is shown and written of an upload is what the predictor says of it."""

from __future__ import annotations

import csv
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import MakeClip, textured_frames
from tests.demo.conftest import EVIL

from lrcn.annotations.formats import read_annotations
from lrcn.demo.looking import MOST_ROWS, Answer, look
from lrcn.demo.markup import percent
from lrcn.errors import MediaError
from lrcn.inference.captioning.predictor import Captioner
from lrcn.inference.recognition.explaining import explain
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.inference.recognition.timeline import timeline
from lrcn.writers import WRITERS


class Shown(HTMLParser):
    """The texts of a page by their place, and how many there are of each tag."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.tables: list[str] = []
        self._cell = False
        self.feed(answer.page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._cell = tag == "td"
        if tag == "table":
            self.tables.append(dict(attrs)["class"] or "")
        if tag == "tr":
            self.rows.append([])

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.rows[-1].append(data)
            self._cell = False
        if data.strip():
            self.texts.append(data.strip())

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


@pytest.fixture(scope="module")
def recognizer(bouts_model: Path) -> Recognizer:
    return Recognizer.load(bouts_model, device="cpu")


def seconds(time: str) -> float:
    minutes, rest = time.split(":")
    return 60 * int(minutes) + float(rest)


def nothing(done_s: float) -> None:
    """The progress of most tests."""


def test_a_video_is_shown_and_written_as_the_recognizer_sees_it(
    recognizer: Recognizer, clip20: Path, tmp_path: Path
) -> None:
    done: list[float] = []
    answer = look(recognizer, clip20, tmp_path, on_progress=done.append)
    result, found = recognizer(clip20), recognizer.find_bouts(clip20)
    assert done
    assert done == sorted(done)
    page = Shown(answer)
    assert page.texts[:2] == [result.label, percent(result.top[0].prob)]
    assert page.tables == ["bouts", "stretches"]
    rows = [row for row in page.rows if row]
    expected = [(one.start_s, one.end_s, one.label) for one in (*found.bouts, *timeline(result))]
    assert len(expected) > 2
    assert [label for _, _, label, _ in rows] == [label for _, _, label in expected]
    times = [(seconds(start), seconds(end)) for start, end, _, _ in rows]
    np.testing.assert_allclose(times, [(start_s, end_s) for start_s, end_s, _ in expected], atol=0.051)
    written = {path.name: path for path in answer.files}
    formats = [writer for writer in WRITERS.values() if "recognition" in writer.tasks]
    assert len(written) == len(formats) + 2
    assert all(path.stat().st_size for path in answer.files)
    line = json.loads(written["clip20.jsonl"].read_text())
    assert line["source"] == "clip20.avi"
    assert [segment["top"] for segment in line["segments"]] == [
        segment["top"] for segment in result.to_dict()["segments"]
    ]
    assert [bout["label"] for bout in line["bouts"]] == [bout.label for bout in found.bouts]
    kept = read_annotations(written["clip20.bouts.csv"]).recordings[0].bouts
    assert [(b.label, b.start_s) for b in kept] == [(b.label, pytest.approx(b.start_s)) for b in found.bouts]
    with written["clip20.window-probs.csv"].open(newline="") as file:
        probs = [[float(value) for value in row[3:]] for row in list(csv.reader(file))[1:]]
    np.testing.assert_allclose(probs, [list(segment.probs) for segment in result.segments], rtol=1e-5)


def test_the_frames_that_decided_are_those_of_the_explanation(
    recognizer: Recognizer, clip20: Path, tmp_path: Path
) -> None:
    result = recognizer(clip20)
    best = max(result.segments, key=lambda segment: segment.probs[result.top[0].label_id])
    expected = explain(recognizer, clip20, label=result.label, start_s=best.start_s, end_s=best.end_s)
    assert len(expected.frames) == 4
    page = Shown(look(recognizer, clip20, tmp_path, on_progress=nothing))
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 4
    assert all((image["src"] or "").startswith("data:image/jpeg;base64,") for image in images)
    shown = [seconds(text) for text in page.texts[page.texts.index("What decided") + 1 :][:4]]
    np.testing.assert_allclose(shown, expected.times_s, atol=0.051)
    assert expected.prob == pytest.approx(best.probs[result.top[0].label_id], abs=1e-5)


def test_labels_and_names_are_text_and_no_markup(recognizer: Recognizer, frames20: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "<b>x&.png"
    Image.fromarray(frames20[0]).save(path)
    (tmp_path / "out").mkdir()
    answer = look(recognizer, path, tmp_path / "out", on_progress=nothing)
    page = Shown(answer)
    assert EVIL in page.texts
    assert "<b>x&.png" in page.texts[-1]
    assert page.count("b") == 0
    assert not any("onerror" in attributes for _, attributes in page.tags)


def test_a_picture_has_no_timeline_and_no_bouts(recognizer: Recognizer, frames20: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(frames20[0]).save(tmp_path / "one.png")
    (tmp_path / "out").mkdir()
    answer = look(recognizer, tmp_path / "one.png", tmp_path / "out", on_progress=nothing)
    page = Shown(answer)
    assert page.count("svg") == page.count("table") == 0
    assert page.count("img") == 1
    names = {path.name for path in answer.files}
    assert {"one.csv", "one.jsonl", "one.window-probs.csv", "one.explained.png"} <= names
    assert "one.bouts.csv" not in names
    assert page.texts[-1].startswith("one.png, in ")
    assert {path.name for path in (tmp_path / "out").iterdir()} == names


def test_what_is_not_known_is_called_unknown(tiny_model: Path, clip20: Path, tmp_path: Path) -> None:
    recognizer = Recognizer.load(tiny_model, device="cpu")
    recognizer.unknown_below = 1.0
    page = Shown(look(recognizer, clip20, tmp_path, on_progress=nothing))
    best = recognizer(clip20).top[0]
    assert page.texts[:2] == ["unknown", f"most like {best.label}, {percent(best.prob)}"]
    assert all(row[2].startswith("unknown, most like ") for row in page.rows if row)
    assert page.tables == ["stretches"]
    assert [a["aria-label"] for tag, a in page.tags if tag == "svg"][0].endswith(": at no time")  # noqa: RUF015


def test_long_tables_are_cut_on_the_page_and_whole_in_the_files(
    bouts_model: Path, make_clip: MakeClip, tmp_path: Path
) -> None:
    recognizer = Recognizer.load(bouts_model, device="cpu")
    frames = np.tile(textured_frames(16, 24, 32)[[0, 0, 0, 0, 15, 15, 15, 15]], (100, 1, 1, 1))
    path = make_clip(tmp_path / "long.avi", frames, 10)
    (tmp_path / "out").mkdir()
    answer = look(recognizer, path, tmp_path / "out", on_progress=nothing)
    page = Shown(answer)
    stretches = timeline(recognizer(path))
    assert len(stretches) > MOST_ROWS
    assert f"{len(stretches) - MOST_ROWS} more rows are in the files." in page.texts
    assert len([row for row in page.rows if row]) <= 2 * MOST_ROWS
    (written,) = [path for path in answer.files if path.name == "long.timeline.csv"]
    assert len(written.read_text().splitlines()) == 1 + len(stretches)


def test_captions_are_those_of_the_captioner(
    tiny_caption_model: Path, clip20: Path, make_clip: MakeClip, tmp_path: Path
) -> None:
    captioner = Captioner.load(tiny_caption_model, device="cpu")
    path = make_clip(tmp_path / "long.avi", textured_frames(40, 24, 32), 1)
    (tmp_path / "out").mkdir()
    answer = look(captioner, path, tmp_path / "out", on_progress=nothing)
    result = captioner(path, num_captions=3)
    page = Shown(answer)
    assert page.texts[0] == result.text
    assert [text for text in page.texts if text in {caption.text for caption in result.captions[1:]}]
    assert [row[2] for row in page.rows if row] == [segment.captions[0].text for segment in result.segments]
    assert len(result.segments) == 4
    names = sorted(path.name for path in answer.files)
    assert names == ["long.csv", "long.json", "long.jsonl", "long.srt", "long.vtt"]
    assert json.loads((tmp_path / "out" / "long.json").read_text()) == [{"image_id": "long", "caption": result.text}]


def test_an_unreadable_upload_leaves_no_file(recognizer: Recognizer, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"not a video" * 100)
    (tmp_path / "out").mkdir()
    with pytest.raises(MediaError, match=r"broken\.mp4"):
        look(recognizer, tmp_path / "broken.mp4", tmp_path / "out", on_progress=nothing)
    assert list((tmp_path / "out").iterdir()) == []
