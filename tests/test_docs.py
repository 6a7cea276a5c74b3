"""docs/ says what is so: every command and Python block of its pages runs, and the site is built without a fault."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image
from tests.conftest import MakeClip
from tests.page_inputs import camera, write_inputs
from tests.pages import NOT_RUN, PROGRAMS, ROOT, blocks_of, inline_commands, run_page
from tests.training.tiny_training import TINY

import lrcn
from lrcn.annotations.formats import FORMATS
from lrcn.cli import main
from lrcn.data.captioning.readers import READERS, read_caption_data
from lrcn.data.recognition.readers import READERS as CLIP_READERS
from lrcn.models.backbones import BACKBONES
from lrcn.models.heads import HEADS
from lrcn_sets.cli import main as sets_main

DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
NOTEBOOK = DOCS / "ten-minutes.ipynb"

RUN_ELSEWHERE: dict[str, str] = {
    "batch.md": "tests/batch/test_ray_pool.py",
    "serving.md": "tests/serving/test_server.py",
}
"""Pages whose blocks another test runs, because they need a server or the like -> that file."""

MARKED = {
    "behaviour.md": 1,
    "demo-page.md": 1,
    "export.md": 2,
    "index.md": 1,
    "model-files.md": 1,
    "reliability.md": 1,
    "reproduce-the-paper.md": 4,
    "results.md": 6,
    "scale.md": 1,
    "streaming.md": 1,
    "training.md": 4,
}
"""Blocks that are not run, each with its reason on the page. One more is a decision, not an accident."""

_TINY_CNN = f"--backbone {TINY} --backbone-weights none --layer '' --resize 36 --crop 32 --runtime torch --epochs 2"
SMALL = {
    "--stream vectors": "--epochs 2 --epoch-steps 1",
    "lrcn train recognition": f"{_TINY_CNN} --grid 3 --epoch-steps 1",
    "lrcn train captioning": f"{_TINY_CNN} --hidden-size 16",
}
"""What trainings get besides, so that they take a second."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, make_clip: MakeClip, tiny_model: Path) -> Path:
    return write_inputs(tmp_path_factory.mktemp("inputs"), make_clip, tiny_model)


@pytest.fixture
def tables() -> Iterator[None]:
    """What pages register is gone afterwards."""
    before: list[tuple[dict[str, Any], dict[str, Any]]] = [
        (table, dict(table)) for table in (BACKBONES, HEADS, CLIP_READERS, READERS, FORMATS)
    ]
    yield
    for table, rows in before:
        table.clear()
        table.update(rows)


@pytest.fixture
def workplace(inputs: Path, tables: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = shutil.copytree(inputs, tmp_path / "work")
    (place / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(place)
    monkeypatch.setenv("XDG_CACHE_HOME", str(inputs.parent / "cache of pages"))
    return place


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page not in RUN_ELSEWHERE])
def test_commands_and_python_of_a_page_run_in_order(page: str, workplace: Path) -> None:
    blocks = blocks_of(DOCS / page)
    for block in blocks:
        if block.language == "csv" and page == "sports.md":
            (workplace / "strokes.csv").write_text(block.text)
        trained = (
            [words for words in block.commands() if words[:2] == ["lrcn", "train"]] if block.language == "sh" else []
        )
        for words in trained:  # what a page makes itself is not there before
            shutil.rmtree(workplace / words[words.index("--output") + 1], ignore_errors=True)
    run_page(blocks, SMALL, {"camera": camera})


def test_a_command_stands_in_a_block_that_says_so() -> None:
    for page in PAGES:
        assert not re.search(r"^ +```", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE), (
            f"{page}: an indented block"
        )
        for block in blocks_of(DOCS / page):
            starts = {line.split(maxsplit=1)[0] for line in block.text.splitlines() if line.strip()}
            if block.language not in ("sh", "python"):
                assert not starts & set(PROGRAMS), f"{block.place}: begin it with ```sh"


def test_blocks_that_are_not_run_are_counted_and_say_why() -> None:
    marked = Counter(block.page for page in PAGES for block in blocks_of(DOCS / page) if block.not_run)
    assert {page: marked[page] for page in marked if page not in RUN_ELSEWHERE} == MARKED
    everywhere = sum((DOCS / page).read_text(encoding="utf-8").count(NOT_RUN.strip()) for page in PAGES)
    assert everywhere == marked.total(), "a mark without a reason, or not in the first line of its block"


