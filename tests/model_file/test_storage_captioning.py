"""Model files of captioning: everything a recognition model's file does, and neither is taken for the other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lrcn.cli import main
from lrcn.config import CaptioningConfig, CaptioningHeader, PreprocessConfig
from lrcn.decoding import greedy_search
from lrcn.errors import ConfigError, ModelFileError, TaskMismatchError
from lrcn.inference.captioning.search import caption_rules
from lrcn.model_file import (
    from_pretrained,
    header_from_dict,
    header_to_dict,
    inspect,
    load,
    save,
    save_pretrained,
)
from lrcn.models.captioning import CaptioningModel
from lrcn.text import Vocabulary

WORDS = ("a", "dog", "runs", "año")


def some_header(**changes: object) -> CaptioningHeader:
    config = CaptioningConfig(
        backbone=None, vector_size=3, vocabulary_size=8, embedding_size=4, hidden_size=5, context="lstm"
    )
    return CaptioningHeader(**{"model": config, "preprocess": None, "vocabulary": WORDS, **changes})  # type: ignore[arg-type]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "c.safetensors"
    save(path, some_header(provenance={"licence": "test"}), CaptioningModel(some_header().model).state_dict())
    return path


def test_load_gives_the_model_that_was_saved(saved: Path) -> None:
    header, model = load(saved, task="captioning")
    assert header == inspect(saved)
    assert header.vocabulary == WORDS
    assert Vocabulary(header.vocabulary).decode([5, 6, 2]) == ["dog", "runs"]
    assert not model.training
    again, same = load(saved, task="captioning")
    assert again == header
    tokens, vectors = torch.tensor([[1, 4, 5]]), torch.randn(1, 2, 3)
    assert torch.equal(model(model.context(vectors), tokens), same(same.context(vectors), tokens))


def test_header_survives_the_way_through_json(saved: Path) -> None:
    fields = header_to_dict(inspect(saved))
    assert fields["task"] == "captioning"
    assert fields["preprocess"] is None
    assert header_from_dict(json.loads(json.dumps(fields)), source="here") == inspect(saved)


def test_tasks_are_not_taken_for_each_other(saved: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TaskMismatchError, match=r"c\.safetensors is a captioning model; use: lrcn caption$"):
        load(saved)
    with pytest.raises(TaskMismatchError, match=r"tiny\.safetensors is a recognition model; use: lrcn recognize$"):
        load(tiny_model, task="captioning")
    assert main(["recognize", "video.avi", "--model", str(saved)]) == 1
    error = capsys.readouterr().err
    assert error == f"lrcn: error: {saved} is a captioning model; use: lrcn caption\n"


def test_info_lists_the_words_by_token(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(saved)]) == 0
    lines = capsys.readouterr().out.splitlines()
    for line in ("task: captioning", "vocabulary: 4", "  4: a", "  7: año", "  context: lstm", "  backbone: null"):
        assert line in lines
    assert main(["info", str(saved), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["vocabulary"] == list(WORDS)


def test_hub_folder_of_a_captioning_model(saved: Path, tmp_path: Path) -> None:
    header, model = load(saved, task="captioning")
    folder = tmp_path / "my-captions"
    save_pretrained(folder, header, model.state_dict())
    found, network = from_pretrained(folder, task="captioning")
    assert (found, network.config) == (header, header.model)
    card = (folder / "README.md").read_text()
    command, answer = "lrcn caption picture.jpg --model my-captions", 'print(model("picture.jpg").text)'
    for text in ("image-to-text", command, answer, "Vocabulary (4)", "`año`", header.sha256):
        assert text in card


def test_a_header_must_hold_together() -> None:
    with pytest.raises(ConfigError, match="3 words in the vocabulary, not 4"):
        some_header(vocabulary=WORDS[:3])
    with pytest.raises(ConfigError, match="differ from each other"):
        some_header(vocabulary=("a", "a", "b", "c"))
    with pytest.raises(ConfigError, match="preprocess must be null exactly where"):
        some_header(preprocess=PreprocessConfig())


def test_damaged_and_foreign_headers_are_one_line(saved: Path) -> None:
    fields = header_to_dict(inspect(saved))
    for change, message in [
        ({"task": "painting"}, "unknown task 'painting'"),
        ({"task": ["captioning"]}, "unknown task"),
        ({"vocabulary": [1, 2, 3, 4]}, "'vocabulary.0'"),
        ({"labels": []}, "unknown field 'labels'"),
        ({"model": {**fields["model"], "variant": "9x"}}, "'model.variant'"),
    ]:
        with pytest.raises(ModelFileError, match=message) as caught:
            header_from_dict({**fields, **change}, source="m")
        assert "\n" not in str(caught.value)


def test_the_tiny_model_of_the_tests_tells_pictures_apart(tiny_caption_model: Path) -> None:
    header, model = load(tiny_caption_model, task="captioning")
    frames = torch.randn(6, 3, 67, 67, generator=torch.Generator().manual_seed(0)) * torch.arange(1, 7).view(6, 1, 1, 1)
    contexts = model.context(model.encode(frames).unsqueeze(1))
    said = greedy_search(model.step, model.initial_state(contexts), batch_size=6, rules=caption_rules(max_length=8))
    assert len({hypotheses[0].token_ids for hypotheses in said}) > 2
    assert all(Vocabulary(header.vocabulary).decode(hypotheses[0].token_ids) for hypotheses in said)
