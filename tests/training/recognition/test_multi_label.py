"""Several behaviours at once, from annotated recordings to a model file that a recognizer opens."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score
from tests.training.tiny_recordings import overlapping, tiny_recordings
from tests.training.tiny_training import LABELS, tiny_config, train_quietly

from lrcn import model_file
from lrcn.data.batches import FeatureVideo
from lrcn.data.recognition.datasets import FeatureBatch
from lrcn.data.recognition.examples import ReadOptions, RecognitionData
from lrcn.data.recognition.recordings import data_of
from lrcn.errors import ConfigError, DataError
from lrcn.evaluation.recognition.report import evaluate_recognition
from lrcn.experiments.search import search
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.models.recognition import RecognitionModel
from lrcn.training.fit import TrainResult
from lrcn.training.module import RunPlan
from lrcn.training.recognition.module import RecognitionModule
from lrcn.training.recognition.multi_label import MultiLabelValidation
from lrcn.training.run_state import RunState

SMALL = {"grid": 7, "hidden_size": 16, "epochs": 12, "head": "lstm+statistics", "standardise": True}


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory, make_clip: Any) -> RecognitionData:
    annotations = overlapping(tiny_recordings(tmp_path_factory.mktemp("long"), make_clip))
    return data_of(annotations, ReadOptions(), Path("tiny.csv"))


@pytest.fixture(scope="module")
def trained(together: RecognitionData, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    folder = tmp_path_factory.mktemp("trained")
    return train_quietly(tiny_config(**SMALL), together, output=folder / "run", cache_dir=folder / "cache")


def test_label_sets_are_what_is_shown_together(together: RecognitionData) -> None:
    assert together.multi_label
    assert together.labels == (*LABELS, "bar")
    assert together.label_sets == ("", "bar|left", "bar|right", "bar|still")
    expected = [[False] * 4, *([label == own for label in LABELS] + [True] for own in LABELS)]
    assert together.shown_of_sets().tolist() == expected


def test_the_model_judges_each_behaviour_by_itself(trained: TrainResult, together: RecognitionData) -> None:
    header = model_file.inspect(trained.model_path)
    assert header.model.multi_label
    assert header.labels == (*LABELS, "bar")
    assert trained.val_score == header.provenance["val_average_precision"]
    assert trained.val_score is not None
    assert trained.val_score > 0.6
    assert header.calibration is not None
    assert len(header.calibration.class_temperatures) == 4
    assert header.calibration.unknown_below == 0.0
    with (trained.model_path.parent / "history.csv").open() as file:
        row = next(iter(csv.DictReader(file)))
    assert [name for name in row if name.startswith("val_")] == ["val_loss", "val_f1", "val_average_precision"]
    recognizer = Recognizer.load(trained.model_path, device="cpu")
    for example in together.split("test"):
        probs = dict(
            zip(
                recognizer.labels,
                recognizer(example.path, start_s=example.start_s, end_s=example.end_s).probs,
                strict=True,
            )
        )
        if (example.end_s or 0) - example.start_s > 0.9:
            assert (probs["bar"] > 0.5) == ("bar" in together.shown(example))


def test_a_resumed_run_is_only_reported(trained: TrainResult, together: RecognitionData) -> None:
    again = train_quietly(tiny_config(**SMALL), together, output=trained.model_path.parent, resume=True)
    assert again.val_score == trained.val_score


def test_scores_are_scikit_learns() -> None:
    class Says(torch.nn.Module):
        config = tiny_config().recognition_config(3, multi_label=True)

        def clip_probs(self, features: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            return features[:, 0]

    rng = np.random.default_rng(0)
    sets = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0]], bool)
    labels = rng.integers(4, size=50)
    probs = rng.random((50, 4)).round(1).clip(0.05, 0.95).astype(np.float32)
    videos = [FeatureVideo(int(label), 1, (row[None],)) for label, row in zip(labels, probs, strict=True)]
    validation = MultiLabelValidation(lambda model, device: videos, tiny_config().preprocess_config({}), sets)
    found = {name: value / number for name, (value, number) in validation(Says(), torch.device("cpu")).items()}  # type: ignore[arg-type]
    shown = sets[labels]
    average = average_precision_score(shown[:, :3], probs[:, :3], average="macro")
    assert found["val_average_precision"] == pytest.approx(average, abs=1e-6)
    assert found["val_f1"] == pytest.approx(f1_score(shown[:, :3], probs[:, :3] >= 0.5, average="macro"))
    expected = -np.where(shown, np.log(probs), np.log(1 - probs)).mean()
    assert found["val_loss"] == pytest.approx(expected, rel=1e-5)


def test_the_loss_compares_a_clip_with_all_that_it_shows(together: RecognitionData) -> None:
    config = tiny_config(input_dropout=0.0, output_dropout=0.0)
    torch.manual_seed(0)
    model = RecognitionModel(config.recognition_config(4, multi_label=True))
    plan = RunPlan(total_steps=1, fixed_statistics=True)
    pixels = config.preprocess_config({"resize": 36, "crop": 32})
    module = RecognitionModule(model, pixels, config, RunState(), plan, together.shown_of_sets())
    features = torch.randn(3, 4, model.backbone.feature_size)
    batch = FeatureBatch(features, torch.tensor([4, 2, 3]), torch.tensor([0, 2, 3]))
    probs = model(features).sigmoid().detach().double().numpy()
    shown = [[0, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, 1]]
    errors = [
        -np.log(probs[clip, frame, label] if shown[clip][label] else 1 - probs[clip, frame, label])
        for clip, length in enumerate([4, 2, 3])
        for frame in range(length)
        for label in range(4)
    ]
    assert module.loss(batch).item() == pytest.approx(np.mean(errors), rel=1e-5)


def test_a_trained_cnn_learns_several_at_once_too(together: RecognitionData, tmp_path: Path) -> None:
    config = tiny_config(backbone_trainable=True, epochs=1, batch_size=16)
    result = train_quietly(config, together, output=tmp_path / "run")
    assert result.val_score is not None
    assert 0 <= result.val_score <= 1


def test_what_makes_no_sense_is_refused_in_one_line(
    together: RecognitionData, trained: TrainResult, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="leave balance_classes out"):
        train_quietly(tiny_config(balance_classes=True), together, output=tmp_path / "run", cache_dir=tmp_path)
    with pytest.raises(DataError, match="several behaviours at once, and a search compares"):
        search(tiny_config(), together, output=tmp_path / "search", cache_dir=tmp_path, quiet=True)
    with pytest.raises(DataError, match="several behaviours at once"):
        evaluate_recognition(Recognizer.load(trained.model_path, device="cpu"), together)
    nowhere = replace(together, labels=(*together.labels, "rear"))
    with pytest.raises(DataError, match="no training example of class 'rear'"):
        train_quietly(tiny_config(), nowhere, output=tmp_path / "run", cache_dir=tmp_path)
