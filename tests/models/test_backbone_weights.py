"""Trained weights of backbones: from files, and the errors on the way."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lrcn.config import BackboneConfig
from lrcn.errors import ConfigError
from lrcn.models.backbone_specs import BackboneSpec
from lrcn.models.backbones import BACKBONES, build_backbone


def two_layers() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3))


CUT = BackboneConfig(name="two_layers", layer="1")


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKBONES, "two_layers", BackboneSpec(build=two_layers))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_file_of_the_whole_network_fills_the_cut_one(tmp_path: Path, suffix: str, dtype: torch.dtype) -> None:
    state = {key: value.to(dtype) for key, value in two_layers().state_dict().items()}
    path = tmp_path / f"weights{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    loaded = build_backbone(CUT, weights=path).state_dict()
    assert set(loaded) == {"trunk.0.weight", "trunk.0.bias"}
    for key, value in loaded.items():
        assert torch.equal(value, state[key.removeprefix("trunk.")].float())


def test_a_file_of_the_cut_network_alone_fills_it(tmp_path: Path) -> None:
    path = tmp_path / "cut.pth"
    torch.save({"0.weight": torch.ones(4, 3, 3, 3), "0.bias": torch.zeros(4)}, path)
    assert build_backbone(CUT, weights=str(path)).state_dict()["trunk.0.weight"].eq(1).all()


def test_a_model_file_fills_the_backbone_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    state = {f"backbone.trunk.{key}": value for key, value in two_layers().state_dict().items()}
    save_file({**state, "classifier.weight": torch.ones(2, 3)}, path)
    loaded = build_backbone(CUT, weights=str(path)).state_dict()
    assert torch.equal(loaded["trunk.0.weight"], state["backbone.trunk.0.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"0.bias": None}, "it lacks 0.bias"),
        ({"0.bias": None, "0.weight": None}, r"it lacks 0.weight \(1 more\)"),
        ({"0.gamma": torch.ones(1)}, "it has unknown 0.gamma"),
        ({"0.bias": torch.ones(5)}, "it has another shape for 0.bias"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    tmp_path: Path, change: dict[str, torch.Tensor | None], message: str
) -> None:
    state = {key: value for key, value in (two_layers().state_dict() | change).items() if value is not None}
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    with pytest.raises(ConfigError, match=f"weights.pth does not fit backbone 'two_layers': {message}") as caught:
        build_backbone(CUT, weights=path)
    assert "\n" not in str(caught.value)


class Opaque:
    """Unpickling it would run code of the file's choosing."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("the file ran code",)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.pth", None, "no such file"),
        ("empty.pth", b"", "not a readable state dict"),
        ("text.pth", b"no weights at all", "not a readable state dict"),
        ("text.safetensors", b"no weights at all", "not a readable state dict"),
        ("list.pth", [torch.ones(1)], "holds no plain state dict"),
        ("number.pth", 7, "holds no plain state dict"),
        ("numbered.pth", {0: torch.ones(1)}, "holds no plain state dict"),
        ("sparse.pth", {"0.weight": torch.ones(8, 8).to_sparse()}, "holds no plain state dict"),
        ("byte.pth", b"\x80", "not a readable state dict"),
        ("pickle.pth", b"K\x07.", "not a readable state dict"),
        ("opaque.pth", {"0.weight": Opaque()}, "not a readable state dict"),
    ],
)
def test_files_that_hold_no_weights_are_refused(
    tmp_path: Path, name: str, content: object, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(ConfigError, match=f"{name}: {message}") as caught:
        build_backbone(CUT, weights=path)
    assert "\n" not in str(caught.value)
    assert "the file ran code" not in capsys.readouterr().out


def test_a_network_without_weights_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"comes without weights: .* or to 'none'"):
        build_backbone(CUT, weights="auto")


def test_weights_that_cannot_be_fetched_are_one_line_with_the_remedy() -> None:
    def unreachable() -> dict[str, torch.Tensor]:
        raise OSError("<urlopen error no route>\nsecond line")

    BACKBONES["two_layers"] = BackboneSpec(build=two_layers, weights=unreachable, weights_hint="place two.pth in there")
    with pytest.raises(ConfigError) as caught:
        build_backbone(CUT)
    assert str(caught.value) == (
        "cannot fetch the weights of 'two_layers' (<urlopen error no route>): place two.pth in there"
    )


def test_without_weights_the_network_is_random() -> None:
    first, second = (build_backbone(CUT, weights="none").state_dict() for _ in range(2))
    assert not torch.equal(first["trunk.0.weight"], second["trunk.0.weight"])
