"""Flags that take several numbers take them with commas and with spaces, wherever they stand."""

from __future__ import annotations

import typing
from dataclasses import fields
from typing import Any

import pytest
import yaml

from lrcn.cli import main, make_app
from lrcn.cli.numbers import NUMBER_FLAGS, join_numbers
from lrcn.training.captioning.config import CaptioningTrainingConfig
from lrcn.training.recognition.config import RecognitionTrainingConfig


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["train", "recognition", *arguments, "--print-config"]) == 0
    settings: dict[str, Any] = yaml.safe_load(capsys.readouterr().out)
    return settings


@pytest.mark.parametrize(
    ("flags", "name", "expected"),
    [
        (["--change-memory", "0", "0.9"], "change_memory", [0.0, 0.9]),
        (["--change-memory", "0,0.9"], "change_memory", [0.0, 0.9]),
        (["--change-memory=0,0.9"], "change_memory", [0.0, 0.9]),
        (["--change-memory", "0", "--change-memory", "0.9"], "change_memory", [0.0, 0.9]),
        (["--change-memory", "9e-1", "clips"], "change_memory", [0.9]),
        (["--resize", "240", "320", "clips"], "resize", [240, 320]),
        (["--resize", "240,320"], "resize", [240, 320]),
        (["--resize", "256", "--epochs", "3"], "resize", 256),
        (["--resize", "null", "--lr", "1"], "resize", None),
    ],
)
def test_numbers_with_commas_and_with_spaces(
    capsys: pytest.CaptureFixture[str], flags: list[str], name: str, expected: object
) -> None:
    assert printed(capsys, *flags)[name] == expected


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--change-memory", "0,x"], "--change-memory"),
        (["--change-memory", "0,"], "--change-memory"),
        (["--resize", "1", "2", "3", "4"], "unexpected argument '4'"),
        (["--resize", "1,2,3"], "--resize"),
        (["--resize"], "--resize"),
    ],
)
def test_what_is_no_number_is_one_line_of_usage(
    capsys: pytest.CaptureFixture[str], flags: list[str], message: str
) -> None:
    assert main(["train", "recognition", *flags, "--print-config"]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("splits", [["1", "3"], ["1,3"]])
def test_splits_of_the_paper(splits: list[str]) -> None:
    flags = join_numbers(["reproduce", "--splits", *splits, "clips", "--output", "o", "--configs", "c"])
    _, bound, _ = make_app().parse_args(flags)
    assert bound.arguments["splits"] == (1, 3)
    assert str(bound.arguments["data"]) == "clips"


def test_numbers_of_other_flags_stay_apart() -> None:
    arguments = ["stream", "--top-k", "3", "0", "1", "--resize", "1", "2", "3", "--resize"]
    assert join_numbers(arguments) == ["stream", "--top-k", "3", "0", "1", "--resize", "1,2", "3", "--resize"]


@pytest.mark.parametrize("settings_class", [RecognitionTrainingConfig, CaptioningTrainingConfig])
def test_every_setting_of_several_numbers_is_listed(settings_class: type) -> None:
    hints = typing.get_type_hints(settings_class)
    several = {
        f"--{field.name.replace('_', '-')}"
        for field in fields(settings_class)
        if any(typing.get_origin(hint) is tuple for hint in (hints[field.name], *typing.get_args(hints[field.name])))
    }
    assert several <= set(NUMBER_FLAGS)
