"""The examples in public docstrings do what they say."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = (
    "lrcn.evaluation.evaluating",
    "lrcn.inference.captioning.predictor",
    "lrcn.inference.captioning.retriever",
    "lrcn.inference.loading",
    "lrcn.inference.recognition.predictor",
    "lrcn.inference.recognition.streaming",
    "lrcn.metrics.temporal",
    "lrcn.metrics.time_budget",
    "lrcn.training.fit",
    "lrcn.writers",
)
"""Those that have examples."""


@pytest.mark.parametrize("name", MODULES)
def test_examples_do_what_they_say(name: str) -> None:
    done = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert done.attempted > 0
    assert done.failed == 0
