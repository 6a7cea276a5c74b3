"""The rules for tokens."""

from __future__ import annotations

import pytest
from tests.decoding.toy_steps import BOS, EOS

from lrcn.decoding import TokenRules
from lrcn.errors import ConfigError


def test_the_end_cannot_be_banned() -> None:
    with pytest.raises(ConfigError, match="token 2 ends a sequence"):
        TokenRules(bos_id=BOS, eos_id=EOS, banned_ids=(EOS,))
