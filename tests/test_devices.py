"""Devices that are not here: what is known of them is kept to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from lrcn.devices import choose_device, precise_dtype
from lrcn.errors import ConfigError

SOURCE = Path(__file__).parent.parent / "src" / "lrcn"


@pytest.mark.parametrize("name", ["mps", "cuda:99", "meta", "gpu"])
def test_a_device_that_is_not_here_is_one_line(name: str) -> None:
    if name == "mps" and torch.backends.mps.is_available():
        pytest.skip("there is one")
    with pytest.raises(ConfigError, match=f"device '{name}' cannot be used here; choose auto, cpu, cuda"):
        choose_device(name)


def test_sums_are_as_precise_as_the_device_can() -> None:
    assert [precise_dtype(name) for name in ("cpu", "cuda", "mps")] == [torch.float64, torch.float64, torch.float32]


def test_nothing_makes_float64_where_apples_gpus_would_have_to() -> None:
    """They refuse it: what is on a device comes to the CPU before it is widened, or takes `precise_dtype`."""
    on_the_cpu = {"heads/base.py", "heads/statistics.py", "recognition/validation.py"}
    for path in SOURCE.rglob("*.py"):
        if "/".join(path.parts[-2:]) not in on_the_cpu and path.name != "devices.py":
            text = path.read_text(encoding="utf-8")
            assert "torch.float64" not in text, path
            assert not re.search(r"(?<!\.cpu\(\))\.double\(\)", text), path
