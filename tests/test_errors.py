"""The errors that name what to install."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrcn.errors import LONGEST_MESSAGE, DataError, MissingExtraError, brief, require


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("import a_library_that_is_missing", "No module named 'a_library_that_is_missing'"),
        ("raise ImportError('undefined symbol: _x\\nat line 2')", "undefined symbol: _x"),
        ("raise AttributeError('numpy.long')", "numpy.long"),
        ("raise ValueError", "ValueError"),
    ],
)
def test_a_package_that_is_there_and_broken_is_not_to_be_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, reason: str
) -> None:
    (tmp_path / "broken_engine.py").write_text(content.replace("\n", "\\n"))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingExtraError) as caught:
        require("broken_engine", extra="export", wanted_by="--format x")
    expected = (
        f"--format x needs broken_engine, which is installed but cannot be imported ({reason}); reinstall it with pip"
    )
    assert str(caught.value) == expected


def test_a_package_that_is_missing_is_to_be_installed() -> None:
    with pytest.raises(MissingExtraError, match=r"^plots needs: pip install 'lrcn\[plots\]'$"):
        require("no_such_package.part", extra="plots", wanted_by="plots")


def test_every_message_is_one_short_line_that_keeps_its_end() -> None:
    name, remedy = "a\nb\x1b[2J" * 200, "; rename it"
    for text in (brief(name + remedy), str(DataError(name + remedy)), DataError("a", (name + remedy,)).problems[0]):
        assert len(text) == LONGEST_MESSAGE
        assert text.splitlines() == [text]
        assert text.isprintable()
        assert text.startswith("a b\\x1b[2J")
        assert text.endswith(remedy)
    assert brief("letters \udcff of no encoding") == "letters \\udcff of no encoding"
    assert brief("as it is: 'ü' 𝄞") == "as it is: 'ü' 𝄞"
