"""Charts of the page as inline SVG: nothing is fetched, and colours are the page's, in light and in dark.

A chart is stretched to the width there is, so that it holds no letters; what it shows is told in its label.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from lrcn.bouts import Span
from lrcn.metrics.calibration import ReliabilityBin

_WIDTH = 1000.0
_LEAST = 1.5
"""Width of the shortest bout, of the thousand that a row has: so that it is seen."""

MAX_POINTS = 500
"""Of a curve of probabilities; where a recording has more frames, each point is the highest of its frames."""


def timeline_row(
    true: Iterable[Span],
    found: Iterable[Span],
    curve: NDArray[np.float32] | None,
    borders_s: NDArray[np.float64],
    unknown: Iterable[Span],
    told: str,
) -> Markup:
    """Return one behaviour of one recording: what is annotated above, what was found below, the probability beneath.

    Args:
        true: From when to when it is shown.
        found: As the model says.
        curve: Its probability in each frame, `(T,)`; None where the model does not know it.
        borders_s: When each frame is shown, and when the last one ends, `(T + 1,)`.
        unknown: Where nobody looked.
        told: The row in words.
    """
    whole = (float(borders_s[0]), float(borders_s[-1]))
    area = ""
    if curve is not None and len(curve):
        area = f'<path class="curve" d="{curve_path(curve, borders_s, 60, 22)}"/>'
    return Markup(
        '<svg class="row" viewBox="0 0 1000 60" preserveAspectRatio="none" role="img" aria-label="{told}">'
        '<path class="unseen" d="{unseen}"/><path class="base" d="M0 60h1000"/>{area}'
        '<path class="true" d="{true}"/><path class="found" d="{found}"/></svg>'
    ).format(
        told=told,
        unseen=spans_path(unknown, whole, 0, 60),
        area=Markup(area),
        true=spans_path(true, whole, 1, 16),
        found=spans_path(found, whole, 19, 16),
    )


def spans_path(spans: Iterable[Span], whole: Span, top: float, height: float) -> str:
    """Return bars from when to when, as data of a path that is a thousand wide for all of `whole`."""
    scale = _scale(whole)
    parts = []
    for first_s, last_s in spans:
        left, right = (min(max((time_s - whole[0]) * scale, 0.0), _WIDTH) for time_s in (first_s, last_s))
        width = max(right - left, _LEAST)
        parts.append(f"M{left:.1f} {top:g}h{width:.1f}v{height:g}h-{width:.1f}z")
    return "".join(parts)


def curve_path(curve: NDArray[np.float32], borders_s: NDArray[np.float64], bottom: float, height: float) -> str:
    """Return the area under probabilities of frames `(T,)`, as data of a path that is a thousand wide.

    Args:
        curve: In 0-1.
        borders_s: When each frame is shown, and when the last one ends, `(T + 1,)`.
        bottom: Where 0 is; 1 is `height` above it.
        height: See `bottom`.
    """
    start_s, end_s = float(borders_s[0]), float(borders_s[-1])
    firsts = np.unique(np.linspace(0, len(curve), min(MAX_POINTS, len(curve)), endpoint=False).astype(int))
    peaks = np.maximum.reduceat(curve, firsts)
    lefts = (np.append(borders_s[firsts], end_s) - start_s) * _scale((start_s, end_s))
    steps = "".join(
        f"V{bottom - height * peak:.1f}H{right:.1f}"
        for peak, right in zip(peaks.tolist(), lefts[1:].tolist(), strict=True)
    )
    return f"M{lefts[0]:.1f} {bottom:g}{steps}V{bottom:g}z"


def _scale(whole: Span) -> float:
    return _WIDTH / max(whole[1] - whole[0], 1e-9)


def interval_bar(value: float, low: float, high: float, *, least: float = 0.0, most: float = 1.0) -> Markup:
    """Return a point and its interval between `least` and `most`, which numbers beside it tell; empty for nan."""
    if math.isnan(value):
        return Markup("")

    def place(number: float) -> float:
        return 100 * min(max((number - least) / (most - least), 0.0), 1.0)

    parts = [f'<path class="base" d="M0 8h100M{place(max(0.0, least)):.1f} 3v10"/>']
    if not math.isnan(low):
        parts.append(f'<path class="whisker" d="M{place(low):.1f} 8H{place(high):.1f}"/>')
    parts.append(f'<path class="point" d="M{place(value):.1f} 2v12"/>')
    svg = '<svg class="interval" viewBox="0 0 100 16" preserveAspectRatio="none" aria-hidden="true">'
    return Markup(svg + "".join(parts) + "</svg>")


def reliability_chart(bins: Sequence[ReliabilityBin], told: str) -> Markup:
    """Return accuracy over probability: on the dashed line, probabilities are what they say; bars: how many answers."""
    filled = [one for one in bins if one.count]
    most = max((one.count for one in filled), default=1)
    bars = "".join(
        f"M{300 * one.low:.1f} 300v-{80 * one.count / most:.1f}h{300 * (one.high - one.low) - 1:.1f}V300z"
        for one in filled
    )
    points = [(300 * one.prob, 300 - 300 * one.accuracy, 2 + 4 * math.sqrt(one.count / most)) for one in filled]
    line = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y, _ in points) if points else ""
    dots = "".join(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}"/>' for x, y, size in points)
    ticks = "".join(
        f'<text x="{300 * share:g}" y="318" text-anchor="middle">{share:g}</text>'
        f'<text x="-8" y="{304 - 300 * share:g}" text-anchor="end">{share:g}</text>'
        for share in (0, 0.25, 0.5, 0.75, 1)
    )
    return Markup(
        '<svg class="reliability" viewBox="-52 -8 362 354" role="img" aria-label="{told}">'
        '<path class="frame" d="M0 0h300v300h-300z"/><path class="bars" d="{bars}"/>'
        '<path class="ideal" d="M0 300L300 0"/><path class="line" d="{line}"/>{rest}'
        '<text x="150" y="338" text-anchor="middle">probability of the answer</text>'
        '<text transform="translate(-40 150) rotate(-90)" text-anchor="middle">share of right answers</text></svg>'
    ).format(told=told, bars=bars, line=line, rest=Markup(dots + ticks))
