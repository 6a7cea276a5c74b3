from __future__ import annotations

import csv
import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from tests.training.tiny_training import LABELS, TINY, tiny_config, train_quietly

from lrcn import model_file
from lrcn.config import RecognitionHeader
from lrcn.data.recognition.examples import RecognitionData, RecognitionExample
from lrcn.errors import ConfigError, DataError, MissingExtraError, UnknownNameError
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.training.callbacks import RunKeeper
from lrcn.training.features import training_views
from lrcn.training.fit import TrainResult, train
from lrcn.training.recognition.config import RecognitionTrainingConfig
from lrcn.training.run_folder import RunFolder
from lrcn.video.views import CENTER_VIEW, View


@pytest.fixture(scope="module")
def finished(bars: RecognitionData, cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A short run; do not write to its folder."""
    output = tmp_path_factory.mktemp("runs") / "finished"
    return train_quietly(tiny_config(), bars, output=output, cache_dir=cache_dir)


def weights(result: TrainResult) -> dict[str, torch.Tensor]:
    return load_file(result.model_path)


def same(first: TrainResult, second: TrainResult) -> bool:
    a, b = weights(first), weights(second)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_run_learns_what_only_the_order_of_frames_tells(bars: RecognitionData, cache_dir: Path, tmp_path: Path) -> None:
    config = tiny_config(grid=7, hidden_size=32, epochs=60, input_dropout=0.0, output_dropout=0.0)
    result = train_quietly(config, bars, output=tmp_path / "run", cache_dir=cache_dir)
    assert result.val_score is not None
    assert result.val_score > 0.85  # chance: a third; 9 videos
    assert result.history[-1]["train_loss"] < 0.4  # ln 3 = 1.1 at the start


def test_folder_tells_the_whole_story(finished: TrainResult) -> None:
    folder = finished.model_path.parent
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.yaml",
        "history.csv",
        "last.ckpt",
        "model.safetensors",
        "run.json",
    ]
    run = json.loads((folder / "run.json").read_text())
    assert run["data"]["examples"] == {"train": 18, "val": 9}
    assert run["versions"]["torch"] == torch.__version__.partition("+")[0] or run["versions"]["torch"]
    assert run["finished"] >= run["started"]
    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    assert [float(row["val_accuracy"]) for row in rows] == [row["val_accuracy"] for row in finished.history]
    header = model_file.inspect(folder)
    assert header.labels == LABELS
    assert header.provenance["data"]["name"] == "bars"
    assert header.provenance["config"]["backbone"] == TINY
    assert header.provenance["best_epoch"] == finished.best_epoch
    assert header.provenance["val_accuracy"] == finished.val_score


def test_saved_settings_repeat_the_run(
    finished: TrainResult, bars: RecognitionData, cache_dir: Path, tmp_path: Path
) -> None:
    settings = yaml.safe_load((finished.model_path.parent / "config.yaml").read_text())
    assert (settings["resize"], settings["crop"]) == (36, 32)  # what null stood for
    again = train_quietly(RecognitionTrainingConfig(**settings), bars, output=tmp_path / "b", cache_dir=cache_dir)
    assert same(again, finished)


def test_validation_accuracy_is_that_of_recognition(finished: TrainResult, bars: RecognitionData) -> None:
    header, model = model_file.load(finished.model_path)

    def loss(header: RecognitionHeader) -> tuple[float, float]:
        recognize = Recognizer(header, model)
        results = [(recognize(example.path), example.label) for example in bars.split("val")]
        accuracy = np.mean([result.label == label for result, label in results])
        return float(accuracy), -np.mean([np.log(result.probs[LABELS.index(label)]) for result, label in results])

    accuracy, uncorrected = loss(replace(header, calibration=None))
    assert accuracy == finished.val_score
    best = finished.history[finished.best_epoch - 1]
    assert best["val_loss"] == pytest.approx(uncorrected, rel=1e-2)  # float16 features here, float32 there
    assert header.calibration is not None
    assert header.calibration.temperature != 1.0
    _, corrected = loss(header)
    assert corrected < uncorrected
    for factor in (0.8, 1.25):  # no other temperature is much better, though a few clips alone do not decide it
        other = replace(header.calibration, temperature=factor * header.calibration.temperature)
        assert corrected < loss(replace(header, calibration=other))[1] + 0.1


def test_best_epoch_is_kept(finished: TrainResult) -> None:
    ranked = sorted(finished.history, key=lambda row: (-row["val_accuracy"], row["val_loss"], row["epoch"]))
    assert finished.best_epoch == ranked[0]["epoch"]
    assert finished.val_score == ranked[0]["val_accuracy"]


def test_other_seed_gives_other_weights(
    finished: TrainResult, bars: RecognitionData, cache_dir: Path, tmp_path: Path
) -> None:
    other = train_quietly(tiny_config(seed=1), bars, output=tmp_path / "b", cache_dir=cache_dir)
    assert not same(other, finished)


@pytest.mark.parametrize("changes", [{"workers": 2}, {"logger": "none"}])
def test_workers_change_nothing(
    finished: TrainResult, bars: RecognitionData, cache_dir: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    assert same(train_quietly(tiny_config(**changes), bars, output=tmp_path / "b", cache_dir=cache_dir), finished)


def test_features_on_disk_give_the_run_that_features_in_memory_give(
    finished: TrainResult, bars: RecognitionData, cache_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrcn.training.features._MEMORY_SHARE", 0.0)
    assert same(train_quietly(tiny_config(), bars, output=tmp_path / "b", cache_dir=cache_dir), finished)


def test_max_steps_ends_within_an_epoch(bars: RecognitionData, cache_dir: Path, tmp_path: Path) -> None:
    result = train_quietly(tiny_config(max_steps=5), bars, output=tmp_path / "run", cache_dir=cache_dir)
    assert [row["step"] for row in result.history] == [3, 5]  # 18 videos in batches of 6


def test_patience_ends_a_run_that_no_longer_gains(bars: RecognitionData, cache_dir: Path, tmp_path: Path) -> None:
    config = tiny_config(epochs=200, patience=2, lr=1e-9, lr_schedule="constant")
    result = train_quietly(config, bars, output=tmp_path / "run", cache_dir=cache_dir)
    assert len(result.history) < 30
    assert len(result.history) == result.best_epoch + 2


def test_without_validation_the_last_epoch_is_kept(bars: RecognitionData, cache_dir: Path, tmp_path: Path) -> None:
    data = replace(bars, examples=bars.split("train"))
    result = train_quietly(tiny_config(epochs=2), data, output=tmp_path / "run", cache_dir=cache_dir)
    assert (result.best_epoch, result.val_score) == (2, None)
    assert "val_loss" not in result.history[0]
    assert "val_accuracy" not in model_file.inspect(result.model_path).provenance


@pytest.mark.parametrize("head", ["frame", "mean"])
def test_other_heads_train_too(bars: RecognitionData, cache_dir: Path, tmp_path: Path, head: str) -> None:
    result = train_quietly(tiny_config(head=head), bars, output=tmp_path / "run", cache_dir=cache_dir)
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]


# --- training the backbone --------------------------------------------------------------------------------------------


def test_backbone_is_trained_on_frames(bars: RecognitionData, tmp_path: Path) -> None:
    config = tiny_config(backbone_trainable=True, epochs=4, workers=2)
    result = train_quietly(config, bars, output=tmp_path / "run")
    start = train_quietly(replace(config, epochs=1, lr=1e-12), bars, output=tmp_path / "start")
    trained, untrained = weights(result), weights(start)
    for name in trained:
        if name.startswith("backbone.") and name.endswith("weight"):
            assert not torch.allclose(trained[name], untrained[name], atol=1e-5), name
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]
    header, model = model_file.load(result.model_path)
    recognize = Recognizer(header, model)
    right = [recognize(example.path).label == example.label for example in bars.split("val")]
    assert np.mean(right) == result.val_score
    assert header.calibration is not None


def test_frozen_backbone_comes_out_as_it_went_in(finished: TrainResult) -> None:
    torch.manual_seed(0)
    from lrcn.models.recognition import RecognitionModel

    expected = RecognitionModel(tiny_config().recognition_config(3)).state_dict()
    found = weights(finished)
    for name, value in expected.items():
        assert torch.equal(found[name], value) == name.startswith("backbone.") or name.endswith("bias_hh_l0"), name


def test_flow_stream_trains(bars: RecognitionData, cache_dir: Path, tmp_path: Path) -> None:
    config = tiny_config(stream="flow", epochs=30, input_dropout=0.0, output_dropout=0.0)
    result = train_quietly(config, bars, output=tmp_path / "run", cache_dir=cache_dir)
    assert result.val_score is not None
    assert result.val_score > 0.85


# --- what a run may not do --------------------------------------------------------------------------------------------


def one_line(caught: pytest.ExceptionInfo[Exception]) -> bool:
    return "\n" not in str(caught.value)


def test_folder_with_a_run_is_refused(finished: TrainResult, bars: RecognitionData) -> None:
    with pytest.raises(ConfigError, match=r"holds a training run already \(config.yaml\): use --resume") as caught:
        train_quietly(tiny_config(), bars, output=finished.model_path.parent)
    assert one_line(caught)


def test_resuming_with_other_settings_names_them(finished: TrainResult, bars: RecognitionData) -> None:
    config = tiny_config(lr=0.5, epochs=9, workers=2)
    with pytest.raises(ConfigError, match=r"other settings: lr \(0.01 -> 0.5\), epochs \(3 -> 9\);") as caught:
        train_quietly(config, bars, output=finished.model_path.parent, resume=True)
    assert one_line(caught)


def test_finished_run_is_only_reported(finished: TrainResult) -> None:
    no_data = RecognitionData((), (), "not looked at")
    again = train_quietly(tiny_config(workers=1), no_data, output=finished.model_path.parent, resume=True)
    assert again == finished


def test_what_a_killed_run_left_half_written_goes(tmp_path: Path) -> None:
    for name in (".last-x.ckpt", ".model-x.safetensors", ".run-x.json", ".config-x.yaml", ".history-x.csv", "mine.csv"):
        (tmp_path / name).touch()
    RunFolder(tmp_path).start(tiny_config(), {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "mine.csv", "run.json"]


def test_what_was_left_by_a_kill_right_at_the_end_goes(bars: RecognitionData, cache_dir: Path, tmp_path: Path) -> None:
    where = {"output": tmp_path / "run", "cache_dir": cache_dir}
    train_quietly(tiny_config(epochs=1), bars, **where)
    (tmp_path / "run" / ".run-x.json").touch()
    train_quietly(tiny_config(epochs=1), bars, resume=True, **where)
    assert not list((tmp_path / "run").glob(".run-*"))


def test_a_run_whose_folder_is_taken_away_ends_and_says_so(
    bars: RecognitionData, cache_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would work on for hours in a folder that nobody can go on with."""
    hook = RunKeeper.on_train_batch_end

    def take(self: RunKeeper, *arguments: Any, **named: Any) -> None:
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        hook(self, *arguments, **named)

    monkeypatch.setattr(RunKeeper, "on_train_batch_end", take)
    with pytest.raises(ConfigError, match=r"run/config\.yaml is gone"):
        train_quietly(tiny_config(), bars, output=tmp_path / "run", cache_dir=cache_dir, checkpoint_every_s=0.0)
    assert not (tmp_path / "run" / "last.ckpt").exists()


def test_resuming_without_a_run_starts_one(
    finished: TrainResult, bars: RecognitionData, cache_dir: Path, tmp_path: Path
) -> None:
    assert same(train_quietly(tiny_config(), bars, output=tmp_path / "b", cache_dir=cache_dir, resume=True), finished)


class StopAt:
    """Makes a run stop as if Ctrl-C, or another signal, had been sent at a step."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: int, signal_number: int) -> None:
        hook = RunKeeper.on_train_batch_end

        def stopping(keeper: RunKeeper, *args: Any) -> None:
            if keeper._state.step + 1 == step:
                os.kill(os.getpid(), signal_number)
            hook(keeper, *args)

        monkeypatch.setattr(RunKeeper, "on_train_batch_end", stopping)


@pytest.mark.parametrize(
    ("signal_number", "raised"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit), (signal.SIGHUP, SystemExit)],
)
def test_interrupted_run_loses_no_step(
    finished: TrainResult,
    bars: RecognitionData,
    cache_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    signal_number: int,
    raised: type[BaseException],
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        StopAt(patch, 5, signal_number)
        with pytest.raises(raised):
            train_quietly(tiny_config(), bars, output=tmp_path / "b", cache_dir=cache_dir)
    assert signal.getsignal(signal.SIGINT) is handler
    assert torch.load(tmp_path / "b" / "last.ckpt", weights_only=True)["state"]["step"] == 5
    again = train_quietly(tiny_config(), bars, output=tmp_path / "b", cache_dir=cache_dir, resume=True)
    assert same(again, finished)
    assert model_file.inspect(again.model_path).calibration == model_file.inspect(finished.model_path).calibration


def test_resuming_on_other_videos_is_refused(
    bars: RecognitionData, cache_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        StopAt(patch, 2, signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            train_quietly(tiny_config(), bars, output=tmp_path / "b", cache_dir=cache_dir)
    fewer = replace(bars, examples=bars.examples[1:])
    with pytest.raises(ConfigError, match="started with another data") as caught:
        train_quietly(tiny_config(), fewer, output=tmp_path / "b", cache_dir=cache_dir, resume=True)
    assert one_line(caught)


def test_loss_that_explodes_ends_the_run(bars: RecognitionData, cache_dir: Path, tmp_path: Path) -> None:
    config = tiny_config(optimizer="sgd", lr=1e30, clip_norm=None, lr_schedule="constant", head="frame")
    with pytest.raises(ConfigError, match=r"(val_)?loss became \w+ at step \d+ \(learning rate 1e\+30\)") as caught:
        train_quietly(config, bars, output=tmp_path / "run", cache_dir=cache_dir)
    assert one_line(caught)


def test_class_without_training_videos_is_named(bars: RecognitionData, tmp_path: Path) -> None:
    data = replace(bars, labels=(*LABELS, "up", "down"))
    with pytest.raises(DataError, match=r"bars: no training example of class 'up' \(1 more classes\)"):
        train_quietly(tiny_config(), data, output=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_single_class_is_refused(bars: RecognitionData, tmp_path: Path) -> None:
    data = RecognitionData(("left",), tuple(e for e in bars.examples if e.label == "left"), "bars")
    with pytest.raises(DataError, match="one class only, 'left'"):
        train_quietly(tiny_config(), data, output=tmp_path / "run")


def test_one_clip_a_class_trains_and_says_so(
    bars: RecognitionData, cache_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = [next(e for e in bars.examples if (e.label, e.split) == (label, "train")) for label in LABELS]
    own = {"head": "lstm+statistics", "standardise": True, "embedding_size": 128, "embedding_kind": "principal"}
    config = tiny_config(**own, change_memory=(0.0, 0.9), epochs=1)
    data = replace(bars, examples=tuple(first))
    result = train_quietly(config, data, output=tmp_path / "alone", cache_dir=cache_dir)
    assert result.model_path.is_file()
    assert result.val_score is None
    assert "one training clip only of class 'left' (2 more)" in " ".join(capsys.readouterr().err.split())
    train_quietly(tiny_config(epochs=1), bars, output=tmp_path / "many", cache_dir=cache_dir)
    assert "one training clip only" not in capsys.readouterr().err


@pytest.mark.parametrize(("split", "changes"), [("train", {}), ("val", {"patience": 3})])
def test_missing_split_is_refused(bars: RecognitionData, tmp_path: Path, split: str, changes: dict[str, Any]) -> None:
    data = replace(bars, examples=tuple(e for e in bars.examples if e.split != split))
    with pytest.raises(DataError, match=f"no '{split}' split"):
        train_quietly(tiny_config(**changes), data, output=tmp_path / "run")


@pytest.mark.parametrize("trainable", [True, False])
def test_broken_videos_are_left_out_and_listed(
    bars: RecognitionData, cache_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], trainable: bool
) -> None:
    broken = tmp_path / "broken.avi"
    broken.write_bytes(b"no video" * 100)
    extra = tuple(RecognitionExample(broken, "left", split) for split in ("train", "val"))
    data = replace(bars, examples=(*bars.examples, *extra))
    config = tiny_config(epochs=1, backbone_trainable=trainable)
    result = train_quietly(config, data, output=tmp_path / "run", cache_dir=cache_dir)
    assert len(result.skipped) == 2
    assert all(str(broken) in line for line in result.skipped)
    assert capsys.readouterr().err.count(f"warning: left out: {broken}") == 2
    assert len(json.loads((tmp_path / "run" / "run.json").read_text())["skipped"]) == 2


def test_class_whose_videos_are_all_broken_is_named(bars: RecognitionData, cache_dir: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.avi"
    broken.write_bytes(b"no video" * 100)
    examples = tuple(replace(e, path=broken) if e.label == "still" else e for e in bars.examples)
    with pytest.raises(DataError, match="no training video can be read of class 'still'"):
        train_quietly(tiny_config(), replace(bars, examples=examples), output=tmp_path / "run", cache_dir=cache_dir)


def test_missing_logger_names_its_package(
    bars: RecognitionData, cache_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrcn.training.trainer.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="logger 'wandb' needs: pip install wandb"):
        train_quietly(tiny_config(logger="wandb"), bars, output=tmp_path / "run", cache_dir=cache_dir)


def test_crop_that_the_network_cannot_take_is_refused(bars: RecognitionData, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="8 px"):
        train_quietly(tiny_config(resize=36, crop=8), bars, output=tmp_path / "run")


# --- what the user sees -----------------------------------------------------------------------------------------------


def test_progress_is_a_line_an_epoch_on_stderr(
    bars: RecognitionData, cache_dir: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train(tiny_config(), bars, output=tmp_path / "run", cache_dir=cache_dir, device="cpu")
    shown = capfd.readouterr()
    assert shown.out == ""
    lines = shown.err.splitlines()
    assert [line.partition(":")[0] for line in lines if line.startswith("epoch")] == [f"epoch {i}/3" for i in (1, 2, 3)]
    assert all(line.startswith(("epoch", "warning: the frozen backbone", str(tmp_path))) for line in lines)


def test_quiet_run_says_nothing(
    bars: RecognitionData, cache_dir: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = {**tiny_config(init_from=None).to_dict(), "backbone_weights": "none"}
    train_quietly(RecognitionTrainingConfig(**settings), bars, output=tmp_path / "run", cache_dir=cache_dir)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert all(line.startswith("warning:") for line in shown.err.splitlines())


# --- views ------------------------------------------------------------------------------------------------------------


def test_cached_views_are_the_centre_its_mirror_image_and_random_ones_of_the_content() -> None:
    content = "ab" * 32
    views = training_views(tiny_config(views=4, mirror=True), content)
    assert views[:2] == (CENTER_VIEW, View(mirror=True))
    assert len(set(views)) == 4
    assert training_views(tiny_config(views=1, mirror=True), content) == (CENTER_VIEW,)
    assert not any(view.mirror for view in training_views(tiny_config(views=4, mirror=False), content))
    assert views == training_views(tiny_config(views=4, mirror=True, lr=0.5), content)
    assert views[:2] == training_views(tiny_config(views=2, mirror=True), content)
    assert views == training_views(tiny_config(views=4, mirror=True, seed=1), content)  # seeds share the cache
    assert views != training_views(tiny_config(views=4, mirror=True), "cd" * 32)


def test_views_without_augmentation_are_one() -> None:
    assert training_views(tiny_config(views=4, mirror=False, jitter=0.0), "ab" * 32) == (CENTER_VIEW,)


def test_second_run_encodes_nothing(
    finished: TrainResult, bars: RecognitionData, cache_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a video was encoded again")

    monkeypatch.setattr("lrcn.features.encode_video", fail)
    moved = tmp_path / "moved"
    moved.mkdir()
    examples = tuple(replace(e, path=Path(shutil.copy(e.path, moved))) for e in bars.examples)
    again = train_quietly(tiny_config(), replace(bars, examples=examples), output=tmp_path / "run", cache_dir=cache_dir)
    assert same(again, finished)


def test_features_may_come_from_another_runtime(bars: RecognitionData, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    cache = tmp_path / "cache"
    runs = {}
    for name, config in {
        "torch": tiny_config(epochs=1),
        "openvino": tiny_config(epochs=1, runtime="openvino"),
        "another head": tiny_config(epochs=1, runtime="openvino", hidden_size=5),
    }.items():
        output = train_quietly(config, bars, output=tmp_path / name, cache_dir=cache).model_path.parent
        runs[name] = json.loads((output / "run.json").read_text())["backbone"]
    assert [run["runtime"] for run in runs.values()] == ["torch", "openvino", "openvino"]
    assert runs["torch"]["sha256"] != runs["openvino"]["sha256"] == runs["another head"]["sha256"]
    # the graph is the backbone's: another head makes none
    assert len([path for path in (cache / "runtimes").iterdir() if path.is_dir()]) == 1

    folders = {name: cache / "features" / runs[name]["sha256"][:32] for name in ("torch", "openvino")}
    files = sorted(path.name for path in folders["torch"].glob("*.npy"))
    assert len(files) == len(list(folders["openvino"].glob("*.npy"))) > 0
    for name in files:
        expected, found = (np.load(folder / name).astype(np.float32) for folder in folders.values())
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-3 * np.abs(expected).max())


def test_a_runtime_goes_with_a_frozen_backbone(bars: RecognitionData, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a CNN is trained in torch"):
        tiny_config(runtime="openvino", backbone_trainable=True)
    with pytest.raises(UnknownNameError, match="did you mean 'openvino'"):
        train_quietly(tiny_config(runtime="openvin"), bars, output=tmp_path / "run", cache_dir=tmp_path / "cache")
    assert not (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.parametrize("name", ["h\udcfcpfen", "two\nlines"])
def test_a_class_name_that_no_model_file_can_hold_is_told_before_the_work(
    bars: RecognitionData, tmp_path: Path, name: str
) -> None:
    examples = tuple(
        replace(example, label=name if example.label == "left" else example.label) for example in bars.examples
    )
    data = replace(bars, labels=(name, *LABELS[1:]), examples=examples)
    with pytest.raises(DataError, match="is no text in UTF-8; rename its folder") as caught:
        train_quietly(tiny_config(), data, output=tmp_path / "run")
    assert one_line(caught)
    assert not (tmp_path / "run").exists()


def test_names_of_files_that_are_no_text_do_not_keep_a_model_from_being_written(
    bars: RecognitionData, cache_dir: Path, tmp_path: Path
) -> None:
    odd = tmp_path / "h\udcfcpfen"
    data = replace(bars, name=odd.name)
    result = train_quietly(tiny_config(epochs=1), data, output=odd, cache_dir=cache_dir, command=f"lrcn {odd}")
    assert model_file.inspect(result.model_path).provenance["data"]["name"] == "h\\udcfcpfen"
