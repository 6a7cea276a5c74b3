"""Late fusion: one network looks at the frames, one at the flow between them, and their probabilities are averaged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from lrcn.bouts import Region
from lrcn.errors import ConfigError
from lrcn.inference.recognition.calling import VideoRecognizer
from lrcn.inference.recognition.predictor import Recognizer
from lrcn.inference.recognition.windows import WindowProbs
from lrcn.video.inputs import Source

SHARED_SETTINGS = ("sample_fps", "clip_length")
"""Settings in which two streams must agree for their windows to be the same frames."""


class TwoStreamRecognizer(VideoRecognizer):
    """Recognises with an RGB and a flow model together; called like a `Recognizer`.

    T frames have T - 1 flow images, each counted with its later frame. So that both streams see the same windows, the
    RGB stream starts at the second frame too, which is also the release's first (create_flow_images_LRCN.m numbers its
    images from 2).
    """

    def __init__(
        self,
        rgb: Recognizer,
        flow: Recognizer,
        *,
        rgb_weight: float = 1 / 3,
        flow_file_of: Callable[[Path], Path] | None = None,
    ) -> None:
        """Join two recognizers.

        Args:
            rgb: Looks at frames.
            flow: Looks at flow.
            rgb_weight: Share of the RGB stream in the average, 0 to 1; the flow stream has the rest. The paper reports
                1/2 and 1/3.
            flow_file_of: Where `lrcn data flow` keeps the flow of a video; None computes it anew.

        Raises:
            ConfigError: If the weight is out of range or the two models do not fit together.
        """
        if not 0 <= rgb_weight <= 1:
            raise ConfigError(f"rgb_weight must be in [0, 1], got {rgb_weight}")
        for recognizer, stream in ((rgb, "rgb"), (flow, "flow")):
            found = recognizer.header.preprocess.stream
            if found != stream:
                raise ConfigError(f"{recognizer.name or 'model'}: this is a model of {found}, wanted one of {stream}")
        if rgb.labels != flow.labels:
            odd = sorted(set(rgb.labels) ^ set(flow.labels))
            raise ConfigError(f"the two models have other labels ({', '.join(odd[:5]) or 'in another order'})")
        if rgb.header.model.multi_label != flow.header.model.multi_label:
            raise ConfigError("one of the two models judges each class by itself (multi_label), the other does not")
        for name in SHARED_SETTINGS:
            values = [getattr(recognizer.header.preprocess, name) for recognizer in (rgb, flow)]
            if values[0] != values[1]:
                raise ConfigError(f"the two models differ in {name} ({values[0]} and {values[1]}): no common windows")
        self.header = rgb.header
        self.rgb = rgb
        self.flow = flow
        self.rgb_weight = rgb_weight
        self.unknown_below = rgb_weight * rgb.unknown_below + (1 - rgb_weight) * flow.unknown_below
        self._flow_file_of = flow_file_of

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names; the position is the label id."""
        return self.rgb.labels

    @property
    def about(self) -> dict[str, str]:
        """`name` and `sha256` of both model files and the `runtime`s that run them, as results name them."""
        return {
            "name": f"{self.rgb.name} + {self.flow.name}",
            "sha256": f"{self.rgb.header.sha256}+{self.flow.header.sha256}",
            "runtime": f"{self.rgb.runtime.name} + {self.flow.runtime.name}",
        }

    def window_probs(
        self,
        source: Source,
        *,
        clip_stride: int | None = None,
        start_s: float = 0.0,
        end_s: float | None = None,
        roi: Region | None = None,
        timing_s: dict[str, float] | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> WindowProbs:
        """As `VideoRecognizer.window_probs`, of both streams fused; the stages are those of each.

        The RGB model's own stride counts. A flow file that belongs to another video is a `MediaError`.
        """
        stride = self.rgb.header.preprocess.clip_stride if clip_stride is None else clip_stride
        flow_source = source
        if self._flow_file_of is not None and isinstance(source, str | Path):
            flow_source = self._flow_file_of(Path(source))
        stages: dict[str, dict[str, float]] = {"rgb": {}, "flow": {}}
        rgb = self.rgb.window_probs(
            source,
            clip_stride=stride,
            start_s=start_s,
            end_s=end_s,
            roi=roi,
            timing_s=stages["rgb"],
            on_progress=on_progress,
            drop_first=True,
        )
        flow = self.flow.window_probs(
            flow_source,
            clip_stride=stride,
            start_s=start_s,
            end_s=end_s,
            roi=roi,
            timing_s=stages["flow"],
            on_progress=on_progress,
        )
        if timing_s is not None:
            timing_s.update(
                {f"{name}_{stage}": spent for name, each in stages.items() for stage, spent in each.items()}
            )
        return fuse(rgb, flow, self.rgb_weight)


def fuse(rgb: WindowProbs, flow: WindowProbs, rgb_weight: float) -> WindowProbs:
    """Return the weighted mean of two streams' probabilities, window by window.

    Where a stream has windows at the end that the other lacks (a flow file made from a video cut short), only the
    common ones count.
    """
    places = [{window: place for place, window in enumerate(stream.windows)} for stream in (rgb, flow)]
    common = [window for window in rgb.windows if window in places[1]]
    if not common:
        raise ConfigError(f"the streams have no window in common ({len(rgb.windows)} and {len(flow.windows)} windows)")
    rows = [[place_of[window] for window in common] for place_of in places]
    probs = rgb_weight * rgb.probs[rows[0]] + (1 - rgb_weight) * flow.probs[rows[1]]
    return replace(
        rgb,
        windows=tuple(common),
        probs=np.asarray(probs),
        warnings=tuple(dict.fromkeys((*rgb.warnings, *flow.warnings))),
    )
