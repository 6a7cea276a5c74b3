"""The models inside the package; one of them takes its backbone from the package's own file."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
import torch

from lrcn.cli import main
from lrcn.config import BackboneConfig, CaptioningConfig, CaptioningHeader, PreprocessConfig
from lrcn.errors import ModelFileError
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.model_file import load, save
from lrcn.model_file.shipped import shipped_path, without_backbone
from lrcn.models.captioning import CaptioningModel

WORDS = ("a", "dog")
HEADER = CaptioningHeader(
    model=CaptioningConfig(
        backbone=BackboneConfig(layer="blocks.1"), vocabulary_size=6, embedding_size=4, hidden_size=5
    ),
    preprocess=PreprocessConfig(resize=32, crop=32),
    vocabulary=WORDS,
    provenance={"licence": "test"},
)


@pytest.fixture(scope="module")
def model() -> CaptioningModel:
    torch.manual_seed(0)
    return CaptioningModel(HEADER.model, backbone_weights="auto")


def test_a_model_without_backbone_is_completed_from_the_package(model: CaptioningModel, tmp_path: Path) -> None:
    header, rest = without_backbone(HEADER, model.state_dict())
    assert not any(name.startswith("backbone.") for name in rest)
    save(tmp_path / "part.safetensors", header, rest)
    save(tmp_path / "whole.safetensors", HEADER, model.state_dict())
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("part", "whole")]
    assert sizes[0] < sizes[1] / 2
    _, loaded = load(tmp_path / "part.safetensors", task="captioning")
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_a_backbone_of_its_own_is_not_left_out(model: CaptioningModel) -> None:
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state["backbone.trunk.conv_stem.weight"][0, 0, 0, 0] += 1e-3
    with pytest.raises(ModelFileError, match="backbone is not the packaged one"):
        without_backbone(HEADER, state)


def test_a_model_of_another_packaged_backbone_is_one_line(model: CaptioningModel, tmp_path: Path) -> None:
    header, rest = without_backbone(HEADER, model.state_dict())
    wrong = {key: "0" * 63 + "1" if "sha256" in key else value for key, value in header.provenance.items()}
    save(tmp_path / "m.safetensors", replace(header, provenance=wrong), rest)
    with pytest.raises(ModelFileError, match=r"m\.safetensors: belongs to another lrcn.*reinstall") as caught:
        load(tmp_path / "m.safetensors", task="captioning")
    assert "\n" not in str(caught.value)


def test_a_whole_file_needs_nothing_from_the_package(model: CaptioningModel, tmp_path: Path) -> None:
    header, _ = without_backbone(HEADER, model.state_dict())
    other = {key: "0" * 63 + "1" if "sha256" in key else value for key, value in header.provenance.items()}
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state["backbone.trunk.conv_stem.weight"][0, 0, 0, 0] += 1  # its own, which must be kept
    save(tmp_path / "again.safetensors", replace(header, provenance=other), state)
    _, loaded = load(tmp_path / "again.safetensors", task="captioning")
    name = "backbone.trunk.conv_stem.weight"
    assert torch.equal(loaded.state_dict()[name], state[name])


def test_a_file_that_lacks_its_backbone_and_does_not_say_so_is_refused(model: CaptioningModel, tmp_path: Path) -> None:
    _, rest = without_backbone(HEADER, model.state_dict())
    save(tmp_path / "m.safetensors", HEADER, rest)
    with pytest.raises(ModelFileError, match=r"backbone\.trunk\.conv_stem\.weight is missing"):
        load(tmp_path / "m.safetensors", task="captioning")


def test_the_shipped_captioning_model_names_what_it_has_never_seen_together(
    capsys: pytest.CaptureFixture[str],
) -> None:
    picture = Path(str(files("lrcn"))) / "assets" / "dolphin.jpg"  # of the test split
    assert main(["caption", str(picture), "--model", "emoji", "--device", "cpu"]) == 0
    assert capsys.readouterr().out.split()[1:] == ["a", "picture", "of", "a", "dolphin", "over", "a", "rainbow"]


def test_without_a_model_photographs_are_described_as_the_readme_says(capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(__file__).parents[2]
    rows = re.findall(r'^\| <img src="(\S+)"[^|]*\| ([^|]+) \|', (root / "README.md").read_text("utf-8"), re.MULTILINE)
    assert len(rows) == len(list((root / "docs" / "images" / "photographs").iterdir())) == 10
    assert main(["caption", *(str(root / path) for path, _ in rows), "--device", "cpu", "--quiet"]) == 0
    said = [line.split("  ", 1)[1] for line in capsys.readouterr().out.splitlines()]
    # on another processor rounding may decide between two captions
    assert sum(told == caption for (_, told), caption in zip(rows, said, strict=True)) >= 8


def test_without_a_model_sentences_find_photographs(capsys: pytest.CaptureFixture[str]) -> None:
    pictures = Path(__file__).parents[2] / "docs" / "images" / "photographs"
    query = ("--text", "a building", "--top-k", "10", "--json", "--device", "cpu", "--quiet")
    assert main(["retrieve", "--images", str(pictures), *query]) == 0
    unnamed = capsys.readouterr().out
    assert main(["retrieve", "--images", str(pictures), "--model", "photos", *query]) == 0
    assert unnamed == capsys.readouterr().out


def test_the_model_of_actions_brings_its_calibration_and_is_sure_of_the_walk() -> None:
    recognize = Recognizer.load("demo", device="cpu")
    calibration = recognize.header.calibration
    assert calibration is not None
    assert calibration.temperature < 0.6  # its training smoothed the labels
    result = recognize(shipped_path("demo").parent / "walking.mp4")
    assert (result.label, result.known) == ("walk", True)
    assert all(segment.known for segment in result.segments)
