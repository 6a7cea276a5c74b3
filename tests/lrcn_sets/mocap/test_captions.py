"""Captioned clips: colours and actions as the sentences say, and splits that share no combination and no direction."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from lrcn.errors import DataError
from lrcn_sets.cli import main
from lrcn_sets.mocap.captions import (
    PHRASES,
    SHIRTS,
    TEMPLATES,
    captioned_clip,
    clip_captions,
    clip_facts,
    read_clip_caption,
    score_clip_captions,
)
from lrcn_sets.mocap.clips import ACTIONS, SPLIT_SECTORS, clip_spec, render, stage

FACTS = {(split, a, i): clip_facts(split, a, i) for split in SPLIT_SECTORS for a in ACTIONS for i in range(40)}


def test_no_action_is_in_a_shirt_of_the_same_colour_in_two_splits() -> None:
    pairs = {s: {(f.action, f.shirt) for (split, *_), f in FACTS.items() if split == s} for s in SPLIT_SECTORS}
    assert not pairs["train"] & pairs["test"]
    assert not pairs["train"] & pairs["val"]
    assert not pairs["val"] & pairs["test"]
    assert len(pairs["test"]) == len(ACTIONS)
    assert {shirt for _, shirt in pairs["test"]} == set(SHIRTS) == {shirt for _, shirt in pairs["train"]}
    assert all(facts.shirt != facts.trousers for facts in FACTS.values())
    for (split, action, index), _ in FACTS.items():
        assert captioned_clip(split, action, index).sector in SPLIT_SECTORS[split]


def test_every_sentence_says_what_the_clip_shows() -> None:
    assert set(PHRASES) == set(ACTIONS)
    for facts in FACTS.values():
        sentences = clip_captions(facts)
        assert len(set(sentences)) == len(TEMPLATES)
        assert all(read_clip_caption(sentence) == facts for sentence in sentences[:2])
    assert all(
        read_clip_caption(sentence) == FACTS["test", "walk", 0] for sentence in clip_captions(FACTS["test", "walk", 0])
    )
    assert read_clip_caption("a person walks") is None


def test_clothes_change_nothing_but_colours() -> None:
    dressed = captioned_clip("train", "run", 3)
    drawn = clip_spec("train", "run", 3, series="captions/")
    (body, camera, scene), (other, other_camera, _) = stage(dressed), stage(drawn)
    np.testing.assert_array_equal(body.centers, other.centers)
    np.testing.assert_array_equal(camera.position, other_camera.position)
    assert dressed != clip_spec("train", "run", 3)
    assert scene is not None


def test_the_shirt_has_its_colour_in_the_picture() -> None:
    """A red shirt gives red pixels that a blue one does not, in the same clip."""
    from dataclasses import replace

    from lrcn_sets.mocap.body import Clothes

    spec = captioned_clip("train", "jump", 0)
    pictures = {
        name: render(replace(spec, clothes=Clothes(SHIRTS[name], SHIRTS["white"])), 48).astype(int)
        for name in ("red", "blue")
    }
    differs = (pictures["red"] != pictures["blue"]).any(axis=3)
    assert differs.sum() > 200
    redness = {name: (frames[..., 0] - frames[..., 2])[differs].mean() for name, frames in pictures.items()}
    assert redness["red"] > 40
    assert redness["blue"] < -40


def test_accuracy_by_part() -> None:
    right = clip_captions(clip_facts("test", "walk", 0))
    facts = clip_facts("test", "walk", 0)
    wrong_action = right[0].replace("walks", "runs")
    accuracy = score_clip_captions([right[3], wrong_action, "a person"], [right] * 3)
    assert (accuracy.exact, accuracy.action, accuracy.shirt, accuracy.trousers) == (1 / 3, 1 / 3, 2 / 3, 2 / 3)
    assert facts.action == "walk"
    with pytest.raises(DataError, match="no sentence"):
        score_clip_captions(["a person"], [["a person"]])


def test_a_build_holds_clips_and_five_sentences_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = ["--train-clips", "1", "--val-clips", "0", "--test-clips", "0"]
    assert main(["mocap-captions", str(tmp_path), *counts, "--size-px", "32", "--workers", "1"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'captions.csv'}\n"
    with (tmp_path / "captions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 14 * 5
    for row in rows:
        assert (tmp_path / row["path"]).is_file()
        facts = read_clip_caption(row["caption"])
        assert facts == clip_facts("train", Path(row["path"]).parent.name, 0)
