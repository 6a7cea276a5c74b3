from __future__ import annotations

import base64
import html
import io
import json
import re
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from tests.conftest import CHROMIUM_FLAGS, MakeClip, textured_frames
from tests.evaluation.recognition.annotated import write_recordings

from lrcn.evaluation.recognition.comparing import compare
from lrcn.evaluation.recognition.page import write_clips_page, write_recordings_page
from lrcn.evaluation.recognition.recordings import evaluate_recordings
from lrcn.evaluation.recognition.report import FailedVideo, evaluate_recognition
from lrcn.inference.recognition.predictor import Recognizer

EVIL = """"><img src=x onerror="document.body.textContent='hacked'"><script>document.title='hacked'</script>"""


class Page(HTMLParser):
    """What a page holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.unbalanced = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("img", "meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.unbalanced |= not self.open or self.open.pop() != tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def pages(tiny_model: Path, make_clip: MakeClip, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One page of recordings and one of clips, both with a class whose name is an attack."""
    folder = tmp_path_factory.mktemp("pages")
    loaded = Recognizer.load(tiny_model, device="cpu")
    rec = Recognizer(replace(loaded.header, labels=("walk", "wave", EVIL)), loaded.runtime, name=EVIL)
    annotations = write_recordings(folder, make_clip)
    annotations.write_text(annotations.read_text().replace(",jump,", f',"{EVIL.replace(chr(34), 2 * chr(34))}",'))
    report = replace(
        evaluate_recordings(rec, annotations), data=EVIL, failures=(FailedVideo("x.avi", EVIL),), warnings=(EVIL,)
    )
    write_recordings_page(folder / "recordings.html", report, rec, compare(report, report))

    rows = ["path,label,split"]
    for number in range(6):
        make_clip(folder / f"{number}.avi", textured_frames(9, 40, 56, seed=number), 10)
        rows.append(f"{number}.avi,{('walk', 'wave')[number % 2]},test")
    (folder / "annotations.csv").write_text("\n".join(rows) + "\n")
    clips = evaluate_recognition(rec, folder)
    clips = replace(clips, data=EVIL)
    write_clips_page(folder / "clips.html", clips, rec, compare(clips, clips))
    return {"recordings": folder / "recordings.html", "clips": folder / "clips.html"}


SECTIONS = {
    "recordings": ["scores", "compared", "timelines", "classes", "confusion", "reliability", "recordings", "budget",
                   "errors", "looks"],
    "clips": ["scores", "compared", "classes", "confusion", "reliability", "errors", "looks"],
}  # fmt: skip


@pytest.mark.parametrize("kind", ["recordings", "clips"])
def test_a_page_is_whole_and_asks_for_nothing(pages: dict[str, Path], kind: str) -> None:
    text = pages[kind].read_text(encoding="utf-8")
    page = Page(text)
    assert not page.unbalanced
    assert page.open == []
    assert text.lstrip().startswith("<!doctype html>")
    assert [section["id"] for section in page.named("section")] == SECTIONS[kind]
    assert [link["href"] for link in page.named("a")] == [f"#{name}" for name in SECTIONS[kind]]
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    assert not re.search(r"url\(|@import|https?://", text)
    images = page.named("img")
    assert images
    for image in images:
        kind_of, _, content = (image["src"] or "").partition(",")
        assert kind_of == "data:image/jpeg;base64"
        assert Image.open(io.BytesIO(base64.b64decode(content))).size[0] > 100
        assert image["alt"]
    assert all(one.get("aria-label") for one in page.named("svg") if one.get("role") == "img")
    assert sum(text.count(name) for name in ("prefers-color-scheme: dark", "viewport")) == 2
    assert EVIL not in text
    assert html.escape(EVIL) in text.replace("&#34;", "&quot;").replace("&#39;", "&#x27;")


def test_a_timeline_has_a_row_for_each_behaviour_and_says_it_in_words(pages: dict[str, Path]) -> None:
    page = Page(pages["recordings"].read_text(encoding="utf-8"))
    told = [one["aria-label"] or "" for one in page.named("svg") if one.get("class") == "row"]
    assert len(told) == 6
    assert told[0].startswith("walk: annotated 1 bout, 1.5 s; predicted ")
    assert told[1].startswith("wave: annotated 1 bout, 2.1 s; predicted ")


MEASURE = """<!doctype html><body><iframe style="border: 0" width="{width}" height="900" srcdoc="{page}"></iframe>
<script>addEventListener("load", () => {{
  const {{contentWindow: inner, contentDocument: page}} = document.querySelector("iframe");
  const images = [...page.images], fetched = inner.performance.getEntriesByType("resource").map(one => one.name);
  const found = {{
    width: inner.innerWidth, scroll: page.documentElement.scrollWidth, images: images.length,
    shown: images.filter(one => one.complete && one.naturalWidth > 0).length,
    fetched: fetched.filter(name => !name.startsWith("data:")), hacked: page.title.startsWith("hacked"),
  }};
  document.body.textContent = JSON.stringify(found);
}});</script>"""
"""In a frame, for no window is as narrow as a phone."""


@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("kind", ["recordings", "clips"])
def test_a_browser_shows_all_of_it_without_scrolling_sideways(
    pages: dict[str, Path], kind: str, width: int, chromium: str, tmp_path: Path
) -> None:
    """The script that measures is the test's own; the page has none."""
    text = MEASURE.format(width=width, page=html.escape(pages[kind].read_text(encoding="utf-8")))
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    shown = subprocess.run(
        [chromium, "--headless", *CHROMIUM_FLAGS, "--hide-scrollbars", f"--user-data-dir={tmp_path / 'profile'}",
         "--window-size=1500,900", "--dump-dom", (tmp_path / "page.html").as_uri()],
        capture_output=True, text=True, timeout=300, check=True,
    ).stdout  # fmt: skip
    body = re.search(r"<body[^>]*>(\{.*\})</body>", shown, flags=re.DOTALL)
    assert body is not None, shown[-500:]
    found = json.loads(html.unescape(body[1]))
    assert found["width"] == width
    assert found["scroll"] <= width
    assert found["images"] == found["shown"] > 2
    assert found["fetched"] == []
    assert not found["hacked"]
