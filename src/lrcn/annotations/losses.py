"""What of annotations a format has no place for: said, so that nothing is left out in silence."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Literal

from lrcn.bouts import Annotations, Recording

Kind = Literal[
    "probabilities",
    "subjects",
    "modifiers",
    "comments",
    "point events",
    "what was looked at",
    "offsets",
    "splits",
    "groups",
    "regions",
    "subjects without bouts",
    "recordings without bouts",
]
"""What a format may have no place for. Point events become bouts as short as the format has them."""

KINDS: dict[Kind, Callable[[Recording], bool]] = {
    "probabilities": lambda one: any(bout.prob is not None for bout in one.bouts),
    "subjects": lambda one: any(bout.subject for bout in one.bouts),
    "modifiers": lambda one: any(bout.modifiers for bout in one.bouts),
    "comments": lambda one: any(bout.comment for bout in one.bouts),
    "point events": lambda one: any(bout.is_point for bout in one.bouts),
    "what was looked at": lambda one: one.looked_at is not None,
    "offsets": lambda one: one.offset_s != 0,
    "splits": lambda one: bool(one.split),
    "groups": lambda one: bool(one.group),
    "regions": lambda one: one.roi is not None,
    "subjects without bouts": lambda one: bool(one.idle_subjects),
    "recordings without bouts": lambda one: not one.bouts,
}
"""Kind -> whether a recording has any of it."""


def losses(annotations: Annotations, loses: Collection[Kind], format: str) -> tuple[str, ...]:
    """Return a line for each kind that is there and has no place in a format, with the recordings it is of.

    Args:
        annotations: What is written.
        loses: What the format has no place for.
        format: Its name.
    """
    said = []
    for kind, has in KINDS.items():
        found = [recording.name for recording in annotations.recordings if has(recording)] if kind in loses else []
        if found:
            more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
            said.append(f"{format} has no place for {kind}: left out, of {found[0]}{more}")
    return tuple(said)
