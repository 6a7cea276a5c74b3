"""For sets that lrcn builds, whose sentences come from templates: do captions state the facts?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from lrcn.errors import DataError
from lrcn_sets.building import MARK_NAME
from lrcn_sets.mocap.captions import score_clip_captions
from lrcn_sets.scenes.building import PARTS
from lrcn_sets.scenes.captions import score_scene_captions


def score_built_captions(
    data: Path, candidates: Sequence[str], references: Sequence[Sequence[str]]
) -> dict[str, float] | None:
    """Return the shares of captions that state the facts, by name; None for a set that lrcn did not build.

    Args:
        data: The folder of the set, or its captions file.
        candidates: One caption for each example.
        references: The sentences of each example.
    """
    folder = data if data.is_dir() else data.parent
    try:
        generator = json.loads((folder / MARK_NAME).read_text(encoding="utf-8"))["generator"]
        if generator in PARTS:
            nouns = sorted(entry.name for entry in (folder / "parts").iterdir() if entry.is_dir())
            return asdict(score_scene_captions(candidates, references, nouns))
        if generator == "mocap-captions":
            return asdict(score_clip_captions(candidates, references))
    except (OSError, ValueError, KeyError, TypeError, DataError):
        return None  # no build of ours, or other captions were put into its folder
    return None
