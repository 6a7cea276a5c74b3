from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lrcn.inference.recognition.predictor import Recognizer
from lrcn.inference.recognition.streaming import StreamingRecognizer
from lrcn.video.views import CENTER_VIEW, View


class Downloads(TorchFunctionMode):
    """Notes the shape of whatever would leave the device."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (Tensor.cpu, Tensor.numpy, Tensor.tolist, Tensor.item):
            self.shapes.append(tuple(args[0].shape))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("views", [(CENTER_VIEW,), (CENTER_VIEW, View(0.0, 0.0, mirror=True))])
def test_only_probabilities_leave_the_device(tiny_model: Path, clip20: Path, views: tuple[View, ...]) -> None:
    recognizer = Recognizer.load(tiny_model, device="cpu", batch_size=3, views=views)
    with Downloads() as left:
        result = recognizer(clip20)
        segments = list(StreamingRecognizer(recognizer).stream(clip20))
    assert len(result.segments) == len(segments) > 1
    assert left.shapes
    assert {shape[1:] for shape in left.shapes} == {(len(recognizer.labels),)}
