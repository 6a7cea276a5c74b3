"""The committed settings of captioning: valid, with the released numbers; the video systems can be trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.training.tiny_captions import TINY_FC, fc_network, picture_data, sentences, vector_data, write_vectors

from lrcn import model_file
from lrcn.cli.settings import read_settings
from lrcn.metrics.captioning import cider_d
from lrcn.models.backbones import default_preprocess
from lrcn.text import tokenise
from lrcn.training.captioning.config import CaptioningTrainingConfig
from lrcn.training.fit import train

CONFIGS = Path(__file__).parents[3] / "configs" / "captioning"


def load(name: str) -> CaptioningTrainingConfig:
    return CaptioningTrainingConfig(**read_settings(CONFIGS / f"{name}.yaml", CaptioningTrainingConfig))


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIGS.glob("*.yaml")))
def test_shipped_settings_are_valid(name: str) -> None:
    load(name)


# examples/coco_caption of BVLC/caffe: the solvers named in the files, lrcn.prototxt and lrcn.vgg.prototxt
ALL: dict[str, Any] = {
    "layer": "fc7",
    "projection_size": 1000,
    "projection_init": "fc8",
    "backbone_parts": ("backbone", "projection"),
    "backbone_lr_multiplier": 0.1,
    "bias_lr_multiplier": 2.0,
    "head_lr_multiplier": 1.0,
    "variant": "2f",
    "embedding_size": 1000,
    "hidden_size": 1000,
    "resize": (256, 256),
    "mirror": True,
    "jitter": 1.0,
    "optimizer": "sgd",
    "momentum": 0.9,
    "weight_decay": 0.0,
    "lr_schedule": "step",
    "lr_gamma": 0.5,
    "loss_weight": 20.0,
    "min_count": 5,
    "max_length": 20,
    "seed": 1701,
}
STAGES: dict[int, dict[str, Any]] = {
    1: {"backbone_trainable": False, "lr": 0.01, "lr_step": 20000, "max_steps": 110000, "clip": 10.0},
    2: {"backbone_trainable": True, "lr": 0.001, "lr_step": 20000, "max_steps": 50000, "clip": 25.0},
    3: {"backbone_trainable": True, "lr": 0.001, "lr_step": 40000, "max_steps": 100000, "clip": 25.0},
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(("net", "crop"), [("caffenet", 227), ("vgg16", 224)])
def test_stages_have_the_released_numbers(net: str, crop: int, stage: int) -> None:
    config = load(f"lrcn_{net}_{stage}")
    expected = {**ALL, **STAGES[stage], "backbone": net, "crop": crop}
    clip = expected.pop("clip")
    assert {key: getattr(config, key) for key in expected} == expected
    assert config.batch_size * config.accumulate == 100
    assert config.clip_norm == clip / config.accumulate  # Caffe clips the sum over the batches, Lightning the mean


def test_the_language_model_fits_the_captioning_net_it_starts() -> None:
    language, captions = load("language_model"), load("lrcn_caffenet_1")
    assert (language.lr, language.clip_norm, language.max_steps) == (0.1, 10.0, 110000)
    assert (language.embedding_dropout, language.output_dropout) == (0.5, 0.5)
    dropouts = dict.fromkeys(("feature_dropout", "embedding_dropout", "output_dropout"), 0.0)
    assert replace(language.captioning_config(9), **dropouts) == replace(captions.captioning_config(9), **dropouts)


@pytest.mark.parametrize(
    ("name", "sequences"),
    [("video_encoder_decoder", True), ("video_decoder_max", False), ("video_decoder_prob", False)],
)
def test_the_three_video_description_systems_can_be_trained(tmp_path: Path, name: str, sequences: bool) -> None:
    path = write_vectors(tmp_path / "facts.csv", sequences=sequences)
    if name.endswith("prob"):  # how sure the prediction was, in place of ones
        path.write_text(path.read_text().replace(",1", ",0.8").replace(",0,", ",0.05,"))
    small = {"hidden_size": 40, "embedding_size": 12, "output_dropout": 0.0, "epochs": 25, "batch_size": 16, "lr": 0.02}
    config = replace(load(name), vectors=str(path), **small)
    result = train(config, vector_data(), output=tmp_path / "run", device="cpu", quiet=True)
    header = model_file.inspect(result.model_path)
    assert header.model.backbone is None
    assert header.model.context == ("lstm" if sequences else "mean")
    first, last = result.history[0], result.history[-1]
    assert last["val_perplexity"] < 0.4 * first["val_perplexity"]
    references = [[" ".join(tokenise(text)) for text in e.captions] for e in vector_data().split("val")]
    same_for_all = [" ".join(tokenise(sentences("one", "red", "square")[0]))] * len(references)
    assert result.val_score is not None
    assert result.val_score > 2 * cider_d(same_for_all, references)["cider_d"].corpus


@pytest.mark.parametrize("net", ["caffenet", "vgg16"])
def test_a_stage_takes_the_network_of_the_one_before(net: str) -> None:
    first, second, third = (load(f"lrcn_{net}_{stage}").captioning_config(8801) for stage in (1, 2, 3))
    assert first == second == third


def test_language_model_and_three_stages_run_one_after_the_other(tmp_path: Path) -> None:
    torch.manual_seed(5)
    save_file(fc_network().state_dict(), tmp_path / "imagenet.safetensors")
    data = picture_data(tmp_path, num_train=2, num_val=1)
    small = {
        "backbone": TINY_FC,
        "backbone_weights": str(tmp_path / "imagenet.safetensors"),
        "projection_size": 6,
        "embedding_size": 8,
        "hidden_size": 8,
        "min_count": 1,
        "batch_size": 4,
        "lr_step": 2,
        "max_steps": 3,
        "workers": 0,
    }
    pixels = {"resize": (8, 8), "crop": 8}
    weights: dict[str, dict[str, torch.Tensor]] = {}
    before: str | None = None
    for name in ("language_model", "lrcn_caffenet_1", "lrcn_caffenet_2", "lrcn_caffenet_3"):
        config = replace(load(name), **small, init_from=before, **pixels)
        result = train(config, data, output=tmp_path / name, cache_dir=tmp_path / "cache", device="cpu", quiet=True)
        weights[name] = load_file(result.model_path)
        if before is not None:
            assert result.init is not None
            new = {tensor.partition(".")[0] for tensor in result.init.new}
            assert new == ({"backbone", "projection"} if name == "lrcn_caffenet_1" else set())
        before = str(result.model_path)

    imagenet = load_file(tmp_path / "imagenet.safetensors")
    language, first, second, third = weights.values()
    cnn = {name: f"backbone.trunk.{name}" for name in imagenet if not name.startswith("5.")}
    assert all(torch.equal(first[ours], imagenet[name]) for name, ours in cnn.items())
    start = first["projection.weight"] - imagenet["5.weight"]
    assert 0 < start.abs().max() < 0.1  # it learns from fc8 on, and not from somewhere else
    assert all(not torch.equal(second[ours], first[ours]) for ours in cnn.values())
    assert not torch.equal(third["classifier.weight"], second["classifier.weight"])
    assert not torch.equal(language["embedding.weight"], first["embedding.weight"])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ("blocks.6", 224, 224)),
        ({"layer": "", "crop": 160}, ("", 160, 160)),
        ({"resize": (256, 300)}, ("blocks.6", (256, 300), 256)),
        ({"resize": 240, "crop": 224}, ("blocks.6", 240, 224)),
        ({"backbone_trainable": True}, ("", 128, 112)),
        ({"backbone": "resnet18"}, ("", 256, 224)),
    ],
)
def test_layer_and_size_are_chosen_for_the_frozen_packaged_backbone_alone(
    settings: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    config = CaptioningTrainingConfig(**settings)
    resolved = config.resolved(config.preprocess_config(default_preprocess(config.backbone)))
    assert (resolved.layer, resolved.resize, resolved.crop) == expected


def test_few_sentences_are_seen_often(tmp_path: Path) -> None:
    config = replace(load("video_decoder_max"), vectors=str(write_vectors(tmp_path / "facts.csv")), hidden_size=4)
    result = train(replace(config, epochs=2), vector_data(), output=tmp_path / "run", device="cpu", quiet=True)
    assert [row["step"] for row in result.history] == [40, 80]  # two steps a pass
