"""The network as torch runs it: the reference that the other runtimes are checked against."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lrcn.config import PreprocessConfig
from lrcn.errors import ConfigError
from lrcn.features import TorchEncoder
from lrcn.inference.runtimes.base import FrameEncoder, Runtime, State
from lrcn.inference.runtimes.recurrence import Recurrence
from lrcn.models.batch_norm import fold_batch_norm
from lrcn.models.recognition import RecognitionModel
from lrcn.video.views import CENTER_VIEW, View

Precision = Literal["fp32", "bf16"]


class TorchFrameEncoder(FrameEncoder):
    """A backbone in eager torch; with `bf16` its weights and activations are bfloat16, its features float32."""

    def __init__(
        self,
        backbone: nn.Module,
        preprocess: PreprocessConfig,
        *,
        device: str | torch.device = "cpu",
        precision: Precision = "fp32",
    ) -> None:
        """Move the backbone to the device, in evaluation mode.

        Raises:
            ConfigError: If bfloat16 is wanted where the device has no instructions for it, or torch none of the
                network's operations in it (local response normalisation on CPUs).
        """
        target = torch.device(device)
        if precision == "bf16" and not has_native_bf16(target):
            raise ConfigError(f"runtime 'torch-bf16' needs bfloat16 instructions, which {target} has not; use: torch")
        self.name = "torch" if precision == "fp32" else f"torch-{precision}"
        self.device = str(target)
        # autocast would convert the weights again at each call: five times slower for single frames
        backbone = backbone.to(target).eval()
        if precision == "bf16":  # folded before, because folding rounded weights would round them again
            backbone = copy.deepcopy(fold_batch_norm(backbone)).to(torch.bfloat16).eval()
        self._encoder = TorchEncoder(backbone, preprocess, target)
        if precision == "bf16":
            crop = preprocess.crop
            try:
                self.encode(np.zeros((1, crop, crop, 3), np.uint8), CENTER_VIEW)
            except (NotImplementedError, RuntimeError) as exc:
                reason = str(exc).partition("\n")[0]
                raise ConfigError(f"runtime 'torch-bf16' cannot run this network ({reason}); use: torch") from exc

    def encode(self, images: NDArray[np.uint8], view: View) -> NDArray[np.float32]:
        """As `FrameEncoder.encode`."""
        return self._encoder(images, view)


class TorchRuntime(TorchFrameEncoder, Runtime):
    """A recognition model in eager torch; what reads the features is float32 always, under autocast too."""

    def __init__(
        self,
        model: RecognitionModel,
        preprocess: PreprocessConfig,
        *,
        device: str | torch.device = "cpu",
        precision: Precision = "fp32",
    ) -> None:
        """Move the model to the device, in evaluation mode; errors as for `TorchFrameEncoder`."""
        self._device = torch.device(device)
        self.model = model.to(self._device).eval()
        self.config = model.config
        self._recurrence = Recurrence(self.model).eval()
        super().__init__(model.backbone, preprocess, device=device, precision=precision)

    @torch.inference_mode()
    def embed(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `Runtime.embed`."""
        with torch.autocast(self._device.type, enabled=False):
            return self._recurrence.embed(self._tensor(features)).cpu().numpy()

    @torch.inference_mode()
    def frame_probs(self, embedded: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `Runtime.frame_probs`."""
        with torch.autocast(self._device.type, enabled=False):
            return self._recurrence.frame_probs(self._tensor(embedded)).cpu().numpy()

    def initial_state(self, batch_size: int) -> State:
        """As `Runtime.initial_state`."""
        return {name: part.cpu().numpy() for name, part in self.model.initial_state(batch_size).items()}

    @torch.inference_mode()
    def step(self, features: NDArray[np.float32], state: State) -> tuple[NDArray[np.float32], State]:
        """As `Runtime.step`."""
        before = {name: self._tensor(part) for name, part in state.items()}
        with torch.autocast(self._device.type, enabled=False):
            logits, after = self.model.step(self._tensor(features), before)
        return logits.softmax(-1).cpu().numpy(), {name: part.cpu().numpy() for name, part in after.items()}

    def _tensor(self, array: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(self._device)


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
