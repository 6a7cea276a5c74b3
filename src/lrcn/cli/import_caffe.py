"""`lrcn import-caffe`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def import_caffe(
    model: Annotated[Path, Parameter(help="The `.caffemodel`.")],
    /,
    *,
    labels: Path | None = None,
    output: Path,
    prototxt: Path | None = None,
    stream: Literal["rgb", "flow"] | None = None,
    release_quirks: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Turn a net of the LRCN release, in Caffe's format, into a model file.

    Takes single-frame and LSTM nets for activity recognition, and captioning nets (1u, 2u, 2f), on CaffeNet, VGG16 or
    the paper's hybrid net, of any width, and says which layers it took. A net that would compute something else here
    than in Caffe is refused.

    Args:
        labels: Text file of the classes: one a line in the order of the outputs, or UCF-101's `classInd.txt`. For a
            captioning net its words, as in the release's `vocabulary.txt`. Left out, classes are numbered, which is
            enough for a net that is wanted as a backbone.
        output: The model file to write, `.safetensors`.
        prototxt: The net's description, where the caffemodel's own is missing or lists layers that are not wanted.
        stream: What the pixels are, RGB frames or flow images. Left out, it is taken from the net's data layer or,
            failing that, from the names of net and file.
        release_quirks: Prepare pixels with the mistakes of the released code, a red mean of 128.68 among them, as the
            published numbers of the released weights were made.
    """
    from lrcn.caffe import importing as caffe

    report = caffe.import_caffe(
        model, labels=labels, output=output, prototxt=prototxt, stream=stream, release_quirks=release_quirks
    )
    print(f"{report.path}: {report.net}")
    if report.stream:
        print(f"stream: {report.stream}")
    print(f"taken: {', '.join(report.taken)}")
    print(f"ignored: {', '.join(report.ignored) or 'none'}")
    for warning in report.warnings:
        print(f"lrcn: warning: {warning}", file=sys.stderr)
