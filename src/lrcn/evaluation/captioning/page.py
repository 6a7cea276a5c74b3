"""One HTML file that shows pictures beside their captions, references and scores: the best, the worst, and some drawn.

Everything is in the file: it can be sent to somebody. No script, and every text is escaped.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lrcn.errors import MediaError
from lrcn.evaluation.thumbnails import data_address, frames_between
from lrcn.files import write_text

NUM_SHOWN = 40
"""Examples in each of the three parts."""

THUMBNAIL_PX = 160
VIDEO_FRAMES = 3

_STYLE = """
body { font: 16px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem;
  color: #1c1c1c; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
nav a { margin-right: 1rem; }
table { border-collapse: collapse; } td, th { text-align: left; padding: 0.1rem 1rem 0.1rem 0; font-weight: normal; }
article { display: flex; gap: 1rem; padding: 0.8rem 0; border-top: 1px solid #ddd; }
article > div:first-child { flex: none; width: 20rem; } article > div:last-child { min-width: 0; }
img { max-width: 100%; height: auto; display: block; }
.caption { font-weight: 600; font-size: 1.1rem; overflow-wrap: anywhere; }
.other, .path, .scores { color: #555; font-size: 0.9rem; overflow-wrap: anywhere; }
ul { margin: 0.3rem 0; padding-left: 1.2rem; }
@media (max-width: 40rem) { article { display: block; } article > div:first-child { width: auto; } }
@media (prefers-color-scheme: dark) { body { color: #e6e6e6; background: #161616; }
  article { border-color: #333; } .other, .path, .scores { color: #aaa; } a { color: #8ab4f8; } }
"""


@dataclass(frozen=True)
class PageItem:
    """One example on the page."""

    path: str
    start_s: float
    end_s: float | None
    caption: str
    others: Mapping[str, str]
    """Captions from elsewhere, by who said them."""
    references: Sequence[str]
    scores: Mapping[str, float]


def write_page(
    path: Path, title: str, headline: Mapping[str, float], items: Sequence[PageItem], *, order_by: str
) -> None:
    """Write the page.

    Args:
        path: The `.html` file.
        title: What was evaluated.
        headline: Scores of the whole, by name.
        items: All examples.
        order_by: The score that makes an example good or bad.
    """
    ordered = sorted(items, key=lambda item: -item.scores[order_by])
    # by a hash of the name, not by luck: the same on every machine, and nobody's choice
    drawn = sorted(items, key=_draw)
    parts = {
        "best": ("Best", ordered[:NUM_SHOWN]),
        "worst": ("Worst", ordered[::-1][:NUM_SHOWN]),
        "drawn": ("Drawn at random", drawn[:NUM_SHOWN]),
    }
    thumbnails: dict[tuple[str, float, float | None], str] = {}
    body = [f"<h1>{html.escape(title)}</h1>", f"<p>{len(items)} examples, ordered by {_name(order_by)}.</p>"]
    rows = "".join(f"<tr><th>{_name(name)}</th><td>{score:.3f}</td></tr>" for name, score in headline.items())
    body.append(f"<table>{rows}</table>")
    links = "".join(f'<a href="#{key}">{name}</a>' for key, (name, _) in parts.items())
    body.append(f"<nav>{links}</nav>")
    for key, (name, shown) in parts.items():
        body.append(f'<section id="{key}"><h2>{name}</h2>')
        for item in shown:
            place = (item.path, item.start_s, item.end_s)
            if place not in thumbnails:
                thumbnails[place] = _thumbnail(item)
            body.append(_article(item, thumbnails[place]))
        body.append("</section>")
    text = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )
    write_text(path, text)


def _draw(item: PageItem) -> bytes:
    name = f"{Path(item.path).name}{item.start_s}"
    return hashlib.sha256(name.encode(errors="surrogatepass")).digest()


def _article(item: PageItem, thumbnail: str) -> str:
    time = f" {item.start_s:g}-{item.end_s:g} s" if item.end_s is not None else ""
    if item.end_s is None and item.start_s:
        time = f" from {item.start_s:g} s"
    name = html.escape(f"{item.path}{time}")
    picture = f'<img src="{thumbnail}" alt="{name}">' if thumbnail else "<p>(no picture)</p>"
    references = "".join(f"<li>{html.escape(text)}</li>" for text in item.references)
    others = "".join(
        f'<div class="other">{html.escape(who)}: {html.escape(text)}</div>' for who, text in item.others.items()
    )
    scores = " · ".join(f"{_name(name)} {score:.2f}" for name, score in item.scores.items())
    return (
        f'<article><div>{picture}</div><div><div class="caption">{html.escape(item.caption) or "(nothing)"}</div>'
        f'<ul class="references">{references}</ul>{others}<div class="scores">{scores}</div>'
        f'<div class="path">{name}</div></div></article>'
    )


def _thumbnail(item: PageItem) -> str:
    """Return the picture, or three frames of the video, as a data address; empty where there is none."""
    try:
        frames = frames_between(Path(item.path), item.start_s, item.end_s, VIDEO_FRAMES, THUMBNAIL_PX)
    except MediaError:
        return ""
    return data_address(np.concatenate(frames, axis=1))


def _name(score: str) -> str:
    names = {"rouge_l": "ROUGE-L", "cider": "CIDEr", "cider_d": "CIDEr-D", "meteor": "METEOR", "exact": "exact"}
    return names.get(score, score.upper().replace("_", "-"))
