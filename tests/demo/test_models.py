from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lrcn.config import CaptioningConfig, CaptioningHeader
from lrcn.demo.models import MOST_LOADED, Models, find_models
from lrcn.errors import ConfigError, ModelFileError
from lrcn.inference.captioning.predictor import Captioner
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.model_file.storage import save
from lrcn.models.captioning import CaptioningModel


def never(line: str) -> None:
    raise AssertionError(line)


@pytest.fixture
def folder(tiny_model: Path, tiny_caption_model: Path, tmp_path: Path) -> Path:
    """A model file, what `lrcn train` leaves, what is no model of ours, and what is none at all."""
    (tmp_path / "models" / "run").mkdir(parents=True)
    (tmp_path / "models" / "empty").mkdir()
    shutil.copy(tiny_model, tmp_path / "models" / "a.safetensors")
    shutil.copy(tiny_caption_model, tmp_path / "models" / "run" / "model.safetensors")
    (tmp_path / "models" / "foreign.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    (tmp_path / "models" / "notes.txt").write_text("of mine")
    return tmp_path / "models"


def test_all_that_ship_are_offered_where_none_is_named() -> None:
    assert list(find_models((), never)) == ["demo", "photos", "emoji"]


def test_a_folder_stands_for_the_models_in_it_and_tells_what_it_leaves_out(folder: Path) -> None:
    told: list[str] = []
    found = find_models(["demo", str(folder)], told.append)
    assert found == {"demo": "demo", "a": str(folder / "a.safetensors"), "run": str(folder / "run")}
    assert len(told) == 1
    assert told[0].startswith(f"left out: {folder / 'foreign.safetensors'}: ")


def test_models_of_one_name_are_told_apart_by_their_paths(folder: Path, tiny_model: Path) -> None:
    other = folder.parent / "a.safetensors"
    shutil.copy(tiny_model, other)
    first = str(folder / "a.safetensors")
    assert find_models([first, str(other), first], never) == {"a": first, str(other): str(other)}


def test_what_is_no_model_is_one_line(folder: Path) -> None:
    for given, told in (
        ("gone", r"gone: no such model file; give a \.safetensors file"),
        (str(folder / "notes.txt"), r"notes\.txt: "),
        (str(folder / "empty"), r"empty: holds no model; expected \.safetensors files, or folders that"),
    ):
        with pytest.raises(ModelFileError, match=told):
            find_models([given], never)


def test_models_load_when_they_are_asked_and_the_last_ones_stay(folder: Path, tiny_model: Path) -> None:
    for number in range(MOST_LOADED):
        shutil.copy(tiny_model, folder / f"b{number}.safetensors")
    models = Models(find_models([str(folder)], lambda line: None))
    assert models.names == ("a", *(f"b{number}" for number in range(MOST_LOADED)), "run")
    first = models.load("a")
    assert isinstance(first, Recognizer)
    assert models.load("a") is first
    assert isinstance(models.load("run"), Captioner)
    others = [models.load(f"b{number}") for number in range(MOST_LOADED)]
    assert [models.load(f"b{number}") for number in range(MOST_LOADED)] == others
    assert models.load("a") is not first
    (folder / "b0.safetensors").unlink()
    with pytest.raises(ModelFileError, match="b0"):
        models.load("b0")
    with pytest.raises(ModelFileError, match=r"no model of the name '\.\./\.\./etc'"):
        models.load("../../etc")


def test_a_model_of_ready_vectors_says_that_it_takes_no_pictures(tmp_path: Path) -> None:
    config = CaptioningConfig(backbone=None, vector_size=3, vocabulary_size=6, embedding_size=4, hidden_size=5)
    header = CaptioningHeader(model=config, preprocess=None, vocabulary=("a", "dog"))
    save(tmp_path / "vectors.safetensors", header, CaptioningModel(config).state_dict())
    models = Models(find_models([str(tmp_path / "vectors.safetensors")], never))
    with pytest.raises(ConfigError, match="vectors reads ready vectors, and videos and pictures are looked at here"):
        models.load("vectors")
