"""What a backbone is made of, and the specs of torchvision's, timm's and the packaged networks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lrcn.models.backbone_cut import layer_before_classifier
from lrcn.models.caffe_nets import CAFFENET_SIZES, HYBRID_SIZES, caffenet, hybrid
from lrcn.models.efficientnet_lite import EfficientNetLite0


@dataclass(frozen=True, kw_only=True)
class BackboneSpec:
    """How to make one CNN and where its features are; a row of the table `BACKBONES`."""

    build: Callable[[], nn.Module]
    """Makes the whole network with random weights; its forward takes `(N, 3, H, W)` floats."""
    build_sized: Callable[[Mapping[str, int]], nn.Module] | None = None
    """The same with the sizes of `BackboneConfig.sizes`; None where the network comes in one size only."""
    layers: Mapping[str, str] = field(default_factory=dict)
    """Short names of feature layers, for example `fc6`, to module paths; every module path works besides."""
    default_layer: str | Callable[[nn.Module], str] = ""
    """Module path of the feature where the configuration names no layer, or a function that finds it; empty takes
    the network's own output."""
    is_plain: bool = False
    """Whether `torch.fx` alone can follow its forward. Then a layer named by its module path is cut without the help of
    torchvision and timm, whose imports take seconds."""
    weights: Callable[[], Mapping[str, Tensor]] | None = None
    """Fetches the state dict of the trained network; None where there is none to fetch."""
    weights_hint: str = ""
    """What the user can do where `weights` fails, continuing `cannot fetch the weights of 'x' (...): `."""
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    """The fields of `PreprocessConfig` that go with the weights: resize, crop, mean, std, channel_order."""


def imagenet_preprocess(mean: tuple[float, ...], std: tuple[float, ...], resize: int, crop: int) -> dict[str, Any]:
    """Fields of `PreprocessConfig` from a mean and std in units of 0-1, as torchvision and timm state them."""
    return {
        "resize": resize,
        "crop": crop,
        "mean": tuple(round(value * 255, 4) for value in mean),
        "std": tuple(round(value * 255, 4) for value in std),
        "channel_order": "rgb",
    }


# --- the packaged network -----------------------------------------------------------------------------------------

ASSET = "efficientnet_lite0.safetensors"


def _packaged_weights() -> Mapping[str, Tensor]:
    with as_file(files("lrcn") / "assets" / ASSET) as path:
        return load_file(path)


EFFICIENTNET_LITE0 = BackboneSpec(
    build=EfficientNetLite0,
    layers={"bn2": "act2"},  # in timm's network, which stood here, the activation is a part of bn2
    default_layer="act2",
    is_plain=True,
    weights=_packaged_weights,
    weights_hint="reinstall lrcn",
    # trained at 224 px; half of it costs a quarter of the time
    preprocess={
        "resize": 128,
        "crop": 112,
        "mean": (127.0, 127.0, 127.0),
        "std": (128.0, 128.0, 128.0),
        "channel_order": "rgb",
    },
)

# --- Caffe's networks ---------------------------------------------------------------------------------------------

_CAFFE_LAYERS = {"fc6": "relu6", "fc7": "relu7", "fc8": "fc8"}

CAFFENET = BackboneSpec(
    build=caffenet,
    is_plain=True,
    build_sized=lambda sizes: caffenet(CAFFENET_SIZES.changed(sizes)),
    layers=_CAFFE_LAYERS,
    default_layer="relu7",
    # the ImageNet mean of BVLC's networks
    preprocess={
        "resize": (256, 256),
        "crop": 227,
        "mean": (104.0, 117.0, 123.0),
        "std": (1.0, 1.0, 1.0),
        "channel_order": "bgr",
    },
)

HYBRID = BackboneSpec(
    build=hybrid,
    is_plain=True,
    build_sized=lambda sizes: hybrid(HYBRID_SIZES.changed(sizes)),
    layers=_CAFFE_LAYERS,
    default_layer="relu7",
    # train_test_singleFrame_RGB.prototxt of the release
    preprocess={
        "resize": (240, 320),
        "crop": 227,
        "mean": (103.939, 116.779, 123.68),
        "std": (1.0, 1.0, 1.0),
        "channel_order": "bgr",
    },
)

# --- torchvision --------------------------------------------------------------------------------------------------

_OWN_INPUT_SCALING = ("googlenet", "inception_v3")
"""Their trained weights go with pixels scaled to -1..1; torchvision hides that in a flag set only with the weights."""


def torchvision_names() -> list[str]:
    """The image classification networks of torchvision."""
    import torchvision

    return list(torchvision.models.list_models(module=torchvision.models))


def torchvision_spec(name: str) -> BackboneSpec:
    """The spec of a torchvision classification network; nothing is built or fetched yet."""
    import torchvision

    weights = torchvision.models.get_model_weights(name).DEFAULT
    transforms = weights.transforms()
    scaled = name in _OWN_INPUT_SCALING
    options: dict[str, Any] = {"init_weights": True} if scaled else {}
    if name.startswith("vit_"):  # position embeddings fix the size, and some weights have one of their own
        options = {"image_size": transforms.crop_size[0]}
    file_name = weights.url.rpartition("/")[2]
    return BackboneSpec(
        build=lambda: torchvision.models.get_model(name, weights=None, **options),
        layers=_classifier_layers(name),
        default_layer=layer_before_classifier,
        weights=lambda: torchvision.models.get_model(name, weights=weights).state_dict(),
        weights_hint=f"place {file_name} in {torch.hub.get_dir()}/checkpoints, give the path of a weights file, "
        "or use weights 'none'",
        preprocess=imagenet_preprocess(
            (0.5, 0.5, 0.5) if scaled else tuple(transforms.mean),
            (0.5, 0.5, 0.5) if scaled else tuple(transforms.std),
            transforms.resize_size[0],
            transforms.crop_size[0],
        ),
    )


def _classifier_layers(name: str) -> dict[str, str]:
    """Caffe's names in torchvision's classifiers: fc6 and fc7 are the ReLU modules after the fully connected ones."""
    if name == "alexnet":  # Dropout, Linear, ReLU, Dropout, Linear, ReLU, Linear
        return {"fc6": "classifier.2", "fc7": "classifier.5", "fc8": "classifier.6"}
    if name.startswith("vgg"):  # Linear, ReLU, Dropout, Linear, ReLU, Dropout, Linear
        return {"fc6": "classifier.1", "fc7": "classifier.4", "fc8": "classifier.6"}
    return {}


# --- timm ---------------------------------------------------------------------------------------------------------

TIMM_PREFIX = "timm/"


def timm_spec(name: str) -> BackboneSpec:
    """The spec of the timm network `name` (without the prefix); nothing is built or fetched yet."""
    import timm

    pretrained = timm.models.get_pretrained_cfg(name)
    preprocess: dict[str, Any] = {}
    if pretrained is not None:
        crop = pretrained.input_size[1]
        preprocess = imagenet_preprocess(pretrained.mean, pretrained.std, math.floor(crop / pretrained.crop_pct), crop)
    return BackboneSpec(
        build=lambda: timm.create_model(name, num_classes=0),
        weights=lambda: timm.create_model(name, pretrained=True, num_classes=0).state_dict(),
        weights_hint="give the path of a weights file, or use weights 'none'",
        preprocess=preprocess,
    )
