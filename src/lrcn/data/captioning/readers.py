"""Read a caption data set: whatever its layout, into examples with captions and splits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lrcn.data.captioning.annotation_csv import detect_captions_csv, read_captions_csv
from lrcn.data.captioning.examples import CaptionData, CaptionExample, CaptionReadOptions
from lrcn.data.captioning.flickr import detect_flickr, read_flickr
from lrcn.data.captioning.json_lists import COCO, KARPATHY, MSR_VTT, MSVD, forget_json, why_no_captions
from lrcn.data.captioning.sentences import detect_sentences, read_sentences
from lrcn.data.formats import add_reader, recognised
from lrcn.errors import ConfigError, DataError, lookup

__all__ = [
    "READERS",
    "CaptionData",
    "CaptionExample",
    "CaptionReadOptions",
    "CaptionReader",
    "holds_captions",
    "read_caption_data",
    "register_caption_reader",
]


@dataclass(frozen=True)
class CaptionReader:
    """How one layout of a caption data set is recognised and read."""

    detect: Callable[[Path], bool]
    """Whether the path, a folder or a file, looks like this layout."""
    read: Callable[[Path, CaptionReadOptions], CaptionData]
    """Raises `DataError` for what is wrong. `val` may be left empty: it is made afterwards."""


READERS: dict[str, CaptionReader] = {
    "captions-csv": CaptionReader(detect_captions_csv, read_captions_csv),
    "coco-captions": CaptionReader(COCO.detect, COCO.read),
    "karpathy": CaptionReader(KARPATHY.detect, KARPATHY.read),
    "msr-vtt": CaptionReader(MSR_VTT.detect, MSR_VTT.read),
    "msvd": CaptionReader(MSVD.detect, MSVD.read),
    "flickr": CaptionReader(detect_flickr, read_flickr),
    "sentences": CaptionReader(detect_sentences, read_sentences),
}
"""Layout -> reader. Registered ones go first; a path that two of ours recognise is refused: its files may disagree."""

_OWN = frozenset(READERS)


def register_caption_reader(name: str, reader: CaptionReader) -> None:
    """Add a layout, so that `read_caption_data` and the command line know it; it is asked before ours.

    Raises:
        ConfigError: If the name is taken.
    """
    add_reader(READERS, name, reader, kind="caption format")


def holds_captions(path: str | Path, format: str = "auto") -> bool:
    """Whether this is a caption data set, as far as a look at its files tells.

    Raises:
        DataError: If it is a file that cannot be read.
    """
    if format != "auto":
        return format in READERS
    try:
        return any(reader.detect(Path(path)) for reader in READERS.values())
    except (OSError, DataError):
        if Path(path).is_file():
            raise
        return False
    finally:
        forget_json()


def read_caption_data(
    path: str | Path,
    *,
    format: str = "auto",
    val_fraction: float = 0.2,
    seed: int = 0,
    skip_missing: bool = False,
    need_files: bool = True,
) -> CaptionData:
    """Return the examples of a caption data set, checked: files exist, captions hold words, splits make sense.

    Where there is a `train` split and no `val`, part of `train` becomes `val`; parts of one video stay together.
    `test` is never made, nor touched.

    Args:
        path: A folder, a JSON or a CSV file.
        format: A key of `READERS`, or `auto` for the one that recognises the path.
        val_fraction: Share of the training files that becomes `val` where it is missing; 0 for none.
        seed: Which ones.
        skip_missing: Leave out listed files that are not there, and rows that cannot be used, with a warning.
        need_files: Whether the pictures and videos must be there; not where ready vectors stand in for them.

    Raises:
        DataError: If nothing is recognised, two layouts are, or rows are bad (`problems` holds them all).
        UnknownNameError: If `format` is none of `READERS`.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such folder or captions file; check how it is spelt")
    if not 0 <= val_fraction < 1:
        raise ConfigError(f"val_fraction must be in [0, 1), got {val_fraction}")
    try:
        reader = lookup(READERS, _recognised(path) if format == "auto" else format, kind="caption format")
        data = reader.read(path, CaptionReadOptions(skip_missing=skip_missing, need_files=need_files))
    except OSError as exc:
        raise DataError(f"{exc.filename or path}: cannot be read: {exc.strerror or exc}") from exc
    finally:
        forget_json()
    splits = {example.split for example in data.examples}
    if "train" in splits and "val" not in splits and val_fraction:
        return replace(data, examples=_divide_train(data.examples, val_fraction, seed))
    return data


def _recognised(path: Path) -> str:
    if name := recognised(path, READERS, _OWN):
        return name
    if path.is_file() and path.suffix.lower() == ".json":
        raise DataError(why_no_captions(path))
    raise DataError(
        f"{path}: no captions recognised here; write captions.csv (path,caption,split), or give one of: "
        f"{', '.join(READERS)}"
    )


def _divide_train(examples: Sequence[CaptionExample], val_fraction: float, seed: int) -> tuple[CaptionExample, ...]:
    """Move a share of the training files to `val`, chosen by a hash of their keys: the same on every machine."""
    groups: dict[Path, str] = {}
    for example in examples:
        if example.split == "train":
            groups.setdefault(example.path, example.key)
    order = sorted(
        groups, key=lambda path: hashlib.sha256(f"{seed}/{groups[path]}".encode(errors="surrogatepass")).digest()
    )
    num_val = min(max(1, round(val_fraction * len(order))), len(order) - 1)
    chosen = set(order[:num_val])
    return tuple(
        replace(example, split="val") if example.split == "train" and example.path in chosen else example
        for example in examples
    )
