"""Where networks run: the devices that torch knows, and what they can compute with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from lrcn.errors import ConfigError


def choose_device(name: str = "auto") -> torch.device:
    """Return the torch device that a name stands for; `auto` is the GPU if there is one, else the CPU.

    Raises:
        ConfigError: If there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device).cpu()  # "meta" fails here too
    except (RuntimeError, AssertionError, ImportError) as exc:
        raise ConfigError(f"device {name!r} cannot be used here; choose auto, cpu, cuda, cuda:1 or mps") from exc
    return device


def precise_dtype(device: torch.device | str) -> torch.dtype:
    """What sums on this device are kept in: float64, or float32 on Apple's GPUs, which have nothing wider."""
    return torch.float32 if torch.device(device).type == "mps" else torch.float64


def has_native_bf16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16, instead of widening each value first (slower than float32)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # the test that oneDNN itself makes: AVX-512 with bf16, AMX, or an ARM processor with bf16
    return device.type == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and _cpu_has_bf16()


def _cpu_has_bf16() -> bool:
    return any(bool(_capabilities().get(name)) for name in ("avx512_bf16", "amx_bf16", "amx_bf16_tile", "bf16"))


def lacks_vnni() -> bool:
    """Whether this is an x86 CPU without instructions for sums of 8-bit products, on which int8 saves no time."""
    has_vnni = any(_capabilities().get(name) for name in ("avx512_vnni", "avx_vnni", "amx_int8"))
    return _capabilities().get("architecture") == "x86_64" and not has_vnni


def _capabilities() -> Mapping[str, Any]:
    """Return what this CPU has, by torch's names; nothing with torch 2.8, which does not tell."""
    capabilities: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return capabilities
