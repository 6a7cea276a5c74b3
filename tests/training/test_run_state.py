from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training.tiny_training import tiny_config

from lrcn.errors import DataError, Notice
from lrcn.models.recognition import RecognitionModel
from lrcn.training.optimizers import make_optimizer
from lrcn.training.run_state import (
    RunState,
    before_last,
    load_checkpoint,
    load_trainable,
    save_checkpoint,
    trainable_state,
)


def make_model(seed: int, *, frozen: bool) -> RecognitionModel:
    torch.manual_seed(seed)
    model = RecognitionModel(tiny_config().recognition_config(3))
    if frozen:
        model.freeze_backbone()
    return model


def write(path: Path) -> RunState:
    model = make_model(0, frozen=True)
    state = RunState(
        step=7,
        sums={"train_loss": 0.1},
        num_batches=2,
        history=[{"epoch": 1, "train_loss": 0.3}],
        best_epoch=1,
        best_loss=0.5,
    )
    weights = trainable_state(model)
    optimizer = make_optimizer(model, tiny_config())
    save_checkpoint(path, state, model=weights, best=weights, optimizer=optimizer, precision={})
    return state


def test_state_is_read_back(tmp_path: Path) -> None:
    state = write(tmp_path / "last.ckpt")
    found, rest = load_checkpoint(tmp_path / "last.ckpt")
    assert found == state
    assert rest.keys() == {"schema", "model", "best", "optimizer", "precision"}
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_backbone_is_left_out(frozen: bool) -> None:
    model, other = make_model(0, frozen=frozen), make_model(1, frozen=frozen)
    weights = trainable_state(model)
    assert any(name.startswith("backbone.") for name in weights) != frozen
    load_trainable(other, weights)
    for name, value in weights.items():
        assert torch.equal(other.state_dict()[name], value)


@pytest.mark.parametrize(("reward_sum", "sums"), [(0.0, {}), (0.4, {"train_cider_d": 0.4})])
def test_a_checkpoint_of_the_version_before_goes_on(tmp_path: Path, reward_sum: float, sums: dict[str, float]) -> None:
    state = write(tmp_path / "last.ckpt")
    content = torch.load(tmp_path / "last.ckpt", weights_only=True)
    del content["state"]["sums"], content["state"]["num_batches"]
    content["state"] |= {"loss_sum": 0.1, "num_losses": 2, "reward_sum": reward_sum}
    torch.save(content | {"schema": 2}, tmp_path / "last.ckpt")
    assert load_checkpoint(tmp_path / "last.ckpt")[0] == replace(state, sums={"train_loss": 0.1, **sums})


def test_kept_weights_do_not_follow_the_model() -> None:
    model = make_model(0, frozen=True)
    weights = trainable_state(model)
    before = weights["classifier.weight"].clone()
    with torch.no_grad():
        model.head.classifier.weight.zero_()
    assert torch.equal(weights["classifier.weight"], before)


@pytest.mark.parametrize("size", [0, 100, 3000])
def test_torn_checkpoint_is_refused_in_one_line(tmp_path: Path, size: int) -> None:
    path = tmp_path / "last.ckpt"
    write(path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError, match=r"last\.ckpt: damaged; delete it") as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)


class Trap:
    def __reduce__(self) -> tuple[object, ...]:
        return print, ("code in a checkpoint was run",)


def test_pickled_code_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"schema": 1, "state": {}, "model": Trap()}, tmp_path / "last.ckpt")
    with pytest.raises(DataError, match="damaged"):
        load_checkpoint(tmp_path / "last.ckpt")
    assert "was run" not in capsys.readouterr().out


def test_checkpoint_of_another_version_is_refused(tmp_path: Path) -> None:
    torch.save({"schema": 99, "state": {}}, tmp_path / "last.ckpt")
    with pytest.raises(DataError, match="another version"):
        load_checkpoint(tmp_path / "last.ckpt")


def test_of_a_damaged_checkpoint_the_one_before_is_taken_and_no_other_weights_ever(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    write(path)
    write(path)
    whole = path.read_bytes()
    _, expected = load_checkpoint(path)
    fell_back = 0
    rng = np.random.default_rng(0)
    for place in [0, 10, len(whole) - 3, len(whole) - 30, *rng.integers(0, len(whole), 150).tolist()]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(damaged))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            state, found = load_checkpoint(path)
        fell_back += any(issubclass(warning.category, Notice) for warning in told)
        assert state.step == 7
        for part in ("model", "best"):
            assert found[part].keys() == expected[part].keys()
            assert all(torch.equal(found[part][name], value) for name, value in expected[part].items())
    assert fell_back > 50
    before_last(path).write_bytes(b"PK")
    path.write_bytes(whole[:100])
    with pytest.raises(DataError, match="damaged; delete it and use --resume"):
        load_checkpoint(path)


def test_a_finished_run_keeps_one_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    state = write(path)
    write(path)
    assert before_last(path).is_file()
    model = make_model(0, frozen=True)
    weights, optimizer = trainable_state(model), make_optimizer(model, tiny_config())
    done = replace(state, finished=True)
    save_checkpoint(path, done, model=weights, best=weights, optimizer=optimizer, precision={})
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
