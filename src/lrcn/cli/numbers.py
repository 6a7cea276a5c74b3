"""Flags that take several numbers, which may be written `240,320` or `240 320`."""

from __future__ import annotations

import re
import typing
from collections.abc import Sequence
from typing import Any

from cyclopts import App, Token
from cyclopts.argument import Argument, ArgumentCollection

NUMBER_FLAGS = {"--change-memory": None, "--resize": 2, "--roi": 4, "--splits": None}
"""Flag -> the most numbers that it takes; None for no limit."""

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def join_numbers(arguments: Sequence[str]) -> list[str]:
    """Write `--resize 240 320` as `--resize 240,320`, so that the parser sees one value; other arguments stay."""
    joined: list[str] = []
    room: float = 0
    for argument in arguments:
        if room and _NUMBER.fullmatch(argument):
            if joined[-1] in NUMBER_FLAGS:
                joined.append(argument)
            else:
                joined[-1] += f",{argument}"
            room -= 1
        else:
            joined.append(argument)
            room = (NUMBER_FLAGS[argument] or float("inf")) if argument in NUMBER_FLAGS else 0
    return joined


def split_numbers(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Take `240,320` as several numbers where a flag wants them; cyclopts calls it as one of an app's `config`s."""
    for argument in arguments:
        if not NUMBER_FLAGS.keys().isdisjoint(argument.names) and argument.parameter.converter is None:
            _split(argument)


def as_region(hint: type, tokens: Sequence[Token]) -> tuple[int, int, int, int]:
    """Return the region that `120,80,400,300` stands for; a converter of cyclopts."""
    parts = tokens[0].value.split(",")
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"expected left,top,width,height in px, such as 120,80,400,300; got {tokens[0].value}")
    left, top, width, height = map(int, parts)
    return left, top, width, height


def _split(argument: Argument) -> None:
    if _is_tuple(argument.hint):  # of any length: each number is a value of its own
        parts = [(token, part) for token in argument.tokens for part in token.value.split(",")]
        argument.tokens[:] = [token.evolve(value=part, index=index) for index, (token, part) in enumerate(parts)]
    elif any(map(_is_tuple, typing.get_args(argument.hint))) and len(argument.tokens) == 1:
        token = argument.tokens[0]
        if re.fullmatch(r"\d+,\d+", token.value):
            argument.tokens[0] = token.evolve(value="", implicit_value=tuple(map(int, token.value.split(","))))


def _is_tuple(hint: Any) -> bool:
    return typing.get_origin(hint) is tuple
