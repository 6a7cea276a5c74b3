"""One small set of captions in every layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

from lrcn.data.captioning.readers import (
    CaptionData,
)

PICTURES = {
    "a.jpg": ("train", ["A dog runs.", "a dog, running"]),
    "b.jpg": ("train", ["two cats"]),
    "c.jpg": ("val", ["a red bus"]),
    "d.jpg": ("test", ["a boat", "a small boat"]),
}


def write_pictures(folder: Path, names: Any = PICTURES) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        Image.new("RGB", (8, 8), (40 * i, 0, 0)).save(folder / name)


def coco(split: str | None = None) -> dict[str, Any]:
    images = [
        {"id": i, "file_name": n} for i, (n, (s, _)) in enumerate(PICTURES.items(), start=10) if split in (None, s)
    ]
    names = {image["file_name"]: image["id"] for image in images}
    annotations = [
        {"id": 7, "image_id": names[name], "caption": caption}
        for name, (_, captions) in PICTURES.items()
        if name in names
        for caption in captions
    ]
    return {"info": {}, "images": images, "annotations": annotations}


def csv() -> str:
    rows = [f'"{n}","{c}",{s}' for n, (s, cs) in PICTURES.items() for c in cs]
    return "\n".join(["path,caption,split", *rows]) + "\n"


def summary(data: CaptionData) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(example.path.name, example.split, example.captions) for example in data.examples]


EXPECTED = [(name, split, tuple(captions)) for name, (split, captions) in PICTURES.items()]


def save(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path
