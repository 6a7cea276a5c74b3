"""Train and evaluate with the two commands a user would type."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml
from tests.conftest import MakeClip, textured_frames

from lrcn.cli import main
from lrcn.model_file.storage import inspect

PLAIN = "refit: false\nruntime: torch\nepoch_steps: 1\n"
"""What a run may go without, to take seconds."""


@pytest.fixture(scope="module")
def data(make_clip: MakeClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sets") / "toy"
    number = 0
    for split, count in (("train", 3), ("val", 1), ("test", 2)):
        for label in ("walk", "wave"):
            (root / split / label).mkdir(parents=True)
            for _ in range(count):
                frames = textured_frames(8, 32, 40, seed=number)
                frames[..., 0 if label == "walk" else 2] = 0  # told apart by colour
                make_clip(root / split / label / f"v{number}.avi", frames, 10)
                number += 1
    return root


@pytest.fixture(scope="module")
def run_dir(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "first"
    config = output.parent / "small.yaml"
    config.write_text("epochs: 9\nhidden_size: 8\nviews: 1\nclip_length: 4\nclip_stride: 2\nlr: 1e-2\n" + PLAIN)
    flags = ["--config", str(config), "--epochs", "3", "--cache-dir", str(output.parent / "cache"), "--device", "cpu"]
    assert main(["train", "recognition", str(data), "--output", str(output), *flags]) == 0
    return output


def test_training_keeps_model_settings_history_and_curves(run_dir: Path) -> None:
    names = {path.name for path in run_dir.iterdir()}
    assert {"model.safetensors", "config.yaml", "history.csv", "run.json", "curves.png"} <= names
    header = inspect(run_dir)
    assert header.labels == ("walk", "wave")
    assert (header.model.hidden_size, header.preprocess.clip_length) == (8, 4)
    assert len((run_dir / "history.csv").read_text().splitlines()) == 4  # the flag's 3 epochs, not the file's 9
    assert yaml.safe_load((run_dir / "config.yaml").read_text())["lr"] == 0.01


def test_finished_run_is_not_overwritten(run_dir: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "recognition", str(data), "--output", str(run_dir), "--quiet"]) == 1
    error = capsys.readouterr().err
    assert "use --resume" in error
    assert len(error.splitlines()) == 1


def test_flow_files_for_an_rgb_model_are_told_before_the_work(
    run_dir: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flow = ["--flow-dir", str(tmp_path)]
    commands = [
        ["train", "recognition", str(data), "--output", str(tmp_path / "run")],
        ["ablate", str(data), "--output", str(tmp_path / "run")],
        ["evaluate", str(run_dir), str(data)],
    ]
    for command in commands:
        assert main([*command, *flow]) == 2, command
        error = capsys.readouterr().err
        assert error.startswith("lrcn: error: --flow-dir holds flow images")
        assert len(error.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_flags_of_captions_are_refused_for_a_recognition_model(
    run_dir: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for flags in (["--beam-size", "3"], ["--no-baselines"], ["--vectors", "v.csv"]):
        assert main(["evaluate", str(run_dir), str(data), *flags]) == 2
        said = capsys.readouterr().err
        assert said == f"lrcn: error: {run_dir} is a recognition model: the flags of captioning models do nothing\n"


def test_evaluation_prints_scores_and_writes_a_report(
    run_dir: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "report"
    assert main(["evaluate", str(run_dir), str(data), "--output", str(output), "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "toy, split test: 4 videos"
    saved = json.loads((output / "report.json").read_text())
    assert f"{saved['top1']:.1%}" in lines[1]
    assert {path.name for path in output.iterdir()} == {
        "report.json", "per_class.csv", "confusion.csv", "predictions.csv", "confusion.png", "reliability.png",
        "index.html",
    }  # fmt: skip

    assert main(["evaluate", str(run_dir), str(data), "--json", "--device", "cpu"]) == 0
    assert json.loads(capsys.readouterr().out) == saved


def test_the_command_that_training_ends_with_works_without_a_test_split(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classes, output = data / "train", tmp_path / "run"  # a folder of classes, of which training holds some back
    flags = ["--hidden-size", "8", "--views", "1", "--epochs", "1", "--seed", "5", "--cache-dir", str(tmp_path / "c")]
    flags += ["--runtime", "torch", "--epoch-steps", "1", "--no-refit"]  # or what was held back is learnt in the end
    assert main(["train", "recognition", str(classes), "--output", str(output), "--device", "cpu", *flags]) == 0
    (hint,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("measure it: lrcn ")]
    assert main([*hint.removeprefix("measure it: lrcn ").split(), "--device", "cpu"]) == 0
    assert "split val: 2 videos" in capsys.readouterr().out


def test_unreadable_test_video_is_listed_and_exits_3(
    run_dir: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = data / "test" / "walk" / "zz.avi"
    broken.write_bytes(b"no video")
    try:
        assert main(["evaluate", str(run_dir), str(data), "--json", "--device", "cpu"]) == 3
    finally:
        broken.unlink()
    captured = capsys.readouterr()
    assert json.loads(captured.out)["num_videos"] == 4
    assert captured.err.splitlines()[-2].startswith(f"lrcn: error: {broken}")
    assert captured.err.splitlines()[-1] == "lrcn: 1 of 5 videos failed; the others are done"


def test_split_that_is_not_there_is_one_line(run_dir: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run_dir), str(data), "--split", "tset", "--quiet", "--device", "cpu"]) == 1
    assert capsys.readouterr().err.startswith("lrcn: error: toy: no 'tset' split; there is ")


def test_missing_lightning_is_one_line_with_the_remedy(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lightning", None)
    assert main(["train", "recognition", str(data), "--output", str(tmp_path / "run")]) == 1
    assert capsys.readouterr().err == "lrcn: error: lrcn train needs: pip install 'lrcn[train]'\n"
    assert list(tmp_path.iterdir()) == []
