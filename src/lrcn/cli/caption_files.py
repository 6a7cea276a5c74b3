"""Captions as files: a table, COCO results, subtitles."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from lrcn.files import replacing, replacing_table, write_json
from lrcn.results import CaptionResult, CaptionSegment

CSV_COLUMNS = ("source", "start_s", "end_s", "caption", "log_prob", "rank")

_COCO_NAME = re.compile(r"(?:.*_)?(\d{12})|(\d+)")


def write_csv(path: Path, results: Sequence[CaptionResult]) -> None:
    """Write a row for each caption: first those of the whole, then those of the parts of a long video."""
    with replacing_table(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CSV_COLUMNS)
        for result in results:
            whole = CaptionSegment(0.0, result.duration_s, result.captions)
            for part in (whole, *result.segments):
                for rank, caption in enumerate(part.captions, start=1):
                    writer.writerow(
                        (result.source, part.start_s, part.end_s, caption.text, f"{caption.log_prob:.6g}", rank)
                    )


def coco_image_id(source: str) -> int | str:
    """Return the number in a name such as `COCO_val2014_000000391895.jpg` or `12.png`, else the name itself."""
    stem = Path(source).stem
    match = _COCO_NAME.fullmatch(stem)
    return int(match[1] or match[2]) if match else stem


def write_coco(path: Path, results: Sequence[CaptionResult]) -> None:
    """Write what the COCO caption server takes: `[{"image_id": ..., "caption": ...}, ...]`."""
    entries = [{"image_id": coco_image_id(result.source), "caption": result.text} for result in results]
    write_json(path, entries)


def write_subtitles(path: Path, result: CaptionResult) -> None:
    """Write a video's captions as SubRip (`.srt`) or WebVTT (`.vtt`), by the suffix; a short video is one cue."""
    is_vtt = path.suffix == ".vtt"
    parts = result.segments or (CaptionSegment(0.0, result.duration_s, result.captions),)
    mark = "." if is_vtt else ","
    cues = []
    for number, part in enumerate(parts, start=1):
        # "-->" would end a WebVTT cue's text, and & and < begin its markup; players of SubRip read < likewise
        text = part.captions[0].text.replace("-->", "→").replace("&", "&amp;" if is_vtt else "&")
        text = text.replace("<", "&lt;" if is_vtt else "(").replace(">", "&gt;" if is_vtt else ")")
        cues.append(f"{number}\n{_clock(part.start_s, mark)} --> {_clock(part.end_s, mark)}\n{text}\n")
    with replacing(path) as unfinished:
        unfinished.write_text("\n".join([*(["WEBVTT\n"] if is_vtt else []), *cues]), encoding="utf-8")


def _clock(time_s: float, mark: str) -> str:
    milliseconds = round(1000 * time_s)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    seconds, milliseconds = divmod(milliseconds, 1000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}{mark}{milliseconds:03d}"
