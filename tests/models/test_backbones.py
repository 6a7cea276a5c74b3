"""Backbones: features against the whole networks they are cut from, and the table of names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from copy import deepcopy

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from lrcn.config import BackboneConfig, PreprocessConfig
from lrcn.errors import LONGEST_MESSAGE, ConfigError, ShapeError, UnknownNameError
from lrcn.models.backbone_specs import BackboneSpec, torchvision_names
from lrcn.models.backbones import (
    BACKBONES,
    Backbone,
    build_backbone,
    default_preprocess,
    find_spec,
    register_backbone,
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def whole_and_cut(name: str, layer: str = "", grid: int = 1) -> tuple[nn.Module, Backbone]:
    """A torchvision network and the backbone cut from it, with the same random weights."""
    torch.manual_seed(3)
    network = find_spec(name).build()
    # quicker, and the random weights are replaced anyway; a RegNet cannot be built so
    with nullcontext() if name.startswith("regnet") else torch.device("meta"):
        backbone = build_backbone(BackboneConfig(name=name, layer=layer, grid=grid), weights="none")
    kept = {key: network.state_dict()[key] for key in backbone.trunk.state_dict()}
    backbone.trunk.load_state_dict(kept, assign=True)
    return network.eval(), backbone.eval()


@pytest.fixture(scope="module")
def alexnet_frames() -> Tensor:
    return torch.randn(2, 3, 80, 96, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("layer", "num_children"), [("fc6", 3), ("fc7", 6), ("fc8", 7), ("", 6)])
def test_alexnet_layers_are_its_classifiers_first_children(
    layer: str, num_children: int, alexnet_frames: Tensor
) -> None:
    network, backbone = whole_and_cut("alexnet", layer)
    with torch.inference_mode():
        pooled = network.avgpool(network.features(alexnet_frames)).flatten(1)
        expected = network.classifier[:num_children](pooled)
        actual = backbone(alexnet_frames)
    torch.testing.assert_close(actual, expected)
    assert backbone.feature_size == expected.shape[1]
    assert (actual.min() >= 0) == (layer != "fc8")  # fc6 and fc7 are taken after their ReLU


@pytest.mark.parametrize(("layer", "num_children"), [("fc6", 2), ("fc7", 5), ("fc8", 7)])
def test_vgg_layers_are_its_classifiers_first_children(layer: str, num_children: int) -> None:
    with torch.device("meta"):  # 500 MB of random numbers would take long: here only the structure is compared
        backbone = build_backbone(BackboneConfig(name="vgg16", layer=layer), weights="none")
        network = torchvision.models.vgg16()
    kept = nn.ModuleDict({"features": network.features, "classifier": network.classifier[:num_children]})
    assert {name.removeprefix("trunk.") for name in backbone.state_dict()} == set(kept.state_dict())
    last = list(backbone.trunk.modules())[-1]
    assert isinstance(last, nn.Linear if layer == "fc8" else nn.ReLU)


def input_of_classifier(network: nn.Module, frames: Tensor) -> Tensor:
    """What the last Linear (in SqueezeNet: Conv2d) of a network reads, averaged over places."""
    classifiers = [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    seen: list[Tensor] = []
    with torch.inference_mode():
        handle = classifiers[-1].register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
        network(frames)
        handle.remove()
    return seen[0].mean(dim=(2, 3)) if seen[0].dim() == 4 else seen[0]


@pytest.mark.parametrize(
    ("name", "px"),
    [
        ("resnet18", 64),
        ("mobilenet_v3_small", 64),
        ("efficientnet_b0", 64),
        ("squeezenet1_1", 64),
        ("shufflenet_v2_x0_5", 64),
        ("swin_t", 64),
    ],
)
def test_the_empty_layer_is_what_the_classifier_reads(name: str, px: int) -> None:
    network, backbone = whole_and_cut(name)
    frames = torch.randn(2, 3, px, px)
    with torch.inference_mode():
        actual = backbone(frames)
    torch.testing.assert_close(actual, input_of_classifier(network, frames), rtol=1e-4, atol=1e-5)
    assert backbone.feature_size == actual.shape[1]
    assert len(backbone.state_dict()) < len(network.state_dict())


@pytest.mark.parametrize(("name", "feature_size"), [("googlenet", 1024), ("vit_b_32", 768)])
def test_networks_with_auxiliary_classifiers_or_tokens_give_the_feature_alone(name: str, feature_size: int) -> None:
    with torch.device("meta"):
        backbone = build_backbone(BackboneConfig(name=name), weights="none")
        frames = torch.empty(2, 3, 224, 224)
    assert backbone.feature_size == feature_size
    assert not any("aux" in key or "heads" in key for key in backbone.state_dict())
    for mode in (True, False):
        assert backbone.train(mode)(frames).shape == (2, feature_size)


def test_a_timm_network_gives_its_own_feature_before_the_classifier() -> None:
    torch.manual_seed(0)
    backbone = build_backbone(BackboneConfig(name="timm/vit_tiny_patch16_224"), weights="none").eval()
    frames = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        expected = backbone.trunk.forward_head(backbone.trunk.forward_features(frames), pre_logits=True)
        torch.testing.assert_close(backbone(frames), expected)
    assert backbone.feature_size == 192


@pytest.mark.parametrize("grid", [1, 2, 3])
def test_grid_averages_the_map_cell_by_cell(grid: int) -> None:
    network, backbone = whole_and_cut("resnet18", "layer3", grid)
    frames = torch.randn(2, 3, 96, 96)
    with torch.inference_mode():
        x = network.maxpool(network.relu(network.bn1(network.conv1(frames))))
        maps = network.layer3(network.layer2(network.layer1(x)))  # (2, 256, 6, 6)
        side = 6 // grid
        cells = [
            maps[:, :, i * side : (i + 1) * side, j * side : (j + 1) * side].mean(dim=(2, 3))
            for i in range(grid)
            for j in range(grid)
        ]
        expected = torch.stack(cells, dim=2).flatten(1)
        torch.testing.assert_close(backbone(frames), expected, rtol=1e-4, atol=1e-5)
    assert backbone.feature_size == 256 * grid**2


def test_several_layers_are_joined_in_their_order() -> None:
    frames = torch.randn(2, 3, 64, 64)
    layers = ("features.8", "fc6")  # a map, and a vector
    apart = [build_backbone(BackboneConfig(name="alexnet", layer=layer), weights="none") for layer in layers]
    joined = build_backbone(BackboneConfig(name="alexnet", layer="features.8+fc6"), weights="none").eval()
    for backbone in apart:
        missing, _ = backbone.load_state_dict(joined.state_dict(), strict=False)
        assert not missing
    expected = torch.cat([backbone.eval()(frames) for backbone in apart], dim=1)
    assert joined.feature_size == expected.shape[1]
    torch.testing.assert_close(joined(frames), expected)
    with pytest.raises(UnknownNameError, match=r"unknown layer 'fc66' of backbone 'alexnet'; near matches: fc6"):
        build_backbone(BackboneConfig(name="alexnet", layer="fc6+fc66"), weights="none")


def test_a_grid_needs_a_map_at_least_as_large() -> None:
    with torch.device("meta"):
        with pytest.raises(ConfigError, match=r"'fc6' of backbone 'alexnet' gives \(4096,\).* grid of 2"):
            build_backbone(BackboneConfig(name="alexnet", layer="fc6", grid=2), weights="none")
        with pytest.raises(ConfigError, match="grid of 9"):
            build_backbone(BackboneConfig(name="resnet18", grid=9), weights="none")


def test_the_part_after_the_layer_is_dropped() -> None:
    backbone = build_backbone(BackboneConfig(layer="blocks.2"))
    stages = {key.removeprefix("trunk.").rpartition(".")[0][:8] for key in backbone.state_dict()}
    assert stages == {"conv_ste", "bn1", "blocks.0", "blocks.1", "blocks.2"}


@pytest.mark.parametrize("layer", ["layer4.1.relu_1", "layer4.1.add"])
def test_an_operation_inside_a_module_can_be_the_layer(layer: str) -> None:
    with torch.device("meta"):
        assert build_backbone(BackboneConfig(name="resnet18", layer=layer), weights="none").feature_size == 512


@pytest.mark.parametrize(
    ("name", "layer", "offered"),
    [("alexnet", "fc9", "fc6"), ("resnet18", "layer5", "layer4"), ("resnet18", "[x", "near matches: ")],
)
def test_an_unknown_layer_names_near_matches(name: str, layer: str, offered: str) -> None:
    with torch.device("meta"), pytest.raises(UnknownNameError) as caught:
        build_backbone(BackboneConfig(name=name, layer=layer), weights="none")
    assert f"unknown layer {layer!r} of backbone {name!r}" in str(caught.value)
    assert offered in str(caught.value)
    offers = str(caught.value).partition("near matches: ")[2].split(", ")
    assert len(set(offers)) == len(offers)
    assert "\n" not in str(caught.value)


def test_a_layer_of_tokens_is_refused() -> None:
    with torch.device("meta"), pytest.raises(ConfigError, match=r"\(50, 768\).*name another layer"):
        build_backbone(BackboneConfig(name="vit_b_32", layer="encoder"), weights="none")


def test_a_frame_size_that_the_network_cannot_take_is_refused_before_any_frame(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with torch.device("meta"):
        backbone = build_backbone(BackboneConfig(name="caffenet", layer="fc6"), weights="none")
    backbone.check_input(227)
    with pytest.raises(ConfigError, match="layer 'fc6' of backbone 'caffenet' cannot take 112 px frames"):
        backbone.check_input(112)
    assert capfd.readouterr().err == ""


def test_frames_of_another_shape_are_refused() -> None:
    backbone = build_backbone(BackboneConfig(layer="blocks.0"))
    for shape in ((3, 112, 112), (2, 1, 112, 112)):
        with pytest.raises(ShapeError, match="frames must be"):
            backbone(torch.zeros(shape))


def test_a_frozen_backbone_gets_no_gradient_and_keeps_its_statistics() -> None:
    backbone = build_backbone(BackboneConfig(layer="blocks.1"))
    before = deepcopy(backbone.state_dict())
    backbone.freeze()
    holder = nn.ModuleList([backbone]).train()
    frames = torch.randn(4, 3, 32, 32, requires_grad=True)
    holder[0](frames).sum().backward()
    assert frames.grad is not None
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in backbone.parameters())
    assert not any(module.training for module in backbone.modules())
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


def test_a_backbone_in_training_updates_its_statistics() -> None:
    backbone = build_backbone(BackboneConfig(layer="blocks.1")).train()
    before = deepcopy(backbone.state_dict())
    backbone(torch.randn(4, 3, 32, 32)).sum().backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())
    means = [key for key in before if key.endswith("running_mean")]
    assert means
    assert not any(torch.equal(backbone.state_dict()[key], before[key]) for key in means)


def test_dropout_before_the_cut_is_the_networks_own_and_after_it_is_gone() -> None:
    with torch.device("meta"):
        kept = build_backbone(BackboneConfig(name="alexnet", layer="fc6"), weights="none")
        gone = build_backbone(BackboneConfig(name="vgg11", layer="fc6"), weights="none")
    assert sum(isinstance(module, nn.Dropout) for module in kept.modules()) == 1
    assert not any(isinstance(module, nn.Dropout) for module in gone.modules())


def test_non_contiguous_frames_give_the_same_features() -> None:
    backbone = build_backbone(BackboneConfig(layer="blocks.2")).eval()
    frames = torch.randn(2, 40, 48, 3)
    with torch.inference_mode():
        torch.testing.assert_close(
            backbone(frames.permute(0, 3, 1, 2)), backbone(frames.permute(0, 3, 1, 2).contiguous())
        )


@pytest.mark.parametrize("mode", [True, False])
def test_a_copy_gives_the_same_features_in_the_same_mode_and_shares_nothing(mode: bool) -> None:
    backbone = build_backbone(BackboneConfig(layer="blocks.1")).train(mode)
    copied = deepcopy(backbone)
    frames = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(copied(frames), backbone(frames), rtol=0, atol=0)
        assert {module.training for module in copied.modules()} == {mode}
        next(copied.parameters()).zero_()
        assert not torch.equal(copied(frames), backbone(frames))


class Toy(nn.Module):
    """Mean colour of each half of a frame, as anybody's package might bring it."""

    def forward(self, frames: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(frames, (1, 2))


def test_a_backbone_from_outside_the_package_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(BACKBONES, "toy", raising=False)
    register_backbone("toy", BackboneSpec(build=Toy, preprocess={"crop": 32}))
    backbone = build_backbone(BackboneConfig(name="toy"), weights="none")
    frames = torch.rand(2, 3, 32, 32)
    assert backbone.feature_size == 3
    torch.testing.assert_close(backbone(frames), frames.mean(dim=(2, 3)))
    assert default_preprocess("toy") == {"crop": 32}
    with pytest.raises(ConfigError, match="'toy' is taken"):
        register_backbone("toy", BackboneSpec(build=Toy))
    monkeypatch.delitem(BACKBONES, "toy")


@pytest.mark.parametrize("name", ["efficientnet_lite0", "caffenet", "alexnet", "timm/resnet18"])
def test_taken_names_cannot_be_registered(name: str) -> None:
    with pytest.raises(ConfigError, match="is taken"):
        register_backbone(name, BackboneSpec(build=Toy))


@pytest.mark.parametrize(
    ("name", "hint"),
    [("alexnt", "'alexnet'"), ("efficientnet_lite", "'efficientnet_lite0'"), ("timm/resnt18", "'timm/resnet18'")],
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(UnknownNameError, match=f"unknown backbone {name!r}; did you mean .*{hint}") as caught:
        build_backbone(BackboneConfig(name=name))
    assert "timm/<name>" in str(caught.value)
    assert len(str(caught.value)) <= LONGEST_MESSAGE


def test_networks_for_other_tasks_are_no_backbones() -> None:
    assert not {"fasterrcnn_resnet50_fpn", "r3d_18", "raft_small", "quantized_resnet18"} & set(torchvision_names())


@pytest.mark.parametrize("name", [*sorted(BACKBONES), *torchvision_names(), "timm/tf_efficientnet_lite0"])
def test_the_default_preprocessing_of_every_name_is_a_valid_configuration(name: str) -> None:
    assert PreprocessConfig(**default_preprocess(name)).crop <= 640


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("alexnet", {"resize": 256, "crop": 224, "mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}),
        ("inception_v3", {"resize": 342, "crop": 299, "mean": (127.5,) * 3, "std": (127.5,) * 3}),
        ("efficientnet_lite0", {"resize": 128, "crop": 112, "mean": (127.0,) * 3, "std": (128.0,) * 3}),
    ],
)
def test_default_preprocessing_is_what_the_weights_were_trained_with(name: str, expected: dict[str, object]) -> None:
    assert default_preprocess(name) == expected | {"channel_order": "rgb"}
