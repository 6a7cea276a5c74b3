from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.tiny_training import LABELS, tiny_config

from lrcn import model_file
from lrcn.config import PreprocessConfig, RecognitionHeader
from lrcn.errors import ModelFileError
from lrcn.models.recognition import RecognitionModel
from lrcn.training.recognition.initial import initial_model


def stage_1(folder: Path, labels: tuple[str, ...] = LABELS, **changes: Any) -> tuple[Path, RecognitionModel]:
    torch.manual_seed(5)
    model = RecognitionModel(tiny_config(**changes).recognition_config(len(labels)))
    header = RecognitionHeader(model=model.config, preprocess=PreprocessConfig(), labels=labels)
    path = folder / "model.safetensors"
    model_file.save(path, header, model.state_dict())
    return path, model


def test_lstm_net_takes_the_cnn_of_the_single_frame_net(tmp_path: Path) -> None:
    path, first = stage_1(tmp_path, head="frame")
    torch.manual_seed(6)
    model, report = initial_model(tiny_config(init_from=str(path)), LABELS)

    assert report is not None
    cnn = {name for name in first.state_dict() if name.startswith("backbone.")}
    assert set(report.taken) == cnn
    assert {name.partition(".")[0] for name in report.new} == {"lstm", "classifier"}
    assert set(report.left) == {"classifier.weight", "classifier.bias"}
    for name in cnn:
        assert torch.equal(model.state_dict()[name], first.state_dict()[name])
    assert "tensors taken" in str(report)
    assert report.to_dict()["taken"] == len(cnn)
    assert "\n" not in str(report)


def test_same_classes_take_everything(tmp_path: Path) -> None:
    path, first = stage_1(tmp_path)
    model, report = initial_model(tiny_config(init_from=str(path.parent)), LABELS)
    assert report is not None
    assert not report.new
    assert not report.left
    assert all(torch.equal(model.state_dict()[name], value) for name, value in first.state_dict().items())


@pytest.mark.parametrize("labels", [("a", "b", "c"), LABELS[::-1], ("still", "wave"), ("up", "right", "down", "left")])
def test_a_classifier_of_other_classes_gives_the_rows_of_those_that_both_know(
    tmp_path: Path, labels: tuple[str, ...]
) -> None:
    path, first = stage_1(tmp_path, labels)
    torch.manual_seed(6)
    model, report = initial_model(tiny_config(init_from=str(path)), LABELS)
    torch.manual_seed(6)
    fresh, _ = initial_model(tiny_config(), LABELS)
    assert report is not None
    assert set(report.new) == set(report.left) == {"classifier.weight", "classifier.bias"}
    assert set(report.classes) == set(labels) & set(LABELS)
    assert ("rows of" in str(report)) == bool(report.classes)
    for name in ("classifier.weight", "classifier.bias"):
        for row, label in enumerate(LABELS):
            source = first.state_dict()[name][labels.index(label)] if label in labels else fresh.state_dict()[name][row]
            assert torch.equal(model.state_dict()[name][row], source)


def test_rows_of_another_kind_of_head_or_another_size_mean_nothing_here(tmp_path: Path) -> None:
    for changes in ({"head": "frame"}, {"hidden_size": 8}):
        path, _ = stage_1(tmp_path, ("left", "up"), **changes)
        _, report = initial_model(tiny_config(init_from=str(path)), LABELS)
        assert report is not None
        assert report.classes == ()


def test_other_lstm_size_is_new(tmp_path: Path) -> None:
    path, _ = stage_1(tmp_path, hidden_size=8)
    _, report = initial_model(tiny_config(init_from=str(path)), LABELS)
    assert report is not None
    assert "lstm.layers.0.weight_hh_l0" in report.new
    assert "lstm.layers.0.weight_hh_l0" in report.left


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no such model file"):
        initial_model(tiny_config(init_from=str(tmp_path / "none.safetensors")), LABELS)


def test_weights_depend_on_the_seed_alone() -> None:
    weights = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        weights.append(initial_model(tiny_config(), LABELS)[0].state_dict())
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert not torch.equal(weights[0]["classifier.weight"], weights[2]["classifier.weight"])


def test_released_initialisation_has_the_release_s_spread_and_leaves_the_backbone_alone() -> None:
    torch.manual_seed(0)
    model, _ = initial_model(tiny_config(head_init="release", hidden_size=64, grid=7), ("a", "b", "c"))
    torch.manual_seed(0)
    ordinary, _ = initial_model(tiny_config(hidden_size=64, grid=7), ("a", "b", "c"))
    for name, value in ordinary.backbone.state_dict().items():
        assert torch.equal(model.backbone.state_dict()[name], value), name
    for name, parameter in model.named_parameters():
        if name.startswith("backbone."):
            continue
        if name.endswith("bias") or ".bias_" in name:
            assert not parameter.any(), name
        elif name.startswith("head.lstm."):
            assert parameter.abs().max() <= 0.01
            assert parameter.std().item() == pytest.approx(0.01 / 3**0.5, rel=0.1)
        else:
            assert parameter.std().item() == pytest.approx(0.01, rel=0.3), name
    torch.manual_seed(1)
    other, _ = initial_model(tiny_config(head_init="release", hidden_size=64, grid=7), ("a", "b", "c"))
    assert not torch.equal(other.head.classifier.weight, model.head.classifier.weight)
