"""The HTML of the page: templates that escape every text, and their style in the colours of Gradio's theme."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined


def percent(prob: float) -> str:
    """Return a probability as people read it; what is not certain is never called so.

    >>> percent(0.4), percent(0.999), percent(1.0), percent(0.002)
    ('40 %', '> 99 %', '100 %', '< 1 %')
    """
    if 0.995 <= prob < 1:
        return "> 99 %"
    return "< 1 %" if 0 < prob < 0.005 else f"{100 * prob:.0f} %"


def style() -> str:
    """Return the style sheet."""
    return (files("lrcn.demo") / "templates" / "page.css").read_text(encoding="utf-8")


def render(template: str, **values: object) -> str:
    """Return a template with values in it, which it escapes."""
    return _templates().get_template(template).render(values)


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("lrcn.demo"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["percent"] = percent
    return templates