@pytest.mark.parametrize("page", RUN_ELSEWHERE)
def test_a_page_whose_blocks_run_elsewhere_is_named_there(page: str) -> None:
    assert page in (ROOT / RUN_ELSEWHERE[page]).read_text(encoding="utf-8")


def test_flags_in_the_text_are_flags_of_their_commands(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    helps: dict[tuple[str, ...], str] = {}
    for page in PAGES:
        for words in inline_commands(DOCS / page):
            flags = [word.split("=")[0].rstrip(",.") for word in words if word.startswith("--") and word != "--help"]
            command = tuple(words[1 : 3 if words[1] in ("train", "data") else 2])
            if command not in helps:
                assert main([*command, "--help"]) == 0, (page, words)
                helps[command] = capsys.readouterr().out
            for flag in flags:
                assert re.search(rf"{re.escape(flag)}\b", helps[command]), f"{page}: {' '.join(words)}"


def test_a_figure_of_the_results_names_its_command() -> None:
    command = re.compile(
        r"(`|^)(lrcn (train|evaluate|recognize|ablate|export)|python (-m|scripts/)) ?\S+", re.MULTILINE
    )
    text = (DOCS / "results.md").read_text(encoding="utf-8")
    sections = [part for part in re.split(r"^(?=##+ )", text, flags=re.MULTILINE) if "\n|---" in part]
    without = [part.partition("\n")[0] for part in sections if not command.search(part)]
    excused = [part.partition("\n")[0] for part in sections if "*No command makes these" in part]
    assert len(sections) >= 12
    assert without == excused == ["## What is none of the classes"]


def test_the_reference_has_every_public_name_once() -> None:
    named = [
        name for page in PAGES for name in re.findall(r"^::: lrcn\.(\w+)$", (DOCS / page).read_text(), re.MULTILINE)
    ]
    assert sorted(named) == lrcn.__all__


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(place)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return place


def test_the_site_is_built_with_every_link_and_anchor(site: Path) -> None:
    for page in ("index", "own-clips", "api/recognition", "about", "contributing", "ten-minutes"):
        assert (site / f"{page}.html").is_file()
    assert "Recognizer" in (site / "search" / "search_index.js").read_text(encoding="utf-8")


def test_the_site_fetches_nothing_from_elsewhere(site: Path) -> None:
    fetched = re.compile(r"<(?:script|img|iframe|source|link)\b[^>]*?\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>")
    for path in site.rglob("*.html"):
        outside = [tag for tag in fetched.findall(path.read_text(encoding="utf-8")) if 'rel="canonical"' not in tag]
        assert outside == [], path
    for path in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import )[\"']?(https?:)?//", path.read_text(encoding="utf-8")), path


@pytest.mark.slow
def test_the_notebook_makes_clips_trains_looks_and_exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=500, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert "largest error against torch" in json.dumps(outputs)
    assert (tmp_path / "exported" / "lrcn-export.json").is_file()


def test_the_notebook_is_committed_without_outputs() -> None:
    cells = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    assert [(cell.outputs, cell.execution_count) for cell in cells] == [([], None)] * len(cells)


@pytest.mark.parametrize("layout", READERS)
def test_the_guide_to_captions_names_every_layout(layout: str) -> None:
    named = {"captions-csv": "captions.csv", "coco-captions": "COCO", "sentences": "sentences.txt"}
    assert named.get(layout, layout).lower() in (DOCS / "captioning.md").read_text(encoding="utf-8").lower()


def test_sets_that_the_guide_to_captions_names_have_a_command() -> None:
    names = re.findall(r"`python -m lrcn_sets (\S+) DIR`", (DOCS / "captioning.md").read_text(encoding="utf-8"))
    assert len(names) == 3
    for name in names:
        assert sets_main([name, "--help"]) == 0


def test_the_csv_of_the_guide_to_captions_is_read(tmp_path: Path) -> None:
    (example,) = [block.text for block in blocks_of(DOCS / "captioning.md") if block.language == "csv"]
    for name in ("001", "002"):
        (tmp_path / "beach").mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "beach" / f"{name}.jpg")
    (tmp_path / "captions.csv").write_text(example)
    data = read_caption_data(tmp_path, val_fraction=0)
    assert [len(example.captions) for example in data.examples] == [2, 1]
