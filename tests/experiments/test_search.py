"""Searches among recipes: what they choose, what they promise, and what they leave behind."""

from __future__ import annotations

import csv
import json
import math
import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.training.tiny_training import LABELS, TINY, bar_frames, tiny_config, train_quietly
from tests.training.train_client import serving, wait_for_writes

from lrcn.cli import main
from lrcn.data.recognition.examples import RecognitionData, RecognitionExample
from lrcn.errors import ConfigError, DataError
from lrcn.experiments.search import search
from lrcn.experiments.search_report import NestedEstimate, SearchReport, Tally, Trial, nested_estimate
from lrcn.inference.recognition.predictor import Recognizer

PEOPLE = ("ann", "bob", "cid")
SETTINGS: dict[str, Any] = {"epochs": 12, "standardise": True}
RECIPES: dict[str, dict[str, Any]] = {
    "as given": {},
    "statistics": {"head": "statistics"},
    "mean": {"head": "mean", "lr": 0.003},
}


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    """The sums of several threads depend on how they share the work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, make_clip: Any) -> RecognitionData:
    """Three people, two clips of each class; `cid` has none of `still`, some are for validation, none can be tested."""
    folder = tmp_path_factory.mktemp("people")
    examples = []
    for number, person in enumerate(PEOPLE):
        for label in LABELS:
            for i in range(2):
                if (person, label) == ("cid", "still"):
                    continue
                seed = 100 * LABELS.index(label) + 10 * number + i
                path = make_clip(folder / f"{person} {label} {i}.avi", bar_frames(label, 5 + 4 * i + number, seed), 10)
                split = "val" if person == "bob" else "train"
                examples.append(RecognitionExample(path, label, split, group=person))
    spoilt = folder / "spoilt.avi"
    spoilt.write_bytes(b"no video")
    examples += [RecognitionExample(spoilt, label, "test", group="dan") for label in LABELS[:1]]
    return RecognitionData(LABELS, tuple(examples), "people")


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("features")


def search_quietly(data: RecognitionData, output: Path, cache_dir: Path, **changes: Any) -> SearchReport:
    settings: dict[str, Any] = {"recipes": RECIPES, "quiet": True, **changes}
    config = settings.pop("config", tiny_config(**SETTINGS))
    return search(config, data, output=output, cache_dir=cache_dir, device="cpu", **settings)


@pytest.fixture(scope="module")
def found(
    people: RecognitionData, cache_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, SearchReport]:
    output = tmp_path_factory.mktemp("search") / "run"
    return output, search_quietly(people, output, cache_dir)


def rows_of(output: Path) -> dict[str, dict[str, str]]:
    with (output / "search.csv").open() as file:
        return {row["recipe"]: row for row in csv.DictReader(file)}


# ---- what it says


def by_hand(
    data: RecognitionData, recipe: str, trained: list[str], judged: list[str], folder: Path, cache_dir: Path
) -> tuple[int, int, float]:
    """Train on some people, and name the clips of others: right ones, all, and the sum of the losses."""
    pool = [replace(example, split="train") for example in data.examples if example.split != "test"]
    examples = tuple(example for example in pool if example.group in trained)
    labels = tuple(label for label in LABELS if any(example.label == label for example in examples))
    config = tiny_config(**SETTINGS | RECIPES[recipe])
    output = folder / f"{recipe} {' '.join(trained)}"
    result = train_quietly(
        config, RecognitionData(labels, examples, "some"), output=output, cache_dir=cache_dir, resume=True
    )
    recognize = Recognizer.load(result.model_path)
    answers = [(recognize(example.path), example.label) for example in pool if example.group in judged]
    losses = [-math.log(max(dict(zip(labels, a.probs, strict=True)).get(label, 0), 1e-12)) for a, label in answers]
    return sum(answer.label == label for answer, label in answers), len(answers), sum(losses)


def test_scores_and_nested_estimate_are_those_of_a_hand_made_loop(
    people: RecognitionData, found: tuple[Path, SearchReport], cache_dir: Path, tmp_path: Path
) -> None:
    output, report = found
    folds = [fold[0] for fold in json.loads((output / "search" / "run.json").read_text())["folds"]]
    assert sorted(folds) == list(PEOPLE)

    def judged(recipe: str, person: str, without: set[str]) -> tuple[int, int, float]:
        trained = [other for other in PEOPLE if other != person and other not in without]
        return by_hand(people, recipe, trained, [person], tmp_path, cache_dir)

    def winner(without: set[str]) -> str:
        """The recipe with the most clips right of people who were held out in turn."""

        def rank(recipe: str) -> tuple[float, float]:
            scores = [judged(recipe, person, without) for person in PEOPLE if person not in without]
            right, _, losses = map(sum, zip(*scores, strict=True))
            return right, -losses

        return max(RECIPES, key=rank)

    for row in report.rows:
        outer = [judged(row.recipe, person, set()) for person in folds]
        assert row.fold_scores == tuple(right / count for right, count, _ in outer)
        assert row.score == sum(right for right, _, _ in outer) / report.num_clips
    assert report.chosen == winner(set())

    winners = [winner({person}) for person in folds]
    nested = [judged(recipe, person, set()) for recipe, person in zip(winners, folds, strict=True)]
    assert report.nested == NestedEstimate(
        score=sum(right for right, _, _ in nested) / sum(count for _, count, _ in nested),
        fold_scores=tuple(right / count for right, count, _ in nested),
        recipes=tuple(winners),
    )


def tally(right: int, total: int = 10, loss: float = 0.0) -> Tally:
    return Tally({"a": right}, {"a": total}, loss)


def test_each_fold_is_judged_by_what_was_chosen_without_it() -> None:
    # "lucky" is the better one on every fold, but only for networks that have not seen just that one
    pairs = [(0, 1), (0, 2), (1, 2)]
    lucky = Trial(
        "lucky", {}, {**{(k,): {k: tally(9)} for k in range(3)}, **{p: {k: tally(3) for k in p} for p in pairs}}, 0.0
    )
    steady = Trial(
        "steady", {}, {**{(k,): {k: tally(6)} for k in range(3)}, **{p: {k: tally(5) for k in p} for p in pairs}}, 0.0
    )
    nested = nested_estimate([lucky, steady], 3, "accuracy")
    assert nested == NestedEstimate(0.6, (0.6, 0.6, 0.6), ("steady",) * 3)
    assert nested_estimate([lucky, steady], 2, "accuracy") is None


def test_mean_class_accuracy_counts_classes_alike() -> None:
    seen = Tally({"many": 90, "few": 0}, {"many": 90, "few": 10}, 0.0)
    assert seen.score("accuracy") == 0.9
    assert seen.score("mean_class_accuracy") == 0.5


def test_the_chosen_recipe_is_trained_on_all_but_the_test_split(
    people: RecognitionData, found: tuple[Path, SearchReport], cache_dir: Path, tmp_path: Path
) -> None:
    _, report = found
    pool = tuple(replace(example, split="train") for example in people.examples if example.split != "test")
    config = tiny_config(**SETTINGS | RECIPES[report.chosen])
    expected = train_quietly(config, replace(people, examples=pool), output=tmp_path / "run", cache_dir=cache_dir)
    weights, ours = (load_file(path) for path in (expected.model_path, report.model_path))
    assert all(torch.equal(weights[name], ours[name]) for name in weights)
    assert report.num_clips == len(pool)


def test_the_run_folder_tells_what_was_tried(found: tuple[Path, SearchReport]) -> None:
    output, report = found
    rows = rows_of(output)
    assert list(rows) == [*RECIPES, "nested estimate"]
    assert [name for name, row in rows.items() if row["chosen"]] == [report.chosen]
    for row in report.rows:
        assert float(rows[row.recipe]["accuracy"]) == pytest.approx(row.score, abs=1e-4)
        assert json.loads(rows[row.recipe]["settings"]) == RECIPES[row.recipe]
    assert report.nested is not None
    shown = [float(rows["nested estimate"][f"fold_{k}"]) for k in (1, 2, 3)]
    np.testing.assert_allclose(shown, report.nested.fold_scores, atol=1e-4)
    assert json.loads((output / "run.json").read_text())["search"]["nested"]["score"] == report.nested.score
    assert sorted(path.name for path in (output / "search").iterdir()) == ["config.yaml", "run.json"]


# ---- killed, resumed, out of time


@pytest.mark.skipif(not Path("/proc").exists(), reason="watches processes in /proc")
def test_killed_and_resumed_search_ends_equal(
    people: RecognitionData, found: tuple[Path, SearchReport], cache_dir: Path, tmp_path: Path
) -> None:
    whole, report = found
    pieces = tmp_path / "pieces"
    settings = {"config": SETTINGS, "recipes": RECIPES}
    with serving({"search": people}, tmp_path, cache_dir) as server:
        kills = []
        for number in range(4):
            pid = server.start("search", settings, pieces)
            wait_for_writes(pieces / "search" / "run.json", random.randint(1, 3 + 2 * (number == 3)), pid)
            time.sleep(random.uniform(0.0, 0.4))
            os.kill(pid, signal.SIGKILL)
            kills.append(server.wait())
        server.start("search", settings, pieces)
        assert server.wait() == 0
    assert -signal.SIGKILL in kills

    expected, ours = (load_file(folder / "model.safetensors") for folder in (whole, pieces))
    assert all(torch.equal(expected[name], ours[name]) for name in expected)
    tables = [rows_of(folder) for folder in (whole, pieces)]
    for table in tables:
        for row in table.values():
            del row["seconds"]
    assert tables[0] == tables[1]
    nested = json.loads((pieces / "run.json").read_text())["search"]["nested"]
    assert report.nested is not None
    assert nested["score"] == report.nested.score


def test_finished_search_is_only_reported(
    people: RecognitionData, found: tuple[Path, SearchReport], cache_dir: Path
) -> None:
    output, report = found
    stamps = {path: path.stat().st_mtime_ns for path in output.rglob("*.safetensors")}
    again = search_quietly(people, output, cache_dir, resume=True, recipes=None)
    assert again == report
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


def test_another_search_in_the_same_folder_is_refused(
    people: RecognitionData, found: tuple[Path, SearchReport], cache_dir: Path
) -> None:
    output, _ = found
    with pytest.raises(ConfigError, match="holds a training run already"):
        search_quietly(people, output, cache_dir)
    with pytest.raises(ConfigError, match=r"started with other settings: lr \(0.01 -> 0.5\)"):
        search_quietly(people, output, cache_dir, resume=True, config=tiny_config(**SETTINGS | {"lr": 0.5}))
    with pytest.raises(ConfigError, match="started with other recipes"):
        search_quietly(people, output, cache_dir, resume=True, recipes={"as given": {}})
    fewer = replace(people, examples=people.examples[1:])
    with pytest.raises(ConfigError, match="started with other data"):
        search_quietly(fewer, output, cache_dir, resume=True)


def test_time_that_ends_after_the_first_recipe_leaves_the_others_out(
    people: RecognitionData, cache_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "run"
    slow = {"as given": {}, "slow": {"epochs": 100000}, "never": {"head": "frame"}}
    # no clock in a test: the first recipe is through, then there is no time left
    search_quietly(people, output, cache_dir, recipes={"as given": {}})
    state_path = output / "search" / "run.json"
    state = json.loads(state_path.read_text())
    state |= {"chosen": None, "recipes": [[name, changes] for name, changes in slow.items()]}
    state_path.write_text(json.dumps(state))
    (output / "last.ckpt").unlink()
    report = search_quietly(people, output, cache_dir, recipes=None, resume=True, minutes=1e-6, quiet=False)
    assert [row.recipe for row in report.rows] == ["as given"]
    assert report.left_out == dict.fromkeys(("slow", "never"), "the minutes were over")
    assert "slow: left out, the minutes were over" in capsys.readouterr().err


def test_recipe_that_fails_is_left_out(people: RecognitionData, cache_dir: Path, tmp_path: Path) -> None:
    recipes = {"as given": {"head": "statistics"}, "no such layer": {"layer": "nowhere"}}
    report = search_quietly(people, tmp_path / "run", cache_dir, recipes=recipes)
    assert report.chosen == "as given"
    assert "nowhere" in report.left_out["no such layer"]


# ---- what it cannot do


def grouped(data: RecognitionData, groups: dict[str, str]) -> RecognitionData:
    """Give each class its group, or each person another."""
    examples = [replace(e, group=groups.get(e.label, groups.get(e.group, e.group))) for e in data.examples]
    return replace(data, examples=tuple(examples))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"minutes": 1e-6}, r"1e-06 minutes are too few for one recipe: 1 of its 6 trainings took .*; give the search"),
        ({"config": tiny_config(patience=2)}, "leave patience out"),
        ({"config": tiny_config(backbone_trainable=True)}, "leave backbone_trainable off"),
        ({"config": tiny_config(lr=1e30, clip_norm=None, optimizer="sgd")}, "loss became nan"),
        ({"minutes": 0.0}, "must be above 0"),
        ({"recipes": {"typo": {"hed": "mean"}}}, "recipe 'typo': unknown setting 'hed'"),
    ],
)
def test_bad_settings_are_one_line_and_leave_nothing(
    people: RecognitionData, cache_dir: Path, tmp_path: Path, changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint) as caught:
        search_quietly(people, tmp_path / "run", cache_dir, **changes)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_bad_data_is_one_line_and_leaves_nothing(people: RecognitionData, cache_dir: Path, tmp_path: Path) -> None:
    clips = replace(people, examples=tuple(e for e in people.examples if e.split != "test"))
    spoilt = people.examples[-1].path
    unread = replace(clips, examples=tuple(replace(e, path=spoilt) for e in clips.examples))
    still = replace(clips, examples=tuple(replace(e, path=spoilt) if e.label == "still" else e for e in clips.examples))
    cases = [
        (grouped(clips, dict.fromkeys(PEOPLE, "eve")), "people: all clips of one source: class 'left' ('eve')"),
        (grouped(clips, {"still": "studio"}), "people: all clips of one source: class 'still' ('studio'); "),
        (unread, "people: no video can be read; the first: "),
        (still, "people: no video can be read of class 'still'"),
    ]
    for data, complaint in cases:
        with pytest.raises(DataError) as caught:
            search_quietly(data, tmp_path / "run", cache_dir)
        assert complaint in str(caught.value)
        assert "\n" not in str(caught.value)
        assert list(tmp_path.iterdir()) == []


def test_two_sources_give_scores_and_no_nested_estimate(
    people: RecognitionData, cache_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = grouped(people, {"cid": "ann"})
    report = search_quietly(
        data, tmp_path / "run", cache_dir, recipes={"statistics": {"head": "statistics"}}, quiet=False
    )
    told = capsys.readouterr().err
    assert "16 clips of 2 sources in 2 folds, no more than there are sources (of 5 wanted)" in told
    assert "no nested estimate" in told
    assert report.nested is None
    assert "nested estimate" not in rows_of(tmp_path / "run")


def test_folds_that_leave_one_class_are_answered_with_it(
    people: RecognitionData, cache_dir: Path, tmp_path: Path
) -> None:
    clips = [e for e in people.examples if e.label != "still" and e.split != "test" and e.group != "cid"]
    # each source shows one class: without both of `left`, there is nothing but `right` to learn
    examples = tuple(replace(e, group=f"{e.label} {e.group}") for e in clips)
    data = RecognitionData(("left", "right"), examples, "two")
    report = search_quietly(data, tmp_path / "run", cache_dir, recipes={"statistics": {"head": "statistics"}})
    assert len(report.rows[0].fold_scores) == 4
    state = json.loads((tmp_path / "run" / "search" / "run.json").read_text())
    alike = [k for k, groups in enumerate(state["folds"]) if groups[0].startswith("left")]
    tallies = state["trainings"]["statistics"][f"{alike[0]} {alike[1]}"]["tallies"]
    assert all(tally["right"] == {"left": 0} and tally["total"] == {"left": 2} for tally in tallies.values())


# ---- on the command line


def test_command_searches_and_resumes_without_being_told_again(
    people: RecognitionData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, output = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    lines = ["path,label,split,group"]
    for example in people.examples:
        (data / example.path.name).symlink_to(example.path)
        lines.append(f"{example.path.name},{example.label},{example.split},{example.group}")
    (data / "annotations.csv").write_text("\n".join(lines) + "\n")
    where = ["train", "recognition", str(data), "--output", str(output), "--cache-dir", str(tmp_path / "cache")]
    small = ["--backbone", TINY, "--backbone-weights", "none", "--epochs", "1", "--epoch-steps", "1"]
    small += ["--runtime", "torch", "--device", "cpu"]

    assert main([*where, "--minutes", "3"]) == 2
    assert "--minutes is the time of a search; add --search" in capsys.readouterr().err
    assert main([*where, *small, "--search", "--minutes", "0.000001"]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("lrcn: error: 1e-06 minutes are too few for one recipe")
    assert not output.exists()

    assert main([*where, *small, "--search"]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{output / 'model.safetensors'}\n"
    assert "16 clips of 3 sources in 3 folds" in printed.err
    assert "as given: " in printed.err
    assert "nested estimate: accuracy " in printed.err
    assert {"search.csv", "model.safetensors", "config.yaml", "run.json"} <= {path.name for path in output.iterdir()}
    assert main([*where, "--resume", "--device", "cpu"]) == 0
    assert "this run is finished" in capsys.readouterr().err
    assert main([*where, *small]) == 1
    assert "holds a training run already" in capsys.readouterr().err
