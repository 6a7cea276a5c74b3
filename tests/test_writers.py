"""Every format holds what the results say, appears whole or not at all, and refuses what it cannot hold."""

from __future__ import annotations

import csv
import json
from array import array
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import av
import numpy as np
import pytest

import lrcn
from lrcn.bouts import Bout, Recording
from lrcn.errors import ConfigError, MediaError
from lrcn.results import (
    Caption,
    CaptionResult,
    CaptionSegment,
    LabelProb,
    RecognitionResult,
    Result,
    RetrievalMatch,
    RetrievalResult,
    Segment,
)
from lrcn.writers import WRITERS, coco_image_id, open_results, write_results

LABELS = ("walk", "wave")


def recognised(source: str, *probs: float) -> RecognitionResult:
    """Windows of 2 s, 1 s apart, with these probabilities of `walk`."""

    def top(prob: float) -> tuple[LabelProb, ...]:
        return tuple(sorted((LabelProb("walk", 0, prob), LabelProb("wave", 1, 1 - prob)), key=lambda e: -e.prob))

    segments = tuple(Segment(i, i + 2.0, top(p)[:1], array("d", [p, 1 - p])) for i, p in enumerate(probs))
    mean = float(np.mean(probs))
    return RecognitionResult(source, len(probs) + 1.0, top(mean), segments, (mean, 1 - mean), labels=LABELS)


RESULTS: dict[str, list[Result]] = {
    "recognition": [recognised("clips/a.mp4", 0.9, 0.8, 0.3), recognised("b.mp4", 0.25)],
    "captioning": [
        CaptionResult("12.png", 0.0, (Caption("a dog", -1.0), Caption("a cat", -2.5))),
        CaptionResult(
            "v.mp4", 4.0, (Caption("x", -3.0),), tuple(CaptionSegment(t, t + 2, (Caption("y", -1.5),)) for t in (0, 2))
        ),
    ],
    "retrieval": [RetrievalResult("a dog", (RetrievalMatch("1.png", 0, -2.5),), 3, "plain")],
}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("name", "task"), [(name, task) for name in WRITERS for task in WRITERS[name].tasks])
def test_every_format_is_written_whole_and_gone_after_an_error(name: str, task: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / ("out" if name in ("srt", "vtt") else f"out{WRITERS[name].suffix}")
    write_results(RESULTS[task], path, name)
    assert path.exists()
    assert [file for file in tmp_path.rglob(".*")] == []  # nothing temporary is left

    def broken() -> Iterator[Result]:
        yield RESULTS[task][0]
        raise MediaError("b.mp4: no video")

    if not path.is_dir():
        before = path.read_bytes()
        with pytest.raises(MediaError):
            write_results(broken(), path, name)
        assert path.read_bytes() == before
    assert [file for file in tmp_path.rglob(".*")] == []


@pytest.mark.parametrize("task", list(RESULTS))
def test_json_lines_are_the_results_json(task: str, tmp_path: Path) -> None:
    write_results(RESULTS[task], tmp_path / "r.jsonl")
    lines = (tmp_path / "r.jsonl").read_text(encoding="utf-8").splitlines()
    assert lines == [result.to_json() for result in RESULTS[task]]


def test_tables_have_a_row_for_each_window_caption_and_match(tmp_path: Path) -> None:
    for task, expected in (
        ("recognition", ["clips/a.mp4", "0", "2.0", "walk", "0", "0.9", "True"]),
        ("captioning", ["12.png", "0.0", "0.0", "a dog", "-1", "1"]),
        ("retrieval", ["a dog", "1", "1.png", "0", "-2.5"]),
    ):
        write_results(RESULTS[task], tmp_path / f"{task}.csv")
        assert list(rows_of(tmp_path / f"{task}.csv")[0].values()) == expected
    assert [row["label"] for row in rows_of(tmp_path / "recognition.csv")] == ["walk", "walk", "wave", "wave"]
    assert [row["rank"] for row in rows_of(tmp_path / "captioning.csv")] == ["1", "2", "1", "1", "1"]


def test_window_probs_have_a_column_for_each_class(tmp_path: Path) -> None:
    write_results(RESULTS["recognition"], tmp_path / "p.csv", "window-probs")
    rows = rows_of(tmp_path / "p.csv")
    assert [float(row["walk"]) for row in rows] == [0.9, 0.8, 0.3, 0.25]
    assert [float(row["wave"]) for row in rows] == pytest.approx([0.1, 0.2, 0.7, 0.75])
    other = RecognitionResult("c.mp4", 2.0, (), (), (), labels=("sit", "stand"))
    with pytest.raises(ConfigError, match=r"c\.mp4 has other classes"):
        write_results([*RESULTS["recognition"], other], tmp_path / "q.csv", "window-probs")
    assert not (tmp_path / "q.csv").exists()


def test_a_timeline_has_neither_gap_nor_overlap(tmp_path: Path) -> None:
    write_results(recognised("a.mp4", 0.9, 0.8, 0.3), tmp_path / "t.csv", "timeline")
    rows = rows_of(tmp_path / "t.csv")
    assert [(row["start_s"], row["end_s"], row["label"]) for row in rows] == [
        ("0", "2.5", "walk"),
        ("2.5", "4.0", "wave"),
    ]


@pytest.mark.parametrize(("suffix", "expected"), [(".srt", "a → b & (i)c(/i)"), (".vtt", "a → b & <i>c</i>")])
def test_subtitles_are_parsed_by_a_player(tmp_path: Path, suffix: str, expected: str) -> None:
    """ffmpeg's own readers of SubRip and WebVTT find the cues, their times and the plain text."""
    text = "a --> b & <i>c</i>"
    parts = tuple(CaptionSegment(3600.0 * i + 0.25, 3600.0 * i + 61.5, (Caption(text, -1.0),)) for i in range(2))
    path = tmp_path / f"v{suffix}"
    write_results(CaptionResult("v.mp4", 4000.0, (Caption("x", -1.0),), parts), path)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux() if packet.size]
        assert [float(packet.pts * packet.time_base) for packet in packets] == [0.25, 3600.25]
        assert [float(packet.duration * packet.time_base) for packet in packets] == [61.25, 61.25]
        raw = bytes(packets[0]).decode()
    shown = raw.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">") if suffix == ".vtt" else raw
    assert shown == expected


