"""The rules for tokens."""

from __future__ import annotations

import pytest
from tests.decoding.toy_steps import BOS, EOS

from lrcn.decoding import TokenRules
from lrcn.errors import ConfigError


def test_the_end_cannot_be_banned() -> None:
    with pytest.raises(ConfigError, match="token 2 ends a sequence"):
        TokenRules(bos_id=BOS, eos_id=EOS, banned_ids=(EOS,))


def test_a_sequence_holds_one_token_at_least() -> None:
    assert TokenRules(bos_id=BOS, eos_id=EOS, max_length=1).max_length == 1
    with pytest.raises(ConfigError, match="max_length must be 1 or more, got 0"):
        TokenRules(bos_id=BOS, eos_id=EOS, max_length=0)
