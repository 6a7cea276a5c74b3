"""Label tracks as Audacity 2 and 3 exports them: lines of start, end and label, between tabs, without a header.

The recording is the video that is called like the file; labels without length are point events. Lines that begin with a
backslash hold frequencies, and are passed over. Nothing says that all was gone through: only the bouts are known.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from lrcn.annotations.reading import Log, ReadOptions, checked, in_order, looked_at, seconds
from lrcn.annotations.text_files import head_of, read_text
from lrcn.bouts import WHOLE, Annotations, Bout, Recording
from lrcn.errors import DataError

_SUFFIXES = (".txt", ".tsv", ".tab", ".labels")


def detect_label_track(path: Path) -> bool:
    """Whether a file is called like a text, and its first line is two times and a label."""
    if path.suffix.lower() not in _SUFFIXES:
        return False
    lines = [line for line in head_of(path).splitlines() if line.strip() and not line.startswith("\\")]
    cells = lines[0].split("\t") if lines else []
    try:
        return len(cells) >= 2 and all(seconds(cell) is not None for cell in cells[:2])
    except DataError:
        return False


def read_label_track(path: Path, options: ReadOptions) -> Annotations:
    """Read a file line by line.

    Raises:
        DataError: If it cannot be read.
    """
    log = Log(path.name)
    bouts: list[Bout] = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip() or line.startswith("\\"):
            continue
        log.num_events += 1
        cells = line.split("\t", 2)
        try:
            if len(cells) < 2:
                raise DataError(f"{line.strip()!r} should be start, end and label between tabs")
            start_s, end_s = checked(cells[0], cells[1])
            label = cells[2].strip() if len(cells) > 2 else ""
            if not label:
                raise DataError("the label is empty; name the behaviour")
        except DataError as exc:
            log.skip(f"line {number}", str(exc))
            continue
        bouts.append(Bout(label, start_s, end_s))
    video = options.media.find(path.stem, partial(log.warn, ""))
    seen = looked_at(None, options.looked_at, unknown=WHOLE if log.skipped else ())
    return log.annotations([Recording(path.stem, video, in_order(bouts), seen)])
