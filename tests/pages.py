"""The blocks of a page of documentation, and how its commands and Python are run: in order, in the folder of today."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrcn.cli import main, make_app
from lrcn.cli.numbers import join_numbers

ROOT = Path(__file__).parent.parent

NOT_RUN = "# not run by the tests: "
"""First line of a block that is not run; the reason follows."""

PROGRAMS = ("lrcn", "python", "python3", "pip", "make", "curl", "docker", "torchrun", "srun", "sbatch", "hf", "ray")
"""What a line of a command begins with."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    """Of its first fence."""
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def not_run(self) -> str:
        """Why it is not run; empty where it is."""
        first = self.text.split("\n", 1)[0]
        return first.removeprefix(NOT_RUN).strip() if first.startswith(NOT_RUN) else ""

    def commands(self) -> list[list[str]]:
        """Return its commands, split into words; a line that ends with a backslash goes on in the next."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [words for line in lines if (words := shlex.split(line, comments=True))]


def blocks_of(path: Path) -> list[Block]:
    """Return the fenced blocks of a Markdown file."""
    name = path.relative_to(ROOT / "docs").as_posix() if (ROOT / "docs") in path.parents else path.name
    blocks, start, language, inside = [], 0, "", []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.startswith("```"):
            inside.append(line)
        elif not start:
            start, language, inside = number, line[3:].strip(), []
        else:
            blocks.append(Block(name, start, language, "\n".join(inside) + "\n"))
            start = 0
    assert not start, f"{path}: the block at line {start} has no end"
    return blocks


def inline_commands(path: Path) -> list[list[str]]:
    """Return the words of each `lrcn ...` in the running text."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`(lrcn [a-z-][^`]*)`", text)
    return [span.split() for span in spans]


def run_page(blocks: Sequence[Block], more: Mapping[str, str], names: Mapping[str, Any]) -> None:
    """Run the commands and the Python of a page.

    Args:
        blocks: Those of the page.
        more: Flags that a command gets besides, the first of those whose pattern is in it: sizes for a second.
        names: What its Python takes for granted.
    """
    known: dict[str, Any] = dict(names)
    for block in blocks:
        if block.language == "sh":
            for words in block.commands():
                check_command(words, block)
                if not block.not_run:
                    assert words[0] == "lrcn", f"{block.place}: {words[0]} is not run here; mark the block"
                    line = shlex.join(words)
                    extra = next((flags for part, flags in more.items() if re.search(part, line)), "")
                    assert main([*words[1:], *shlex.split(extra)]) == 0, f"{block.place}: {line}"
        elif block.language == "python":
            code = compile(block.text, block.place, "exec")
            if not block.not_run:
                exec(code, known)


def check_command(words: Sequence[str], block: Block) -> None:
    """Make sure that a command could be run: its program, flags and files of this repository are there."""
    assert words[0] in PROGRAMS, f"{block.place}: {words[0]!r} is no program of these pages"
    if words[0] == "lrcn":
        make_app().parse_args(join_numbers(list(words[1:])))
    elif words[0].startswith("python"):
        place = f"{words[2].replace('.', '/')}" if words[1] == "-m" else words[1].removesuffix(".py")
        places = (ROOT / f"{place}.py", ROOT / place / "__main__.py", ROOT / "src" / place / "__main__.py")
        assert any(found.is_file() for found in places), f"{block.place}: there is no {words[1:3]}"
