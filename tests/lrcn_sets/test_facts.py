"""The facts that captions of built sets state, counted from a file of predictions."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from lrcn.evaluation.captioning.report import CaptionPrediction, CaptionReport
from lrcn_sets.cli import main
from lrcn_sets.mocap.captions import ClipFacts, clip_captions
from lrcn_sets.scenes.captions import SceneFacts, scene_captions

SCENE = scene_captions(SceneFacts("left", ("dog", "cat")))
CLIP = clip_captions(ClipFacts("walk", "red", "blue"))


def write_set(folder: Path, generator: str) -> Path:
    """Write what facts need to know of a built set: who built it, and the nouns of its parts."""
    for noun in ("dog", "cat", "bus"):
        (folder / "parts" / noun).mkdir(parents=True)
        Image.new("RGBA", (4, 4)).save(folder / "parts" / noun / "0.png")
    (folder / "build.json").write_text(json.dumps({"generator": generator, "version": 1}))
    (folder / "captions.csv").write_text("path,caption,split\n")
    return folder


def write_predictions(folder: Path, pairs: list[tuple[str, str]], references: tuple[str, ...]) -> Path:
    """Write the predictions of a report: each a caption and that of the nearest neighbour."""
    predictions = tuple(
        CaptionPrediction(
            f"{i}.jpg", 0.0, None, caption, -1.0, references, {"bleu_4": 0, "rouge_l": 0, "cider_d": 0}, False, nearest
        )
        for i, (caption, nearest) in enumerate(pairs)
    )
    scores = {"bleu_4": 0.0, "rouge_l": 0.0, "cider_d": 0.0, "exact": 0.0}
    report = CaptionReport("set", "test", {}, {}, len(pairs), scores, {}, {}, {}, predictions)
    return report.save(folder)[1]


def test_scenes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_set(tmp_path / "set", "emoji-scenes")
    pairs = [
        ("a cat to the right of a dog", "a dog above a bus"),
        ("a cat to the left of a dog", "two dogs"),  # swapped
        ("a dog above a cat", "a bus to the left of a cat"),
        ("dog cat", "a dog to the left of a cat"),
    ]
    predictions = write_predictions(tmp_path / "report", pairs, SCENE)
    assert main(["facts", str(data), str(predictions), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "model": {"exact": 0.25, "nouns": 0.75, "kind": 0.5, "understood": 0.75},
        "nearest neighbour": {"exact": 0.25, "nouns": 0.25, "kind": 0.5, "understood": 1.0},
    }
    assert main(["facts", str(data / "captions.csv"), str(predictions)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["exact", "25.0%", "25.0%"] in lines
    assert ["kind", "50.0%", "50.0%"] in lines


def test_clips_without_a_baseline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_set(tmp_path / "set", "mocap-captions")
    pairs = [(CLIP[3], ""), (CLIP[0].replace("walks", "runs"), ""), ("a person", ""), (CLIP[2], "")]
    predictions = write_predictions(tmp_path / "report", pairs, CLIP)
    assert main(["facts", str(data), str(predictions), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "model": {"exact": 0.5, "action": 0.5, "shirt": 0.75, "trousers": 0.75}
    }


def test_what_has_no_facts_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenes, actions = write_set(tmp_path / "scenes", "emoji-scenes"), write_set(tmp_path / "actions", "mocap-actions")
    predictions = write_predictions(tmp_path / "report", [(CLIP[0], "")], CLIP)
    other = tmp_path / "recognition.csv"
    with other.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), ("a.mp4", "walk")])
    for data, file_path, message in (
        (tmp_path, predictions, "holds no set that lrcn_sets built"),
        (actions, predictions, "mocap-actions has no sentences"),
        (scenes, predictions, "is no sentence of the templates; is it of this set?"),
        (scenes, other, "no column 'caption'"),
        (scenes, tmp_path / "nowhere.csv", "nowhere.csv: cannot be read: No such file or directory"),
    ):
        assert main(["facts", str(data), str(file_path)]) == 1
        error = capsys.readouterr().err
        assert error.startswith("lrcn: error: ")
        assert message in error
        assert error.count("\n") == 1
