"""What MkDocs builds beside `docs/`: the project's own pages, and the notebook as a page (`hooks` in mkdocs.yml)."""

from __future__ import annotations

import json
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
NOTEBOOK = "ten-minutes.ipynb"
PAGES = {"README.md": "about.md", "CONTRIBUTING.md": "contributing.md", "SECURITY.md": "security.md"}
PAGES |= {"CHANGELOG.md": "changelog.md", "NOTICE": "notice.md"}
"""File beside `docs/` -> page of the site."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not files of `docs/`."""
    for name, place in PAGES.items():
        text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](").replace('src="docs/', 'src="')
        text = text if name.endswith(".md") else f"# {name.capitalize()}\n\n```\n{text}```\n"
        files.append(File.generated(config, place, content=_relinked(text, "")))
    notebook = json.loads((ROOT / "docs" / NOTEBOOK).read_text(encoding="utf-8"))
    files.append(File.generated(config, "ten-minutes.md", content=notebook_page(notebook)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Let links out of `docs/` lead to the pages made of those files."""
    return _relinked(markdown, "../")


def notebook_page(notebook: dict[str, list[dict[str, object]]]) -> str:
    """Return the cells of a notebook as Markdown, its code as blocks, below the title a line on where to get it."""
    cells = []
    for cell in notebook["cells"]:
        source = cell["source"]
        text = source if isinstance(source, str) else "".join(map(str, source))  # type: ignore[arg-type]
        cells.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    title, _, rest = "\n\n".join(cells).partition("\n")
    return f"{title}\n\nThis page is a notebook: [download it]({NOTEBOOK}).\n{rest}\n"


def _relinked(text: str, above: str) -> str:
    def page(link: re.Match[str]) -> str:
        return f"]({PAGES[link[1]]}" if link[1] in PAGES else link[0]

    return re.sub(rf"\]\({re.escape(above)}(\w+(?:\.md)?)(?=[)#])", page, text)
