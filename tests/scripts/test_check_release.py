"""What is no whole release is refused; the rest of `make release` takes minutes and a network."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from scripts import check_release
from scripts.check_release import ReleaseError, built_files, check_contents


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two files, and what is built of it; nothing here names the real one's version."""
    root = tmp_path / "project"
    for name in ("src/lrcn/__init__.py", "src/lrcn/assets/a.bin"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "pyproject.toml").write_text('[project]\nversion = "7.1"\n')
    subprocess.run("git init -q . && git add .", shell=True, cwd=root, check=True)
    dist = tmp_path / "dist"
    dist.mkdir()
    _build(root, dist)
    monkeypatch.setattr(check_release, "ROOT", root)
    return dist


def _build(root: Path, dist: Path, *extra: str, without: str = "") -> None:
    names = ["src/lrcn/__init__.py", "src/lrcn/assets/a.bin"]
    with zipfile.ZipFile(dist / "lrcn-7.1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("lrcn-7.1.dist-info/METADATA", "")
        for name in [*names, *extra]:
            if name != without:
                wheel.writestr(name.removeprefix("src/"), "")
    with tarfile.open(dist / "lrcn-7.1.tar.gz", "w:gz") as archive:
        archive.add(root / "pyproject.toml", "lrcn-7.1/PKG-INFO")
        for name in [*names, *extra]:
            archive.add(root / "pyproject.toml", f"lrcn-7.1/{name}")


def test_what_is_whole_passes(built: Path) -> None:
    wheel, archive, version = built_files(built)
    assert version == "7.1"
    check_contents(wheel, archive)


def test_a_file_that_is_missing_is_named(built: Path) -> None:
    _build(check_release.ROOT, built, without="src/lrcn/assets/a.bin")
    wheel, archive, _ = built_files(built)
    with pytest.raises(ReleaseError, match=r"7\.1-py3-none-any\.whl: lacks \['lrcn/assets/a\.bin'\]"):
        check_contents(wheel, archive)


@pytest.mark.parametrize(
    ("added", "message"),
    [("src/lrcn/secret.env", r"besides \['lrcn/secret\.env'\]"), ("tests/x.py", r"\.whl.*tests/x")],
)
def test_what_is_not_for_users_is_named(built: Path, added: str, message: str) -> None:
    _build(check_release.ROOT, built, added)
    wheel, archive, _ = built_files(built)
    with pytest.raises(ReleaseError, match=message):
        check_contents(wheel, archive)


def test_files_of_the_archive_alone_count(built: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(built, whole)
    _build(check_release.ROOT, built, "tests/golden/README.md")  # a pattern that matches in every folder
    with pytest.raises(ReleaseError, match=r"tar\.gz: holds \['tests'\]"):
        check_contents(whole / "lrcn-7.1-py3-none-any.whl", built / "lrcn-7.1.tar.gz")


def test_what_was_built_before_is_told(built: Path) -> None:
    (built / "lrcn-7.0.tar.gz").touch()
    with pytest.raises(ReleaseError, match="empty it and build"):
        built_files(built)
