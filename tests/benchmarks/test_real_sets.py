"""On a tiny set, with a tiny CNN."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks.real_sets import (
    FEW_CLIPS,
    Kept,
    RealSet,
    Row,
    cross_validate,
    few_clips,
    imbalanced,
    recall_table,
    rows_named,
    score,
    table,
)
from tests.conftest import MakeClip
from tests.training.tiny_training import LABELS, bar_frames, tiny_config

GROUPS = ("anna", "ben", "carl")


def tiny_folder(folder: Path, make_clip: MakeClip) -> Path:
    """Three classes, three groups, one clip of each pair; some are declared to be test clips."""
    rows = ["path,label,split,group"]
    for number, (label, group) in enumerate((label, group) for label in LABELS for group in GROUPS):
        make_clip(folder / f"{number}.avi", bar_frames(label, 9, number), 10)
        rows.append(f"{number}.avi,{label},{'test' if group == 'carl' else 'train'},{group}")
    (folder / "annotations.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_clip: MakeClip) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("bars"), make_clip)


@pytest.fixture
def tiny_set(folder: Path, tmp_path: Path) -> RealSet:
    return RealSet(folder, most_folds=5, cache_dir=folder / "cache", kept=Kept(tmp_path / "kept.json"))


def test_folds_are_by_group_and_take_every_split(tiny_set: RealSet) -> None:
    assert len(tiny_set.folds) == 3
    judged = [{tiny_set.groups[clip] for clip in fold.judged} for fold in tiny_set.folds]
    assert sorted(*zip(*judged, strict=True)) == list(GROUPS)
    data = tiny_set.training_data(tiny_set.folds[0].trained)
    assert {example.split for example in data.examples} == {"train"}
    assert not {example.group for example in data.examples} & judged[0]


def test_a_training_and_a_probe_over_all_folds(tiny_set: RealSet, tmp_path: Path) -> None:
    kept = Kept(tmp_path / "kept.json")
    config = tiny_config(epochs=2)
    rows = [Row("trained", config), Row("probe", config, "mean, deviation, mean absolute change")]
    scores = []
    for row in rows:
        results = cross_validate(row, tiny_set, 0, kept)
        assert sorted(clip for one in results for clip in one.clips) == list(range(9))
        assert all(len(one.predicted) == len(one.clips) == 3 for one in results)
        scores.append(score(tiny_set, [results]))
    text = table(scores, [tiny_set.name])
    assert [line.split(" | ")[0] for line in text.splitlines()[2:]] == ["| trained", "| probe"]
    assert recall_table(scores).count("\n") == 3


def test_a_stream_is_judged_on_its_own_features(tiny_set: RealSet) -> None:
    rgb, flow = (tiny_set.videos(tiny_config(views=1, stream=stream)) for stream in ("rgb", "flow"))
    assert len(rgb) == len(flow) == len(tiny_set.examples)
    assert not np.allclose(rgb[0].window(0, 0, 4), flow[0].window(0, 0, 4), atol=0.1)


def test_what_is_done_is_not_done_again_unless_settings_differ(
    tiny_set: RealSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "kept.json"
    row = Row("mean", tiny_config(epochs=1, head="mean"))
    first = cross_validate(row, tiny_set, 0, Kept(file))
    assert len(json.loads(file.read_text())["judged"]) == 3
    capsys.readouterr()
    assert cross_validate(row, tiny_set, 0, Kept(file)) == first
    assert "fold" not in capsys.readouterr().err
    cross_validate(replace(row, config=tiny_config(epochs=2, head="mean")), tiny_set, 0, Kept(file))
    assert capsys.readouterr().err.count("fold") == 3
    assert len(json.loads(file.read_text())["judged"]) == 3


def test_scores_are_means_over_seeds(tiny_set: RealSet, tmp_path: Path) -> None:
    kept = Kept(tmp_path / "kept.json")
    right = cross_validate(Row("mean", tiny_config(epochs=1, head="mean")), tiny_set, 0, kept)
    right = [replace(one, predicted=tiny_set.targets[one.clips].tolist()) for one in right]
    wrong = [replace(one, predicted=[(label + 1) % 3 for label in one.predicted]) for one in right]
    found = score(tiny_set, [right, wrong])
    assert (found["accuracy"], found["mean_class_accuracy"], found["interval"]) == (0.5, 0.5, (0.5, 0.5))
    assert found["recalls"] == dict.fromkeys(sorted(LABELS), 0.5)


def test_what_few_clips_and_imbalance_leave(tiny_set: RealSet) -> None:
    tiny_set.targets = np.repeat([0, 1, 2], [40, 30, 3])
    few = few_clips(tiny_set, range(73), 0)
    assert _counted(tiny_set, few) == [FEW_CLIPS, FEW_CLIPS, 3]
    assert few != few_clips(tiny_set, range(73), 1)
    assert few == few_clips(tiny_set, range(73), 0)
    assert _counted(tiny_set, imbalanced(tiny_set, range(73), 0)) == [4, 30, 3]


def _counted(real_set: RealSet, clips: list[int]) -> list[int]:
    assert len(set(clips)) == len(clips)
    return [int((real_set.targets[clips] == label).sum()) for label in range(3)]


def test_an_unknown_row_is_refused() -> None:
    with pytest.raises(SystemExit, match="no row 'lstm'; there are: before"):
        rows_named(["lstm"], [])
