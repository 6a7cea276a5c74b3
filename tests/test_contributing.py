"""CONTRIBUTING.md says what is so: the layers, the files on the walks, the tables of the rows, the place of tests."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SOURCES = (ROOT / "src" / "lrcn", ROOT / "src" / "lrcn_sets")

WHOLE = {"contributing", "docs", "docstrings", "extending", "platforms", "public_names", "readme", "real_clips"}
"""Test files of the package as a whole, which have no module."""


def test_the_layers_are_those_of_the_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (block,) = re.findall(r"^```\n(cli .*?)^```", GUIDE, flags=re.MULTILINE | re.DOTALL)
    stated = [re.split(r"  +", line)[0] for line in block.splitlines()]
    assert stated == contracts[0]["layers"]


def _places(pattern: str) -> list[str]:
    return sorted(set(re.findall(pattern, GUIDE)))


@pytest.mark.parametrize("place", _places(r"`([\w/]+(?:\.py|(?<!timm)/))`"))
def test_every_place_that_is_named_is_there(place: str) -> None:
    roots = [ROOT, *SOURCES, ROOT / "src"]
    assert any((root / place).exists() for root in roots) or any(
        list(folder.rglob(place))
        for folder in (SOURCES[0], ROOT / "tests")  # beside one that is named in full
    )


@pytest.mark.parametrize("row", re.findall(r"row of `([A-Z]+)` in `([\w/]+\.py)`", GUIDE))
def test_every_table_stands_where_it_is_said_to(row: tuple[str, str]) -> None:
    table, place = row
    tree = ast.parse((SOURCES[0] / place).read_text(encoding="utf-8"))
    targets = [node.target for node in tree.body if isinstance(node, ast.AnnAssign)]
    targets += [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    assert table in [target.id for target in targets if isinstance(target, ast.Name)]


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("test_*.py")), ids=lambda path: path.stem)
def test_every_test_file_has_the_name_and_folder_of_what_it_tests(path: Path) -> None:
    place = path.relative_to(ROOT / "tests")
    name = path.stem.removeprefix("test_")
    if place.parent == Path() and name in WHOLE:
        return
    others = {"lrcn_sets": SOURCES[1].parent, "benchmarks": ROOT, "scripts": ROOT}
    folder = others.get(place.parts[0], SOURCES[0]) / place.parent
    modules = {file.stem for file in folder.glob("*.py")} | {folder.name}  # a package is tested under its own name
    words = name.split("_")
    assert any("_".join(words[:count]) in modules for count in range(1, len(words) + 1)), f"{folder}: no module {name}"


def test_the_lock_names_what_pyproject_allows_and_no_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines = (ROOT / "requirements-ci.lock").read_text(encoding="utf-8").splitlines()
    locked = {}
    for line in lines:
        name, version = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.+!]+)", line).groups()  # type: ignore[union-attr]
        locked[canonicalize_name(name)] = Version(version)
    groups = project["dependency-groups"]
    wanted = [project["project"]["dependencies"], *project["project"]["optional-dependencies"].values()]
    stated = [Requirement(text) for texts in (*wanted, groups["test"], groups["lint"]) for text in texts]
    assert len(stated) > 30
    for requirement in stated:
        if requirement.name != "lrcn" and (requirement.marker is None or requirement.marker.evaluate()):
            version = locked.get(canonicalize_name(requirement.name))
            told = f"{requirement}: the lock has {version}; run `make lock`"
            assert version, told
            assert version in requirement.specifier, told