def test_subtitles_of_actions_are_their_timeline(tmp_path: Path) -> None:
    write_results(recognised("a.mp4", 0.9, 0.7, 0.25), tmp_path / "a.srt")
    cues = (tmp_path / "a.srt").read_text().split("\n\n")
    assert [cue.strip().split("\n") for cue in cues] == [
        ["1", "00:00:00,000 --> 00:00:02,500", "walk 82%"],
        ["2", "00:00:02,500 --> 00:00:04,000", "wave 75%"],
    ]


def test_subtitles_of_several_videos_go_into_a_folder(tmp_path: Path) -> None:
    results = [recognised(name, 0.9) for name in ("x/a.mp4", "y/a.avi", "z/A.mov")]
    write_results(results, tmp_path / "subtitles", "srt")
    assert sorted(path.name for path in (tmp_path / "subtitles").iterdir()) == ["A-3.srt", "a-2.srt", "a.srt"]
    write_results(RESULTS["captioning"], tmp_path / "captions", "vtt")
    assert [path.name for path in (tmp_path / "captions").iterdir()] == ["v.vtt"]  # a picture has none
    with pytest.raises(ConfigError, match=r"one\.srt: subtitles are of one video"):
        write_results(results, tmp_path / "one.srt")
    with pytest.raises(ConfigError, match=r"12\.png is a picture"):
        write_results(RESULTS["captioning"][0], tmp_path / "picture.srt")


