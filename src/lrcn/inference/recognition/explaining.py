"""Where a model looks: gradients of a label's probability, laid over the frames (Grad-CAM).

Shapes: L frames of a clip, C channels and h, w places of a feature map, A classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from lrcn.bouts import Region
from lrcn.errors import ConfigError, unknown_name_message
from lrcn.inference.recognition.bouts import bout_stride
from lrcn.inference.recognition.calling import VideoRecognizer
from lrcn.inference.recognition.torch_runtime import TorchRuntime
from lrcn.models.backbones import Backbone
from lrcn.models.recognition import RecognitionModel
from lrcn.video.inputs import Source, name_of_source, network_images
from lrcn.video.transforms import Preprocess
from lrcn.video.views import CENTER_VIEW, cut_crops

_COLD, _WARM = np.array([0.02, 0.16, 0.45]), np.array([1.0, 0.86, 0.1])
"""Colours, in 0-1, of a little and of much: they differ in lightness as well, for eyes that tell few colours apart."""

_BRIGHTEST = 0.998
"""Share of a clip's places that are not of the brightest colour: one place must not make all others dark."""


@dataclass(frozen=True)
class Explanation:
    """Which places in the frames of a clip speak for a label."""

    source: str
    label: str
    label_id: int
    prob: float
    """Of the label in the clip, in 0-1."""
    frames: NDArray[np.uint8]
    """What the network saw, `(L, H, W, 3)` RGB; flow images where it looks at flow."""
    times_s: NDArray[np.float64]
    """When each is shown, `(L,)`."""
    maps: NDArray[np.float32]
    """How much each place speaks for the label, `(L, H, W)`, at least 0, as `class_maps` gives it."""
    probs: NDArray[np.float32]
    """Class probabilities of all windows near the clip, `(N, A)`."""
    probs_s: NDArray[np.float64]
    """The middles of these windows, `(N,)`."""

    def overlaid(self, places: Sequence[int], *, share: float = 0.8) -> NDArray[np.uint8]:
        """Return some of the frames with their maps over them, `(n, H, W, 3)`; the clip's highest places are brightest.

        Args:
            places: Which frames.
            share: Of the map's colour where it is highest, in 0-1.
        """
        most = max(float(np.quantile(self.maps, _BRIGHTEST)), 1e-12)
        heat = np.minimum(1.0, self.maps[list(places), ..., None] / most)
        colours = 255 * (_COLD + (_WARM - _COLD) * heat)
        mixed = self.frames[list(places)] * (1 - share * heat) + colours * share * heat
        overlaid: NDArray[np.uint8] = np.rint(mixed).astype(np.uint8)
        return overlaid


