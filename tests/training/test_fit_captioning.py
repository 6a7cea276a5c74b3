"""Training runs of captioning: what they learn, what they leave behind, what they refuse."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.training.tiny_captions import (
    CHANCE,
    FACTS,
    TINY_FC,
    caption_config,
    fc_network,
    picture_data,
    sentences,
    sequence_of,
    vector_data,
    vector_of,
    write_vectors,
)

from lrcn import model_file
from lrcn.config import CaptioningHeader
from lrcn.data.captioning.examples import CaptionData, CaptionExample
from lrcn.decoding import greedy_search
from lrcn.errors import ConfigError, DataError, LRCNError, TaskMismatchError
from lrcn.features import TorchEncoder, encode_video
from lrcn.inference.captioning.predictor import Captioner
from lrcn.inference.captioning.search import caption_rules
from lrcn.metrics.captioning import cider_d
from lrcn.models.captioning import CaptioningModel
from lrcn.text import Vocabulary, tokenise
from lrcn.training.captioning.config import CaptioningTrainingConfig
from lrcn.training.captioning.initial import initial_model
from lrcn.training.fit import TrainResult, train
from lrcn.training.optimizers import parameter_groups


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_vectors(tmp_path_factory.mktemp("vectors") / "facts.csv")


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> CaptionData:
    return picture_data(tmp_path_factory.mktemp("squares"))


Fit = Callable[..., TrainResult]


@pytest.fixture
def fit(tmp_path: Path, cache_dir: Path) -> Fit:
    """Train on the CPU, each run in a folder of its own."""

    def run(data: CaptionData | Path, name: str = "run", **settings: Any) -> TrainResult:
        config = caption_config(**settings)
        return train(config, data, output=tmp_path / name, cache_dir=cache_dir, device="cpu", quiet=True)

    return run


def say(model: CaptioningModel, header: CaptioningHeader, features: torch.Tensor) -> list[str]:
    state = model.initial_state(model.context(features))
    found = greedy_search(model.step, state, batch_size=len(features), rules=caption_rules())
    return [" ".join(Vocabulary(header.vocabulary).decode(item[0].token_ids)) for item in found]


def share_right(result: TrainResult, *, sequences: bool) -> float:
    """Share of the held-out examples for which the model says one of the two sentences, word for word."""
    header, model = model_file.load(result.model_path, task="captioning")
    held_out = [example for example in vector_data().examples if example.split == "val"]
    facts = [tuple(example.key.split("-")) for example in held_out]
    rows = [sequence_of(fact) if sequences else vector_of(fact)[None] for fact in facts]
    said = say(model, header, torch.from_numpy(np.stack(rows)))
    right = [[" ".join(tokenise(caption)) for caption in sentences(*fact)] for fact in facts]
    return float(np.mean([caption in references for caption, references in zip(said, right, strict=True)]))


@pytest.mark.parametrize(("variant", "sequences"), [("1u", False), ("2u", False), ("2f", True)])
def test_every_variant_describes_combinations_it_never_saw(
    fit: Fit, tmp_path: Path, variant: str, sequences: bool
) -> None:
    path = write_vectors(tmp_path / "facts.csv", sequences=sequences)
    context, epochs = ("lstm", 60) if sequences else ("mean", 30)
    result = fit(vector_data(), vectors=str(path), variant=variant, context=context, epochs=epochs)
    assert CHANCE < 0.02
    assert share_right(result, sequences=sequences) > 0.7
    assert result.val_score is not None
    assert result.val_score > 5


def test_squares_are_described_from_cached_features(fit: Fit, squares: CaptionData) -> None:
    result = fit(squares, epochs=30, grid=7)
    header, model = model_file.load(result.model_path, task="captioning")
    assert header.preprocess is not None
    encoder = TorchEncoder(model.backbone, header.preprocess)
    val = squares.split("val")
    features = torch.stack([encode_video(example.path, encoder, header.preprocess).features[0] for example in val])
    said = say(model, header, features)
    references = [[" ".join(tokenise(caption)) for caption in example.captions] for example in val]
    right = np.mean([caption in own for caption, own in zip(said, references, strict=True)])
    assert right > 0.7  # chance: an eighth; the colour alone, a half
    assert result.val_score == pytest.approx(cider_d(said, references)["cider_d"].corpus, abs=0.05)  # float16 there


def test_loss_and_perplexity_are_those_of_the_captions(fit: Fit, vectors: Path) -> None:
    result = fit(vector_data(), vectors=str(vectors))
    header, model = model_file.load(result.model_path, task="captioning")
    vocabulary, losses = Vocabulary(header.vocabulary), []
    for example in vector_data().split("val"):
        context = model.context(torch.from_numpy(vector_of(tuple(example.key.split("-"))))[None, None])
        for caption in example.captions:
            ids = torch.tensor([vocabulary.encode(tokenise(caption))])
            log_probs = model(context, ids[:, :-1]).log_softmax(-1)[0].detach()
            losses += [-float(log_probs[t, token]) for t, token in enumerate(ids[0, 1:].tolist())]
    best = result.history[result.best_epoch - 1]
    assert best["val_loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert best["val_perplexity"] == pytest.approx(np.exp(np.mean(losses)), rel=1e-5)


def test_folder_tells_the_whole_story(fit: Fit, vectors: Path) -> None:
    result = fit(vector_data(), vectors=str(vectors))
    folder = result.model_path.parent
    run = json.loads((folder / "run.json").read_text())
    assert run["data"]["examples"] == {"train": 48, "val": 12}
    assert (run["data"]["training_captions"], run["data"]["words"]) == (96, 17)
    assert run["val_cider_d"] == result.val_score
    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    columns = "epoch step lr train_loss val_loss val_perplexity val_cider_d seconds"
    assert " ".join(rows[0]) == columns
    header = model_file.inspect(folder)
    assert header.task == "captioning"
    assert header.preprocess is None
    assert header.vocabulary[:2] == ("i", "see") or "there" in header.vocabulary
    assert header.provenance["config"]["vectors"] == str(vectors)
    assert header.provenance["val_cider_d"] == result.val_score


def test_rare_words_are_unknown_and_never_said(fit: Fit, vectors: Path) -> None:
    data = vector_data()
    first = data.examples[1]
    odd = replace(first, captions=(*first.captions, "a zebra " * 3))
    result = fit(replace(data, examples=(data.examples[0], odd, *data.examples[2:])), vectors=str(vectors), min_count=5)
    vocabulary = model_file.inspect(result.model_path).vocabulary
    assert "zebra" not in vocabulary
    assert "star" in vocabulary


def test_a_trained_backbone_learns_at_its_own_rate(fit: Fit, squares: CaptionData) -> None:
    result = fit(squares, epochs=4, backbone_trainable=True, backbone_lr_multiplier=0.5, views=2)
    losses = [row["train_loss"] for row in result.history]
    assert losses[-1] < losses[0]
    untrained = fit(squares, "untrained", epochs=4, backbone_trainable=True, backbone_lr_multiplier=1e-9)
    name = "backbone.trunk.0.weight"
    moved, kept = load_file(result.model_path)[name], load_file(untrained.model_path)[name]
    torch.manual_seed(0)
    start = CaptioningModel(model_file.inspect(result.model_path).model).state_dict()[name]
    assert torch.allclose(kept, start, atol=1e-6)
    assert (moved - start).abs().max() > 1e-3


@pytest.mark.parametrize(("context", "least", "most"), [("lstm", 0.9, 1.0), ("mean", 0.0, 0.7)])
def test_videos_are_read_in_order(
    fit: Fit, tmp_path: Path, make_clip: Any, context: str, least: float, most: float
) -> None:
    """Red before blue, or blue before red: only an LSTM over the frames can tell."""
    colours = {"red": (220, 20, 20), "blue": (20, 20, 220)}
    examples = []
    for split, count in (("train", 10), ("val", 5)):
        for names in (("red", "blue"), ("blue", "red")):
            for i in range(count):
                frames = np.random.default_rng(len(examples)).integers(0, 35, (6, 36, 48, 3)).astype(np.uint8)
                frames[:3] += np.array(colours[names[0]], dtype=np.uint8)
                frames[3:] += np.array(colours[names[1]], dtype=np.uint8)
                path = tmp_path / f"{split}{names[0]}{i}.avi"
                make_clip(path, frames, 10)
                examples.append(CaptionExample(path, (f"{names[0]} comes first",), split, key=path.name))
    data = CaptionData(tuple(examples), "colours")
    result = fit(data, context=context, epochs=25, batch_size=4, sample_fps=10.0)
    header, model = model_file.load(result.model_path, task="captioning")
    assert header.preprocess is not None
    encoder = TorchEncoder(model.backbone, header.preprocess)
    val = data.split("val")
    said = say(
        model,
        header,
        torch.stack([encode_video(example.path, encoder, header.preprocess).features[0] for example in val]),
    )
    right = np.mean([caption == example.captions[0] for caption, example in zip(said, val, strict=True)])
    assert least <= right <= most  # chance: a half


def test_a_language_model_is_a_better_start(fit: Fit, vectors: Path, tmp_path: Path) -> None:
    text = tmp_path / "sentences.txt"
    text.write_text("\n".join(caption for facts in FACTS for caption in sentences(*facts)) + "\n\n")
    settings = {"vectors": str(vectors), "epochs": 10}
    language = fit(text, "language", objective="sentences", **settings)
    perplexities = [row["val_perplexity"] for row in language.history]
    assert language.val_score is None
    assert perplexities[-1] < 0.5 * perplexities[0]
    assert language.best_epoch == 1 + int(np.argmin(perplexities))
    with pytest.raises(ConfigError, match=r"a language model, which has looked at no picture; .*--init-from"):
        Captioner.load(language.model_path)
    ahead = fit(vector_data(), "ahead", init_from=str(language.model_path), **{**settings, "epochs": 3})
    behind = fit(vector_data(), "behind", **{**settings, "epochs": 3})
    assert ahead.init is not None
    assert not [name for name in ahead.init.new if name.startswith(("embedding", "lstm", "classifier"))]
    assert ahead.history[-1]["val_perplexity"] < 0.7 * behind.history[-1]["val_perplexity"]


def test_self_critical_training_raises_the_reward(fit: Fit, vectors: Path) -> None:
    start = fit(vector_data(), "start", vectors=str(vectors), epochs=7)
    settings = {"objective": "cider_d", "init_from": str(start.model_path), "vectors": str(vectors)}
    result = fit(vector_data(), "critical", epochs=40, lr=0.003, **settings)
    assert start.val_score is not None
    assert result.val_score is not None
    assert result.val_score > start.val_score + 1
    rewards = [row["train_cider_d"] for row in result.history]
    assert np.mean(rewards[-8:]) > np.mean(rewards[:3]) + 0.3


def test_words_are_taken_over_by_word(fit: Fit, vectors: Path) -> None:
    first = fit(vector_data(), "first", vectors=str(vectors))
    header, model = model_file.load(first.model_path, task="captioning")
    more = CaptionExample(Path("x"), ("zoo zoo zoo zoo", "aardvark " * 300), "train", key="-".join(FACTS[0]))
    data = replace(vector_data(), examples=(more, *vector_data().examples[1:]))
    second = fit(data, "second", vectors=str(vectors), init_from=str(first.model_path), lr=1e-12, epochs=1)
    assert second.init is not None
    assert second.init.new_words == 2
    assert "2 new words" in str(second.init)
    other_header, other = model_file.load(second.model_path, task="captioning")
    assert other_header.vocabulary[0] == "aardvark"
    for name in ("embedding.weight", "classifier.weight", "classifier.bias"):
        old, new = model.state_dict()[name], other.state_dict()[name]
        for word in (*header.vocabulary, *Vocabulary.SPECIALS):
            rows = [
                Vocabulary.SPECIALS.index(word) if word in Vocabulary.SPECIALS else 4 + words.index(word)
                for words in (header.vocabulary, other_header.vocabulary)
            ]
            assert torch.allclose(old[rows[0]], new[rows[1]], atol=1e-6), (name, word)


def test_a_projection_starts_as_the_fc8_of_its_network(tmp_path: Path) -> None:
    settings = {
        "backbone": TINY_FC,
        "backbone_weights": str(tmp_path / "net.safetensors"),
        "layer": "fc7",
        "grid": 1,
        "projection_size": 6,
        "projection_init": "fc8",
    }
    torch.manual_seed(0)
    network = fc_network()
    save_file(network.state_dict(), tmp_path / "net.safetensors")
    vocabulary = Vocabulary(["a", "b"])
    model, _ = initial_model(caption_config(**settings), vocabulary)
    pixels = torch.randn(4, 3, 8, 8)
    torch.testing.assert_close(model.context(model.encode(pixels).unsqueeze(1)), network(pixels))
    config = caption_config(**settings, lr=0.5, bias_lr_multiplier=2.0)
    rates = {id(parameter): group["lr"] for group in parameter_groups(model, config) for parameter in group["params"]}
    found = {name: rates[id(parameter)] for name, parameter in model.named_parameters() if id(parameter) in rates}
    assert found["projection.weight"] == pytest.approx(0.05)  # as fc8 in the release: 0.1 and 0.2 of the rate
    assert found["projection.bias"] == pytest.approx(0.1)
    assert found["backbone.trunk.3.weight"] == pytest.approx(0.05)
    assert found["classifier.weight"] == found["embedding.weight"] == pytest.approx(0.5)
    with pytest.raises(ConfigError, match=r"fc8 of 'tiny_fc.*' has 6 units, projection_size is 7"):
        initial_model(caption_config(**{**settings, "projection_size": 7}), vocabulary)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"vectors": "{tmp}/none.csv"}, DataError, r"none\.csv: cannot be read"),
        (
            {"vectors": "{tmp}/few.csv"},
            DataError,
            r"few\.csv: no vector for 'one-red-circle' .* \(58 more\)",
        ),
        ({"vectors": "{facts}", "min_count": 500}, DataError, "use a smaller min_count"),
        ({"vectors": "{facts}", "init_from": "{recognition}"}, TaskMismatchError, "is a recognition model"),
    ],
)
def test_what_cannot_be_trained_is_one_line(
    fit: Fit,
    tmp_path: Path,
    vectors: Path,
    tiny_model: Path,
    settings: dict[str, Any],
    error: type[LRCNError],
    message: str,
) -> None:
    (tmp_path / "few.csv").write_text("id,v\none-red-square,1\n")
    places = {"tmp": tmp_path, "facts": vectors, "recognition": tiny_model}
    filled = {k: v.format(**places) if isinstance(v, str) else v for k, v in settings.items()}
    with pytest.raises(error, match=message) as caught:
        fit(vector_data(), **filled)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_sentences_alone_need_their_objective(fit: Fit, tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("a b\n")
    with pytest.raises(DataError, match="sentences without pictures; they go with --objective sentences"):
        fit(tmp_path / "s.txt")


def test_broken_pictures_are_left_out_and_named(fit: Fit, squares: CaptionData, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    data = replace(squares, examples=(*squares.examples, CaptionExample(broken, ("a b",), "train", key="broken")))
    result = fit(data, epochs=1)
    assert len(result.skipped) == 1
    assert "broken.png" in result.skipped[0]
    frames = fit(data, "frames", epochs=1, backbone_trainable=True)
    assert len(frames.skipped) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vectors": "v.csv", "backbone_trainable": True}, "backbone_trainable cannot be with vectors"),
        ({"objective": "sentences", "backbone_trainable": True}, "no picture is looked at"),
        ({"projection_init": "fc8"}, "projection_init 'fc8' goes with layer 'fc7'"),
        ({"min_count": 0}, "min_count must be at least 1"),
        ({"reward_draws": 0}, "reward_draws must be at least 1"),
        ({"loss_weight": 0.0}, "loss_weight must be above 0"),
        ({"output_dropout": 1.0}, "output_dropout must be in"),
    ],
)
def test_settings_that_contradict_each_other_are_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CaptioningTrainingConfig(**settings)