def test_coco_results_have_one_entry_an_image(tmp_path: Path) -> None:
    write_results(RESULTS["captioning"], tmp_path / "c.json")
    assert json.loads((tmp_path / "c.json").read_text()) == [
        {"image_id": 12, "caption": "a dog"},
        {"image_id": "v", "caption": "x"},
    ]
    with pytest.raises(ConfigError, match="two sources have the image_id 12"):
        write_results([RESULTS["captioning"][0], RESULTS["captioning"][0]], tmp_path / "d.json")
    assert not (tmp_path / "d.json").exists()


def test_image_ids() -> None:
    assert coco_image_id("x/COCO_val2014_000000391895.jpg") == 391895
    assert coco_image_id("17.png") == 17
    assert coco_image_id("holiday_2019.jpg") == "holiday_2019"


@pytest.mark.parametrize(
    ("results", "name", "format", "message"),
    [
        ([], "a.csv", None, "there is no result to write"),
        (RESULTS["recognition"], "a.json", None, r"no format of recognition results has the suffix '\.json'"),
        (RESULTS["recognition"], "a.json", "coco", "unknown format of recognition results 'coco'"),
        (RESULTS["recognition"], "a", None, "suffix ''; there are .csv, .jsonl"),
        (RESULTS["captioning"], "a.csv", "cvs", "did you mean 'csv'"),
        ([*RESULTS["captioning"], *RESULTS["retrieval"]], "a.csv", None, "a result of retrieval among those of capt"),
    ],
)
def test_what_cannot_be_written_is_one_line(
    results: list[Result], name: str, format: str | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        write_results(results, tmp_path / name, format)
    assert list(tmp_path.iterdir()) == []


def test_results_are_written_as_they_come(tmp_path: Path) -> None:
    """A table without results, of sources that all failed, still says what its columns are."""
    with open_results(tmp_path / "t.csv", task="recognition"):
        assert not (tmp_path / "t.csv").exists()
    assert (tmp_path / "t.csv").read_text() == "source,start_s,end_s,label,label_id,prob,known\n"


def test_probabilities_of_all_windows_stay_with_the_result(tiny_model: Path, clip20: Path) -> None:
    recognize = lrcn.load(tiny_model, device="cpu")
    result = recognize(clip20, top_k=1)
    probs = np.array([segment.probs for segment in result.segments])
    assert probs.shape == (9, 3)
    np.testing.assert_allclose(probs.mean(axis=0), result.probs, atol=1e-12)
    assert [segment.top[0].prob for segment in result.segments] == probs.max(axis=1).tolist()
    assert result.labels == recognize.labels
    fields = json.loads(result.to_json())
    assert set(fields) == {
        "schema", "task", "source", "duration_s", "known", "top", "segments", "warnings", "model", "timing_s",
    }  # fmt: skip
    assert set(fields["segments"][0]) == {"start_s", "end_s", "known", "top"}


def test_a_table_has_a_column_a_field_and_na_for_nothing(tmp_path: Path) -> None:
    bouts = (Bout("groom, both paws", 0.1, 0.4), Bout("hop", 2.0, 2.0), Bout("groom, both paws", 3.0, 5.0))
    recordings = [Recording("day 1", None, bouts, looked_at=((0.0, 20.0),))]
    rows = lrcn.time_budget(recordings)
    lrcn.write_table(rows, tmp_path / "budget.csv")
    with (tmp_path / "budget.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    for row, line in zip(rows, read, strict=True):
        for name, value in asdict(row).items():
            if isinstance(value, float | int):
                assert float(line[name]) == pytest.approx(value, rel=1e-9)
            else:
                assert line[name] == ("NA" if value is None else value)
    lrcn.write_table(lrcn.transitions(recordings), tmp_path / "transitions.csv")
    assert (tmp_path / "transitions.csv").read_text().splitlines()[2] == 'day 1,,"groom, both paws",hop,1,1'
    with pytest.raises(ConfigError, match="no row to write"):
        lrcn.write_table([], tmp_path / "nothing.csv")
    assert not (tmp_path / "nothing.csv").exists()
