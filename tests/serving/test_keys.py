from __future__ import annotations

from pathlib import Path

import pytest

from lrcn.errors import ConfigError
from lrcn.serving.keys import read_keys

FIRST, SECOND = "0123456789abcdef", "a-second-key-for-others"


def test_each_key_of_the_file_is_allowed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"# the lab\n{FIRST}\n\n  {SECOND}  \n")
    keys = read_keys(tmp_path / "keys")
    for given in (f"Bearer {FIRST}", f"bearer {SECOND}"):
        assert keys.allow(given)
    for given in (None, "", "Bearer", "Bearer ", FIRST, f"Basic {FIRST}", f"Bearer {FIRST}x", "Bearer # the lab"):
        assert not keys.allow(given)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "holds no key"),
        (b"# none yet\n", "holds no key"),
        (b"short\n", "line 1: a key has at least 16"),
        (b"0123456789abcdef\ntwo words are no key\n", "line 2"),
        (b"\xff\xfe\x00", "cannot be read"),
        (None, "No such file"),
    ],
)
def test_a_file_without_good_keys_is_one_line(content: bytes | None, text: str, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=text):
        read_keys(path)
