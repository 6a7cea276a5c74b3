"""On a tiny set, with answers that are made up: the fusions, the table, and what is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks import paper_rows
from benchmarks.paper_rows import Answers, columns, cross_validated, table
from benchmarks.real_sets import Kept, RealSet
from tests.benchmarks.test_real_sets import tiny_folder
from tests.conftest import MakeClip
from tests.training.tiny_training import tiny_config


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_clip: MakeClip) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("bars"), make_clip)


@pytest.fixture
def tiny_set(folder: Path, tmp_path: Path) -> RealSet:
    return RealSet(folder, most_folds=5, cache_dir=folder / "cache", kept=Kept(tmp_path / "kept.json"))


def test_fusions_weigh_the_streams_as_the_paper_does() -> None:
    rgb, flow = np.array([[0.9, 0.1]]), np.array([[0.3, 0.7]])
    found = columns({"rgb": rgb, "flow": flow})
    assert list(found) == ["RGB", "flow", "1/2 RGB + 1/2 flow", "1/3 RGB + 2/3 flow"]
    np.testing.assert_allclose(found["1/2 RGB + 1/2 flow"], [[0.6, 0.4]])
    np.testing.assert_allclose(found["1/3 RGB + 2/3 flow"], [[0.5, 0.5]])


def test_every_clip_is_judged_once_and_kept(
    tiny_set: RealSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {
        name: value for name, value in tiny_config(epochs=1).to_dict().items() if name not in ("stream", "seed")
    }
    monkeypatch.setitem(paper_rows.NETS, "LRCN", settings | {"head": "lstm"})
    file = tmp_path / "answers.json"
    ordered, shuffled = cross_validated(tiny_set, "LRCN", "rgb", 0, Answers(file))
    for probs in (ordered, shuffled):
        np.testing.assert_allclose(probs.sum(axis=1), 1.0, atol=1e-5)
    assert np.abs(ordered - shuffled).max() > 1e-4  # an LSTM notices
    assert capsys.readouterr().err.count("fold") == 3
    again = cross_validated(tiny_set, "LRCN", "rgb", 0, Answers(file))
    np.testing.assert_allclose(again[0], ordered, atol=1e-5)
    assert "fold" not in capsys.readouterr().err


def test_the_table_counts_right_answers_over_seeds(tiny_set: RealSet) -> None:
    right = np.eye(3)[tiny_set.targets]
    wrong = np.eye(3)[(tiny_set.targets + 1) % 3]
    text = table(tiny_set, {"LRCN": {"RGB": [right, wrong], "flow": [right, right]}})
    assert text.splitlines()[2] == "| LRCN | 50.0 (50 to 50) | 100.0 (100 to 100) |"
