from __future__ import annotations

import ast
import inspect
import itertools
import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lrcn.errors import ConfigError
from lrcn.training.captioning.config import CaptioningTrainingConfig
from lrcn.training.config import changed_fields
from lrcn.training.recognition.config import RecognitionTrainingConfig

CONFIGS = Path(__file__).parents[2] / "configs" / "recognition"


def load(path: Path) -> RecognitionTrainingConfig:
    settings = yaml.safe_load(path.read_text())
    return RecognitionTrainingConfig(
        **{name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
    )


def test_reading_the_settings_imports_no_torch() -> None:
    settings = "import sys, lrcn.training.recognition.config"
    code = f"{settings}; sys.exit(bool({{'torch', 'numpy', 'lightning'}} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("settings", [RecognitionTrainingConfig, CaptioningTrainingConfig])
def test_every_setting_is_documented_under_it(settings: type) -> None:
    trees = [ast.parse(inspect.getsource(part)).body[0] for part in settings.__mro__ if is_dataclass(part)]
    body = [statement for node in trees if isinstance(node, ast.ClassDef) for statement in node.body]
    documented = {
        node.target.id
        for node, following in itertools.pairwise(body)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(following, ast.Expr)
        and isinstance(following.value, ast.Constant)
    }
    assert {field.name for field in fields(settings)} <= documented


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": 0.0}, "lr must be above 0, got 0.0"),
        ({"views": 0}, "views must be at least 1, got 0"),
        ({"max_steps": 0}, "max_steps must be at least 1"),
        ({"clip_stride": 17}, r"clip_stride must be between 1 and clip_length \(16\), got 17"),
        ({"lr_schedule": "step"}, "lr_step goes with lr_schedule 'step'.*got lr_step None"),
        ({"lr_step": 10}, "lr_step goes with lr_schedule 'step'.*lr_schedule 'cosine'"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\)"),
        ({"jitter": 1.5}, r"jitter must be in \[0, 1\]"),
        ({"input_dropout": 1.0}, "input_dropout"),
        ({"resize": 100, "crop": 112}, r"crop must be between 1 and the resized short side \(100\), got 112"),
        ({"weight_decay": -0.1}, "weight_decay must not be negative"),
        ({"sample_fps": 0.0}, "sample_fps must be above 0"),
    ],
)
def test_impossible_settings_are_refused_by_name(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RecognitionTrainingConfig(**settings)


def test_null_sizes_take_those_of_the_backbone() -> None:
    defaults = {"resize": 256, "crop": 224, "mean": (1.0, 2.0, 3.0), "std": (4.0, 5.0, 6.0), "channel_order": "bgr"}
    pixels = RecognitionTrainingConfig().preprocess_config(defaults)
    assert (pixels.resize, pixels.crop, pixels.mean, pixels.std) == (256, 224, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    pixels = RecognitionTrainingConfig(crop=100, sample_fps=None).preprocess_config(defaults)
    assert (pixels.resize, pixels.crop, pixels.sample_fps, pixels.channel_order) == (256, 100, None, "bgr")


def test_mean_of_a_flow_stream_is_no_motion() -> None:
    pixels = RecognitionTrainingConfig(stream="flow").preprocess_config({"mean": (1.0, 2.0, 3.0)})
    assert (pixels.stream, pixels.mean) == ("flow", (128.0, 128.0, 128.0))


def test_settings_survive_yaml() -> None:
    config = RecognitionTrainingConfig(
        resize=(240, 320), crop=227, sample_fps=None, clip_norm=None, patience=3, change_memory=(0.0, 0.9)
    )
    settings = yaml.safe_load(yaml.safe_dump(config.to_dict()))
    assert not changed_fields(settings, config)
    assert RecognitionTrainingConfig(**settings) == config


def test_changes_are_named_but_for_those_without_effect() -> None:
    saved = RecognitionTrainingConfig().to_dict()
    config = RecognitionTrainingConfig(lr=0.5, hidden_size=8, workers=4, logger="wandb")
    assert changed_fields(saved, config) == ["hidden_size (64 -> 8)", "lr (0.001 -> 0.5)"]


def test_a_setting_newer_than_the_run_stands_at_its_default() -> None:
    saved = RecognitionTrainingConfig().to_dict()
    del saved["runtime"]
    assert changed_fields(saved, RecognitionTrainingConfig()) == []
    assert changed_fields(saved, RecognitionTrainingConfig(runtime="openvino")) == ["runtime (auto -> openvino)"]


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_settings_are_valid(path: Path) -> None:
    load(path)


# The released solvers and nets: examples/LRCN_activity_recognition of lisa-caffe-public, as of 49b8643.
STEP_1 = {"lr_step": 3000, "max_steps": 5000, "clip_norm": None, "batch_size": 128, "head": "frame", "layer": "fc7"}
RELEASED = {
    "single_frame_rgb": {**STEP_1, "stream": "rgb"},
    "single_frame_flow": {**STEP_1, "stream": "flow", "lr_step": 20000, "max_steps": 50000},
    "lrcn_fc6_rgb": {"lr_step": 10000, "max_steps": 30000, "clip_norm": 5, "layer": "fc6", "stream": "rgb"},
    "lrcn_fc7_rgb": {"lr_step": 10000, "max_steps": 30000, "clip_norm": 5, "layer": "fc7", "stream": "rgb"},
    "lrcn_fc6_flow": {"lr_step": 20000, "max_steps": 70000, "clip_norm": 15, "layer": "fc6", "stream": "flow"},
}
ALL = {
    "backbone": "hybrid",
    "backbone_trainable": True,
    "optimizer": "sgd",
    "lr": 0.001,
    "lr_schedule": "step",
    "lr_gamma": 0.1,
    "momentum": 0.9,
    "weight_decay": 0.005,
    "head_lr_multiplier": 10,
    "bias_lr_multiplier": 2,
    "sample_fps": None,
    "crop": 227,
    "seed": 1701,
    "accumulate": 1,
    "label_smoothing": 0,
}
LSTM = {
    "standardise": False,
    "head": "lstm",
    "hidden_size": 256,
    "num_layers": 1,
    "input_dropout": 0.9,
    "output_dropout": 0.5,
    "dropout_mask": "frame",
    "embedding_size": None,
    "change_memory": (),
    "batch_size": 24,
    "clip_length": 16,
    "clip_stride": 8,
}


@pytest.mark.parametrize("name", RELEASED)
def test_recipes_of_the_paper_have_the_released_numbers(name: str) -> None:
    config = load(CONFIGS / f"{name}.yaml")
    expected = {**ALL, **(LSTM if name.startswith("lrcn") else {"input_dropout": 0.5}), **RELEASED[name]}
    assert {key: getattr(config, key) for key in expected} == expected
