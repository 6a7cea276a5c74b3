"""Flickr8k and Flickr30k as they are handed around: one text file of sentences beside a folder of photographs.

Three forms of a row: `a.jpg#0<tab>sentence` (the makers' `*.token` and `*.token.txt`), `image,caption` (`captions.txt`)
and `a.jpg| 0| sentence` (`results.csv`).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from lrcn.data.captioning.examples import CaptionData, CaptionReadOptions
from lrcn.data.captioning.rows import CaptionRows
from lrcn.data.csv_table import read_text
from lrcn.data.named_files import NamedFiles
from lrcn.data.problems import Problems
from lrcn.data.splits import split_of
from lrcn.errors import DataError

_FILES = ("*.token.txt", "*.token", "captions.txt", "results.csv")
_SPLIT_LISTS = re.compile(r"flickr_?(?:8|30)k[._](train|dev|val|test)images\.txt", re.IGNORECASE)

_TOKEN_ROW = re.compile(r"(?P<name>[^\t]+?)#\d+\t(?P<caption>.*)")
_BAR_ROW = re.compile(
    r"(?P<name>[^|]+?)\s*\|\s*\d+\s*\|?\s*(?P<caption>.*)"
)  # one row of Flickr30k lacks its second bar
_COMMA_HEAD, _BAR_HEAD = (
    re.compile(r"image\s*,\s*caption"),
    re.compile(r"image_name\s*\|\s*comment_number\s*\|\s*comment"),
)


def detect_flickr(path: Path) -> bool:
    """Whether this is such a text file, or a folder with one."""
    return _captions_file(path) is not None


def read_flickr(path: Path, options: CaptionReadOptions) -> CaptionData:
    """Read the sentences; the photographs lie anywhere below, and so do the makers' lists of the splits, if at all.

    Without those lists everything is in `train`; a photograph that they leave out is left out.

    Raises:
        DataError: If rows are bad; `problems` holds them all.
    """
    file = _captions_file(path)
    if file is None:
        raise DataError(f"{path}: no sentences of Flickr8k or Flickr30k here")
    problems = Problems(options.skip_missing)
    splits = _splits(file.parent)
    rows = CaptionRows(problems)
    unlisted = set()
    for line, name, caption in _rows(file, problems):
        place = f"{file.name} line {line}"
        split = splits.get(name) if splits else "train"
        if split is None:
            unlisted.add(name)
        elif rows.declare(name, name, split, place):
            rows.add(name, caption, place)
    files = NamedFiles(file.parent, problems, need_files=options.need_files)
    examples, warnings = rows.examples(files.by_name)
    warnings += problems.check(len(examples), file, "photograph")
    if unlisted:
        warnings += (f"{len(unlisted)} photographs are in none of the splits' lists and left out",)
    return CaptionData(tuple(examples), path.resolve().name, warnings)


def _captions_file(path: Path) -> Path | None:
    files = [path] if path.is_file() else [file for pattern in _FILES for file in sorted(path.glob(pattern))]
    return next((file for file in files if file.suffix.lower() in (".txt", ".csv", ".token") and _has_form(file)), None)


def _has_form(file: Path) -> bool:
    with file.open("rb") as opened:
        first = opened.read(2000).decode("utf-8-sig", errors="replace").strip().split("\n", 1)[0].strip()
    lower = first.lower()
    return bool(_TOKEN_ROW.fullmatch(first) or _COMMA_HEAD.fullmatch(lower) or _BAR_HEAD.fullmatch(lower))


def _rows(file: Path, problems: Problems) -> Iterator[tuple[int, str, str]]:
    """Yield line number, photograph and sentence."""
    lines = read_text(file).splitlines()
    head = lines[0].strip().lower()
    if _COMMA_HEAD.fullmatch(head):
        reader = csv.reader(lines[1:])
        for cells in reader:
            if len(cells) >= 2:
                yield reader.line_num + 1, cells[0].strip(), ",".join(cells[1:])  # commas of sentences without quotes
            elif cells:
                problems.add(f"{file.name} line {reader.line_num + 1}", "expected image,caption")
        return
    form, first = (_BAR_ROW, 1) if _BAR_HEAD.fullmatch(head) else (_TOKEN_ROW, 0)
    for number, line in enumerate(lines[first:], first + 1):
        if match := form.fullmatch(line.strip()):
            yield number, match["name"].strip(), match["caption"]
        elif line.strip():
            problems.add(f"{file.name} line {number}", f"{line.strip()[:60]!r} names no photograph and sentence")


def _splits(folder: Path) -> dict[str, str]:
    """Return the split of each photograph, by the makers' lists; empty where there are none."""
    splits: dict[str, str] = {}
    for file in sorted(folder.rglob("*.txt")):
        if match := _SPLIT_LISTS.fullmatch(file.name):
            names = read_text(file).split()
            splits |= dict.fromkeys(names, split_of(match[1]))
    return splits
