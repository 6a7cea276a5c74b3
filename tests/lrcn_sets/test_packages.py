"""Debian packages that hold the parts of a set: found, fetched only when asked, unpacked."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.lrcn_sets.debian import write_deb

from lrcn.errors import DataError
from lrcn_sets.cli import main
from lrcn_sets.packages import package_file, unpack_package


def test_a_package_packed_otherwise_names_the_remedy(tmp_path: Path) -> None:
    package = write_deb(tmp_path / "new.deb", {"a.txt": b"a"})
    package.write_bytes(package.read_bytes().replace(b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd00", 1))
    with pytest.raises(DataError, match="dpkg-deb -x"):
        unpack_package(package, lambda path: True, tmp_path / "out")


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An `apt-get` that notes its arguments in a file, and downloads a package that holds one text file."""
    package, calls = write_deb(tmp_path / "fonts-noto-color-emoji_2_all.deb", {"a.txt": b"a"}), tmp_path / "calls.txt"
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "apt-get"
    script.write_text(f'#!/bin/sh\necho "$@" >> "{calls}"\n{shutil.which("cp")} "{package}" .\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return calls


def test_nothing_is_fetched_unasked_and_the_error_holds_the_command(
    apt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command, package in (
        ("emoji-scenes", "fonts-noto-color-emoji"),
        ("stamp-scenes", "tuxpaint-stamps-default"),
    ):
        assert main([command, str(tmp_path / "set")]) == 1
        error = capsys.readouterr().err
        assert f"`apt-get download {package}`" in error
        assert "--parts FILE" in error
        assert "--fetch" in error
        assert error.count("\n") == 1
    assert not apt.exists()
    assert not list((tmp_path / "set").iterdir())


def test_a_fetched_package_is_kept(apt: Path, tmp_path: Path) -> None:
    fetched = package_file("fonts-noto-color-emoji", fetch=True)
    assert fetched.parent == tmp_path / "cache" / "lrcn" / "packages"
    assert package_file("fonts-noto-color-emoji", fetch=True) == package_file("fonts-noto-color-emoji", fetch=False)
    assert [line.split()[-2:] for line in apt.read_text().splitlines()] == [["download", "fonts-noto-color-emoji"]]
    unpack_package(fetched, lambda path: True, tmp_path / "out")
    assert (tmp_path / "out" / "a.txt").read_bytes() == b"a"


def test_fetching_tells_what_apt_says(apt: Path, tmp_path: Path) -> None:
    (tmp_path / "bin" / "apt-get").write_text("#!/bin/sh\necho 'E: no such package' >&2\nexit 100\n")
    with pytest.raises(DataError, match="apt-get download fonts-noto-color-emoji: E: no such package; run `apt-get up"):
        package_file("fonts-noto-color-emoji", fetch=True)
    (tmp_path / "bin" / "apt-get").unlink()
    with pytest.raises(DataError, match=r"no apt-get here; .* --parts FILE.deb"):
        package_file("fonts-noto-color-emoji", fetch=True)
    assert not list((tmp_path / "cache").rglob("*.deb"))
