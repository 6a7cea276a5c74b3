"""The second training on training and validation clips together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.tiny_training import tiny_config, tiny_data

from lrcn import model_file
from lrcn.data.recognition.examples import RecognitionData, RecognitionExample
from lrcn.errors import ConfigError
from lrcn.training.fit import train
from lrcn.training.recipe import with_all_in_training

REFITTED = tiny_config(refit=True, patience=9)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, make_clip: Any) -> RecognitionData:
    data = tiny_data(tmp_path_factory.mktemp("bars"), make_clip, num_train=3, num_val=1)
    unreadable = RecognitionExample(Path("missing.avi"), data.labels[0], "test")
    return replace(data, examples=(*data.examples, unreadable))


def test_the_model_that_is_kept_is_that_of_all_clips_and_its_score_that_of_the_first(
    data: RecognitionData, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    scored = train(tiny_config(), data, output=tmp_path / "scored", cache_dir=cache, quiet=True, device="cpu")
    together = with_all_in_training(data)
    assert together is not None
    alone = train(tiny_config(), together, output=tmp_path / "alone", cache_dir=cache, quiet=True, device="cpu")
    both = train(REFITTED, data, output=tmp_path / "both", cache_dir=cache, quiet=True, device="cpu")
    assert both.model_path == tmp_path / "both" / "model.safetensors"
    assert both.val_score == scored.val_score
    header, model = model_file.load(both.model_path)
    _, expected = model_file.load(alone.model_path)
    assert all(torch.equal(value, expected.state_dict()[name]) for name, value in model.state_dict().items())
    assert header.provenance["refitted_on"] == 12
    assert header.provenance["config"]["refit"]
    assert header.provenance["val_accuracy"] == scored.val_score
    assert header.calibration == model_file.inspect(scored.model_path).calibration is not None
    assert model_file.inspect(alone.model_path).calibration is None
    assert header.provenance["data"]["examples"] == {"test": 1, "train": 9, "val": 3}

    # a second call has nothing left to do; one that was stopped between the two trainings goes on
    before = both.model_path.read_bytes()
    again = train(REFITTED, data, output=tmp_path / "both", resume=True, cache_dir=cache, quiet=True)
    assert again.val_score == both.val_score
    assert both.model_path.read_bytes() == before
    both.model_path.write_bytes(scored.model_path.read_bytes())
    train(REFITTED, data, output=tmp_path / "both", resume=True, cache_dir=cache, quiet=True)
    both.model_path.write_bytes(scored.model_path.read_bytes())
    other = replace(data, examples=data.examples[1:])
    with pytest.raises(ConfigError, match="another data"):
        train(REFITTED, other, output=tmp_path / "both", resume=True, cache_dir=cache)
    train(REFITTED, data, output=tmp_path / "both", resume=True, cache_dir=cache)
    _, model = model_file.load(both.model_path)
    assert all(torch.equal(value, expected.state_dict()[name]) for name, value in model.state_dict().items())


def test_without_validation_clips_there_is_nothing_to_train_again(data: RecognitionData, tmp_path: Path) -> None:
    trained = replace(data, examples=tuple(e for e in data.examples if e.split == "train"))
    result = train(tiny_config(refit=True), trained, output=tmp_path / "run", cache_dir=tmp_path, quiet=True)
    assert "refitted_on" not in model_file.inspect(result.model_path).provenance
    assert not (tmp_path / "run" / "refit").exists()


def test_the_second_training_is_announced_and_nobody_asked_to_go_on(
    data: RecognitionData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(REFITTED, data, output=tmp_path / "run", cache_dir=tmp_path / "cache", device="cpu")
    told = capsys.readouterr().err
    assert "training again on 12 examples, those of validation included" in told
    assert "nothing to go on with" not in told