def explain(
    recognizer: VideoRecognizer,
    source: Source,
    *,
    label: str | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    roi: Region | None = None,
) -> Explanation:
    """Return which places in the frames speak for a label, in the clip where it is most probable.

    Args:
        recognizer: In torch, of one stream.
        source: A video, as for a call of the recognizer, but one only.
        label: One of the model's; None for the most probable one.
        start_s: Where to begin, from the start of the video.
        end_s: Where to end, exclusive; None for the end of the video.
        roi: Where in the picture to look: left, top, width and height in px; None for all of it.

    Raises:
        ConfigError: If the model does not run in torch, is of two streams, or reads ready vectors.
        UnknownNameError: If there is no such label.
        MediaError: If nothing of the video can be decoded.
    """
    runtime = runtime_of(recognizer)
    if label is not None and label not in recognizer.labels:
        raise ConfigError(unknown_name_message("label", label, list(recognizer.labels)))
    preprocess = recognizer.header.preprocess
    windows = recognizer.window_probs(
        source, clip_stride=bout_stride(preprocess), start_s=start_s, end_s=end_s, roi=roi
    )
    label_id = int(windows.probs.max(axis=0).argmax()) if label is None else recognizer.labels.index(label)
    best = int(windows.probs[:, label_id].argmax())
    first, last = windows.windows[best]
    times_s = windows.times_s[first:last]
    starts = np.array([start for start, _ in windows.windows])
    near = (starts >= first - preprocess.clip_length) & (starts <= first + preprocess.clip_length)
    until_s = float(windows.times_s[last]) if last < len(windows.times_s) else end_s
    chunks = list(network_images(source, preprocess, start_s=float(times_s[0]), end_s=until_s, roi=roi))
    images = np.concatenate([np.asarray(chunk.frames) for chunk in chunks])[: last - first]
    pixels = Preprocess(preprocess).to(runtime.device)(images, CENTER_VIEW)
    maps = class_maps(runtime.model, pixels, label_id)
    return Explanation(
        source=name_of_source(source),
        label=recognizer.labels[label_id],
        label_id=label_id,
        prob=float(windows.probs[best, label_id]),
        frames=cut_crops(images, CENTER_VIEW, preprocess),
        times_s=times_s[: len(images)],
        maps=maps.cpu().numpy(),
        probs=windows.probs[near].astype(np.float32),
        probs_s=windows.times_s[starts[near] + (last - first) // 2],
    )


def runtime_of(recognizer: VideoRecognizer) -> TorchRuntime:
    """Return what runs a recognizer where it has gradients.

    Raises:
        ConfigError: If it has none.
    """
    runtime = getattr(recognizer, "runtime", None)
    if not isinstance(runtime, TorchRuntime):
        name = "two streams" if runtime is None else f"runtime {runtime.name!r}"
        raise ConfigError(f"an explanation needs the gradients of one network in torch, got {name}; use: torch")
    if runtime.model.backbone is None:
        raise ConfigError("an explanation shows places in pictures, and this model reads ready vectors")
    return runtime


def class_maps(model: RecognitionModel, pixels: Tensor, label_id: int) -> Tensor:
    """Return how much each place of a clip's frames speaks for a label, `(L, H, W)`, at least 0.

    The gradient of the logarithm of the label's odds p / (1 - p), taken at the feature maps, times what their values
    are above their means over the clip, summed over the channels, kept where positive and enlarged to the frame. Of the
    values themselves, what all places have in common would speak as loud as what is special. The gradient of the
    logarithm of p is 1 - p times as large everywhere, and nothing is left of it where p is 1 to rounding.

    Where several layers are joined, it is the sum of theirs. Of a map that is averaged over all places this is
    Grad-CAM; where features keep a grid, each place has a gradient of its own (HiResCAM). Where features are vectors,
    the last map inside the CNN is taken.

    Args:
        model: In evaluation mode.
        pixels: As the backbone takes them, `(L, 3, H, W)`.
        label_id: Of the label.

    Raises:
        ConfigError: If the CNN has no map at all.

    Source: Selvaraju et al. 2017 (arXiv:1610.02391); Draelos and Carin 2020 (arXiv:2011.08891).
    """
    maps, probs = mapped_probs(model, pixels)
    odds = log_odds(probs[0], label_id, multi_label=model.config.multi_label)
    gradients = torch.autograd.grad(odds, maps)
    size = pixels.shape[2:]
    total = pixels.new_zeros(len(pixels), *size)
    for values, gradient in zip(maps, gradients, strict=True):
        above = values.detach() - values.detach().mean(dim=(0, 2, 3), keepdim=True)
        share = (above * gradient).sum(dim=1, keepdim=True)
        # per pixel, so that maps of several sizes add up to what each gives to the logarithm
        density = values.shape[2] * values.shape[3] / (size[0] * size[1])
        total += F.interpolate(share * density, size=size, mode="bilinear", align_corners=False)[:, 0]
    return total.clamp(min=0)


def log_odds(probs: Tensor, label_id: int, *, multi_label: bool) -> Tensor:
    """Return the logarithm of the odds of a label from class probabilities `(A,)`, without loss where it is near 1."""
    least = torch.finfo(probs.dtype).tiny
    own = probs[label_id]
    others = 1 - own
    if not multi_label:
        others = torch.cat([probs[:label_id], probs[label_id + 1 :]]).sum()
    return own.clamp(min=least).log() - others.clamp(min=least).log()


def mapped_probs(model: RecognitionModel, pixels: Tensor) -> tuple[list[Tensor], Tensor]:
    """Return feature maps `(L, C, h, w)` that have gradients, and the clip's class probabilities `(1, A)` from them."""
    backbone = model.backbone
    assert backbone is not None  # models of ready vectors were refused
    with torch.no_grad():
        layer = _last_map(backbone, pixels[:1])
    maps: list[Tensor] = []
    hooks = []
    if layer is not None:

        def keep(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
            maps[:] = [output.detach().requires_grad_()]
            return maps[0].clone()  # what follows may change it in place

        hooks.append(layer.register_forward_hook(keep))
    try:
        with torch.enable_grad():
            outputs = backbone.outputs(pixels)
            if layer is None:
                outputs = [part.detach().requires_grad_() if part.dim() == 4 else part for part in outputs]
                maps = [part for part in outputs if part.dim() == 4]
            return maps, model.head.clip_probs(backbone.joined(outputs)[None])
    finally:
        for hook in hooks:
            hook.remove()


def _last_map(backbone: Backbone, pixels: Tensor) -> nn.Module | None:
    """Return the module that gives the last map inside a CNN; None where the features themselves are maps."""
    if any(part.dim() == 4 for part in backbone.outputs(pixels)):
        return None
    last: list[nn.Module] = []

    def note(module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and output.dim() == 4 and output.shape[2] * output.shape[3] > 1:
            last[:] = [module]

    leaves = [module for module in backbone.trunk.modules() if not list(module.children())]
    hooks = [module.register_forward_hook(note) for module in leaves]
    try:
        backbone.outputs(pixels)
    finally:
        for hook in hooks:
            hook.remove()
    if not last:
        raise ConfigError(f"{backbone.description} has no feature map, so that no place can be told from another")
    return last[0]
