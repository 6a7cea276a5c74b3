"""How bouts are found is fitted on the validation recordings, by what a recognizer says of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.tiny_recordings import tiny_recordings
from tests.training.tiny_training import tiny_config, train_quietly

from lrcn import model_file
from lrcn.data.recognition.examples import ReadOptions, RecognitionData
from lrcn.data.recognition.recordings import data_of
from lrcn.inference.recognition.bouts import bout_stride, default_settings, frame_probs
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.models.backbones import default_preprocess
from lrcn.training.progress import Narrator
from lrcn.training.recognition.bouts import BoutValidation, recording_windows
from lrcn.training.recognition.recipe import RecognitionRecipe


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory, make_clip: Any) -> RecognitionData:
    annotations = tiny_recordings(tmp_path_factory.mktemp("long"), make_clip)
    first, second = annotations.recordings
    divided = replace(annotations, recordings=(replace(first, split="train"), replace(second, split="val")))
    return data_of(divided, ReadOptions(), Path("tiny.csv"))


def test_what_is_fitted_on_is_what_a_recognizer_says(recordings: RecognitionData, tmp_path: Path) -> None:
    config = tiny_config()
    preprocess = config.preprocess_config(default_preprocess(config.backbone))
    recipe = RecognitionRecipe(config, preprocess, recordings, Narrator(quiet=True))
    torch.manual_seed(0)
    recipe.build()
    prepared = recipe.prepare(cache_dir=tmp_path, device=torch.device("cpu"), narrator=Narrator(quiet=True), rank=0)
    assert isinstance(prepared.validation, BoutValidation)
    header, model = recipe.header({}), recipe.model.eval()
    (one,) = prepared.validation._recordings
    assert one.truth.split == "val"
    assert one.truth.path is not None
    with torch.no_grad():
        ours = recording_windows(one, header, model, torch.device("cpu"))
    theirs = Recognizer(header, model).window_probs(one.truth.path, clip_stride=bout_stride(preprocess))
    assert ours.windows == theirs.windows
    assert ours.times_s == pytest.approx(theirs.times_s)
    assert ours.duration_s == pytest.approx(theirs.duration_s)
    np.testing.assert_allclose(ours.probs, theirs.probs, atol=2e-3)  # features are kept in half precision
    assert frame_probs(ours).shape == (len(ours.times_s), len(header.labels))


@pytest.mark.parametrize("refit", [False, True])
def test_a_model_of_recordings_says_how_its_bouts_are_found(
    recordings: RecognitionData, cache_dir: Path, tmp_path: Path, refit: bool
) -> None:
    result = train_quietly(
        tiny_config(grid=7, hidden_size=32, epochs=10, input_dropout=0.0, output_dropout=0.0, refit=refit),
        recordings,
        output=tmp_path / "run",
        cache_dir=cache_dir,
    )
    header = model_file.inspect(result.model_path)
    assert header.bouts is not None
    assert len(header.bouts.thresholds) == len(header.labels)
    assert default_settings(header) == header.bouts
    (path,) = {recording.path for recording in recordings.recordings if recording.split == "val"}
    found = Recognizer.load(result.model_path, device="cpu").find_bouts(path)
    assert found.settings == header.bouts


def test_clips_have_no_borders_to_fit_on(bars: RecognitionData, cache_dir: Path, tmp_path: Path) -> None:
    result = train_quietly(tiny_config(), bars, output=tmp_path / "run", cache_dir=cache_dir)
    assert model_file.inspect(result.model_path).bouts is None
