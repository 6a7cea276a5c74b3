"""Who may ask: keys in a file, one a line."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from lrcn.errors import ConfigError

SHORTEST_KEY = 16
"""Letters: fewer can be guessed."""


class Keys:
    """Keys, of which only digests are kept."""

    def __init__(self, keys: list[str]) -> None:
        """Take the keys."""
        self._digests = [_digest(key) for key in keys]

    def allow(self, authorization: str | None) -> bool:
        """Whether an `Authorization` header, `Bearer KEY`, holds one of the keys.

        How long that takes says neither which key was nearly right, nor how much of it, nor how long keys are.
        """
        scheme, _, given = (authorization or "").partition(" ")
        digest = _digest(given.strip())
        same = [hmac.compare_digest(digest, own) for own in self._digests]  # all of them, whatever the first says
        return any(same) and scheme.lower() == "bearer"


def read_keys(path: Path) -> Keys:
    """Return the keys of a text file, one a line; empty lines and those that begin with `#` do not count.

    Raises:
        ConfigError: If it cannot be read, holds no key, or one that can be guessed.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is no text"
        raise ConfigError(f"{path}: the keys cannot be read ({reason})") from exc
    keys = {number: line.strip() for number, line in enumerate(lines, start=1)}
    keys = {number: key for number, key in keys.items() if key and not key.startswith("#")}
    if not keys:
        raise ConfigError(f"{path}: holds no key; write one on each line, such as: openssl rand -hex 32")
    for number, key in keys.items():
        if len(key) < SHORTEST_KEY or not key.isascii() or " " in key:
            raise ConfigError(
                f"{path} line {number}: a key has at least {SHORTEST_KEY} ASCII letters and no space; "
                "make one with: openssl rand -hex 32"
            )
    return Keys(list(keys.values()))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="replace")).digest()
