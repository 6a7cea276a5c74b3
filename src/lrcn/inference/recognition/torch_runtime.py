"""The network as torch runs it: the reference that the other runtimes are checked against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lrcn.config import PreprocessConfig
from lrcn.features import Precision, TorchEncoder
from lrcn.graphs.state import State
from lrcn.inference.recognition.runtime import Rows, Runtime
from lrcn.models.recognition import RecognitionModel
from lrcn.video.views import View


class TorchRuntime(TorchEncoder, Runtime):
    """A recognition model in eager torch; what reads the features is float32 always, under autocast too."""

    def __init__(
        self,
        model: RecognitionModel,
        preprocess: PreprocessConfig,
        *,
        device: str | torch.device = "cpu",
        precision: Precision = "fp32",
    ) -> None:
        """Move the model to the device, in evaluation mode; errors as for `TorchEncoder`."""
        self._device = torch.device(device)
        self.model = model.to(self._device).eval()
        self.has_step = self.model.head.has_step
        backbone = nn.Identity() if model.backbone is None else model.backbone
        super().__init__(backbone, preprocess, device=device, precision=precision)

    @torch.inference_mode()
    def features(self, images: NDArray[Any], view: View) -> torch.Tensor:
        """As `TorchEncoder.features`; ready vectors, which may come in place of images, are features already."""
        return self._tensor(images) if self.model.backbone is None else super().features(images, view)

    def embed(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `Runtime.embed`."""
        return self.embedded(features).cpu().numpy()

    @torch.inference_mode()
    def embedded(self, features: Rows) -> torch.Tensor:
        """As `Runtime.embedded`."""
        with torch.autocast(self._device.type, enabled=False):
            return self.model.head.embed(self._tensor(features))

    def embed_images(self, images: NDArray[np.uint8], view: View) -> torch.Tensor:
        """As `Runtime.embed_images`; nothing leaves the device."""
        return self.embedded(self.features(images, view))

    @torch.inference_mode()
    def embed_each(self, images: NDArray[np.uint8], view: View) -> list[Rows]:
        """As `Runtime.embed_each`; nothing leaves the device."""
        features = self.features(images, view)
        with torch.autocast(self._device.type, enabled=False):
            # each in memory of its own: where a row begins decides how some kernels add it up
            return [self.model.head.embed(row[None].clone()) for row in features]

    def join(self, parts: Sequence[Rows], axis: int = 0) -> torch.Tensor:
        """As `Runtime.join`, on the device."""
        return torch.cat(list(parts), axis)

    @torch.inference_mode()
    def clip_probs(self, embedded: Rows) -> NDArray[np.float32]:
        """As `Runtime.clip_probs`."""
        with torch.autocast(self._device.type, enabled=False):
            return self.model.head.embedded_clip_probs(self._tensor(embedded)).cpu().numpy()

    def initial_state(self, batch_size: int) -> State:
        """As `Runtime.initial_state`."""
        return {name: part.cpu().numpy() for name, part in self.model.initial_state(batch_size).items()}

    @torch.inference_mode()
    def step(self, features: NDArray[np.float32], state: State) -> tuple[NDArray[np.float32], State]:
        """As `Runtime.step`."""
        before = {name: self._tensor(part) for name, part in state.items()}
        with torch.autocast(self._device.type, enabled=False):
            logits, after = self.model.step(self._tensor(features), before)
        probs = self.model.head.probs_of(logits)
        return probs.cpu().numpy(), {name: part.cpu().numpy() for name, part in after.items()}

    def _tensor(self, array: Rows) -> torch.Tensor:
        if isinstance(array, torch.Tensor):
            return array
        return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(self._device)
