"""The JSON files that captions are published in: COCO, Karpathy's splits, MSR-VTT and MSVD."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrcn.data.captioning.examples import CaptionData, CaptionReadOptions
from lrcn.data.captioning.rows import CaptionRows
from lrcn.data.csv_table import read_text
from lrcn.data.named_files import NamedFiles
from lrcn.data.problems import Problems
from lrcn.data.splits import SPLIT_NAMES, SPLITS, split_of
from lrcn.errors import DataError
from lrcn.files import parse_json

_ANNOTATION_FOLDER = "annotations"


def why_no_captions(path: Path) -> str:
    """Say what a JSON file lacks to be one of these."""
    content = load_json(path)
    found = ", ".join(map(repr, list(content)[:6])) if isinstance(content, dict) else f"a {type(content).__name__}"
    return (
        f"{path}: no captions recognised: expected 'images' and 'annotations' (COCO), 'images' with 'sentences' "
        f"(Karpathy), 'videos' and 'sentences' (MSR-VTT) or lists of sentences (MSVD); found {found or 'nothing'}"
    )


@functools.lru_cache(maxsize=8)
def load_json(path: Path) -> Any:
    """Return what a JSON file holds; kept between recognising and reading it, see `forget_json`.

    Raises:
        DataError: If it is no JSON.
    """
    try:
        return parse_json(read_text(path))
    except json.JSONDecodeError as exc:
        raise DataError(f"{path} line {exc.lineno}: no JSON: {exc.msg}") from exc
    except ValueError as exc:
        raise DataError(f"{path}: no JSON that can be read: {exc}") from exc


forget_json = load_json.cache_clear


@dataclass(frozen=True)
class JSONLists:
    """Reads one kind of these files."""

    kind: str
    """As `_kind` tells them apart."""
    rows_of: Callable[[Path, Any, CaptionRows, Problems], None]
    """Adds the rows of a file with some content."""
    by_stem: bool = False
    """Whether videos are named without their suffixes."""

    def detect(self, path: Path) -> bool:
        """Whether a path is such a file, or one lies there or in `annotations`."""
        return bool(_files(path, self.kind))

    def read(self, path: Path, options: CaptionReadOptions) -> CaptionData:
        """Read them; `DataError` if entries are bad, whose `problems` holds them all."""
        problems = Problems(options.skip_missing)
        rows = CaptionRows(problems)
        files = _files(path, self.kind)
        for file in files:
            self.rows_of(file, load_json(file), rows, problems)
        root = path if path.is_dir() else path.parent
        if root.name == _ANNOTATION_FOLDER:
            root = root.parent
        named = NamedFiles(root, problems, need_files=options.need_files, pictures=True)
        examples, warnings = rows.examples(named.by_stem if self.by_stem else named.by_name)
        warnings += problems.check(len(examples), path, "file")
        warnings += tuple(_left_out(path, files))
        return CaptionData(tuple(examples), path.resolve().name if path.is_dir() else path.stem, warnings)


def _files(path: Path, kind: str) -> list[Path]:
    """Return the JSON files of this kind: the one named, or those in the folder and in `annotations` below it."""
    if path.is_file():
        return [path] if path.suffix.lower() == ".json" and _kind(load_json(path)) == kind else []
    found = []
    for file in _json_files(path):
        try:
            content = load_json(file)
        except DataError:
            continue  # a folder may hold any files; `read` warns of it
        if _kind(content) == kind and (kind != "coco" or _has_captions(content)):
            found.append(file)
    return found


def _left_out(path: Path, used: list[Path]) -> Iterator[str]:
    """Yield warnings of a folder's files that look as if they should hold captions, and do not."""
    for file in _json_files(path):
        try:
            load_json(file)
        except DataError:
            yield f"{file.name}: left out, it is no JSON that can be read"
            continue
        if "caption" in file.stem.lower() and file not in used:
            yield f"{file.name}: left out, no captions are recognised in it"


def _json_files(path: Path) -> list[Path]:
    return [*sorted(path.glob("*.json")), *sorted(path.glob(f"{_ANNOTATION_FOLDER}/*.json"))]


def _kind(content: Any) -> str:
    if not isinstance(content, dict):
        return ""
    if "videos" in content and "sentences" in content:
        return "msr-vtt"
    if "annotations" in content:
        return "coco"
    images = content.get("images")
    if isinstance(images, list) and any(isinstance(image, dict) and "sentences" in image for image in images[:20]):
        return "karpathy"
    lists = [value for value in content.values() if isinstance(value, list)]
    texts = [value for values in lists for value in values]
    if lists and len(lists) == len(content) and all(isinstance(value, str) for value in lists[0]):
        # lists of class names have no sentence in them
        return "msvd" if any(isinstance(value, str) and " " in value.strip() for value in texts) else ""
    return ""


def _split_in(name: str) -> str:
    """Return the split that a COCO file's name has as a word or begins one with: `captions_val2014`, `testset`."""
    for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name):
        if known := SPLIT_NAMES.get(word.lower()):
            return known
        for split in (*SPLITS, "minival"):
            if word.lower().startswith(split):
                return split.removeprefix("mini")
    return "train"


