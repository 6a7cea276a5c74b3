"""Sentences alone, for a language model to start from."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lrcn.data.captioning.examples import CaptionData, CaptionExample, CaptionReadOptions
from lrcn.data.captioning.flickr import detect_flickr
from lrcn.data.csv_table import read_text
from lrcn.errors import DataError
from lrcn.text.tokenise import tokenise

VAL_SHARE = 20
"""One sentence in so many is held out for validation."""


def detect_sentences(path: Path) -> bool:
    """Whether this is a text file, and none that names a photograph in each line."""
    return path.is_file() and path.suffix.lower() == ".txt" and not detect_flickr(path)


def read_sentences(path: Path, options: CaptionReadOptions) -> CaptionData:
    """Return the sentences of a text file, one a line; those of equal words always lie in the same split.

    Raises:
        DataError: If it cannot be read or holds no sentence, or pictures are needed.
    """
    if options.need_files:
        raise DataError(f"{path}: sentences without pictures; they go with --objective sentences only")
    lines = [line.strip() for line in read_text(path).splitlines()]
    examples = tuple(
        CaptionExample(path, (line,), _split(" ".join(tokenise(line))), key=str(number))
        for number, line in enumerate(lines, start=1)
        if line
    )
    if not examples:
        raise DataError(f"{path}: no sentence in it; expected one a line")
    return CaptionData(examples, path.name)


def _split(words: str) -> str:
    digest = hashlib.sha256(words.encode()).digest()
    return "train" if int.from_bytes(digest[:4], "big") % VAL_SHARE else "val"