def _has_captions(content: dict[str, Any]) -> bool:
    """Whether a file with COCO annotations has captions, not boxes or keypoints."""
    annotations = content["annotations"]
    return isinstance(annotations, list) and any(isinstance(one, dict) and "caption" in one for one in annotations[:20])


def _coco(file: Path, content: Any, rows: CaptionRows, problems: Problems) -> None:
    """A file's split is the one in its name (`captions_train2014.json`), else `train`."""
    split = _split_in(file.stem)
    known = {}
    for place, image in _entries(file, content, "images", "image", ("id", "file_name"), problems):
        key = str(image["id"])
        if key in known:
            problems.add(place, f"image {key} is there twice; keep one")
        else:
            known[key] = rows.declare(key, str(image["file_name"]), split, place)
    for place, entry in _entries(file, content, "annotations", "annotation", ("image_id", "caption"), problems):
        key = str(entry["image_id"])
        if key not in known:
            problems.add(place, f"its image {key} is not under 'images'")
        elif known[key]:
            rows.add(key, entry["caption"], place)


def _karpathy(file: Path, content: Any, rows: CaptionRows, problems: Problems) -> None:
    """His `restval` is training data, as in the papers."""
    for place, image in _entries(file, content, "images", "image", ("filename", "split", "sentences"), problems):
        name = str(Path(str(image.get("filepath", "")), str(image["filename"])))
        if (split := _split(image["split"], place, problems)) is None:
            continue
        key = str(image.get("cocoid", image.get("imgid", name)))
        sentences = image["sentences"]
        if not isinstance(sentences, list):
            problems.add(place, "'sentences' is no list")
        elif rows.declare(key, name, split, place):
            for number, sentence in enumerate(sentences):
                where = f"{place} sentence {number}"
                if not isinstance(sentence, dict) or "raw" not in sentence:
                    problems.add(where, "no 'raw'")
                else:
                    rows.add(key, sentence["raw"], where)


def _msr_vtt(file: Path, content: Any, rows: CaptionRows, problems: Problems) -> None:
    """MSVD comes in this form, too. The videos are the cut ones, so the times in the list are not used."""
    for place, video in _entries(file, content, "videos", "video", ("video_id", "split"), problems):
        if (split := _split(video["split"], place, problems)) is not None:
            rows.declare(str(video["video_id"]), str(video["video_id"]), split, place)
    for place, sentence in _entries(file, content, "sentences", "sentence", ("video_id", "caption"), problems):
        key = str(sentence["video_id"])
        if key in rows:
            rows.add(key, sentence["caption"], place)
        else:
            problems.add(place, f"its video {key} is not under 'videos'")


def _msvd(file: Path, content: Any, rows: CaptionRows, problems: Problems) -> None:
    """`train_list.txt`, `val_list.txt` and `test_list.txt` give the splits; without them all is in `train`."""
    lists = {split: file.parent / f"{split}_list.txt" for split in SPLITS}
    listed: dict[str, tuple[str, str]] = {}
    for split, path in lists.items():
        for line, text in enumerate(read_text(path).splitlines(), start=1) if path.is_file() else ():
            name = text.strip()
            if name in listed and listed[name][0] != split:
                problems.add(
                    f"{path.name} line {line}",
                    f"{name} is in {split} here, but in {listed[name][0]} in {listed[name][1]}",
                )
            elif name:
                listed[name] = (split, f"{path.name} line {line}")
    for name, sentences in content.items():
        place = f"{file.name} {name!r}"
        if listed and name not in listed:
            problems.add(place, "in none of train_list.txt, val_list.txt and test_list.txt")
        elif not isinstance(sentences, list):
            problems.add(place, "no list of sentences")
        elif rows.declare(name, name, listed[name][0] if listed else "train", place):
            for number, sentence in enumerate(sentences):
                rows.add(name, sentence, f"{place} sentence {number}")


def _entries(
    file: Path, content: dict[str, Any], name: str, one: str, keys: tuple[str, ...], problems: Problems
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield place and entry of a list in a file, those that have all keys; note what is wrong with the others."""
    entries = content.get(name)
    if not isinstance(entries, list):
        problems.add(file.name, f"no list {name!r}; found {', '.join(map(repr, list(content)[:6]))}")
        return
    for number, entry in enumerate(entries):
        place = f"{file.name} {one} {number}"
        if not isinstance(entry, dict):
            problems.add(place, f"{entry!r:.40} is no object")
        elif missing := [key for key in keys if key not in entry]:
            problems.add(place, f"no {missing[0]!r}")
        else:
            yield place, entry


def _split(text: Any, place: str, problems: Problems) -> str | None:
    try:
        return split_of(str(text))
    except DataError as exc:
        problems.add(place, str(exc))
        return None


COCO = JSONLists("coco", _coco)
"""An object with `annotations` that have captions."""
KARPATHY = JSONLists("karpathy", _karpathy)
"""`images` with `sentences`: Karpathy's splits of Flickr8k, Flickr30k or COCO."""
MSR_VTT = JSONLists("msr-vtt", _msr_vtt, by_stem=True)
"""`videos` and `sentences`."""
MSVD = JSONLists("msvd", _msvd, by_stem=True)
"""`{video: [sentence, ...]}`."""
