"""XML from anywhere: read with the standard library's expat, and refused where it could be a trap.

Documents that declare a document type are refused before anything of it is looked at: entities, which can grow without
bound or name other files, cannot be declared elsewhere. So are documents that nest deeper than annotations do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

from lrcn.annotations.text_files import head_of, read_bytes
from lrcn.errors import DataError

_DEEPEST = 100


@dataclass
class XMLFile:
    """A document and where its elements stand."""

    root: ElementTree.Element
    _lines: dict[ElementTree.Element, int] = field(default_factory=dict)

    def place(self, element: ElementTree.Element) -> str:
        """Return the line on which an element begins, for messages."""
        return f"line {self._lines.get(element, 1)}"


def read_xml(path: Path) -> XMLFile:
    """Return a document.

    Raises:
        DataError: If it is no XML, declares a document type or nests too deep.
    """
    builder, lines = ElementTree.TreeBuilder(), {}
    parser = expat.ParserCreate()
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise DataError(f"{path}: nests more than {_DEEPEST} levels deep, which no annotation file does")
        lines[builder.start(tag, attributes)] = parser.CurrentLineNumber

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*declared: object) -> None:
        raise DataError(f"{path}: declares a document type, which may hide entities; delete its <!DOCTYPE ...>")

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(read_bytes(path), True)
    except expat.ExpatError as exc:
        raise DataError(
            f"{path.name} line {exc.lineno}: is no XML ({expat.ErrorString(exc.code)}); save it again"
        ) from exc
    except (LookupError, ValueError) as exc:  # an encoding that nobody knows
        raise DataError(f"{path}: is no XML ({exc}); save it as UTF-8") from exc
    return XMLFile(builder.close(), lines)


def root_tag(path: Path) -> str:
    """Return the name of a document's outermost element, empty where the file does not begin as XML."""
    head = re.sub(r"<\?.*?\?>|<!--.*?-->", "", head_of(path), flags=re.DOTALL).lstrip()
    match = re.match(r"<([\w.:-]+)", head)
    return match[1] if match else ""


def text_of(element: ElementTree.Element | None, tag: str) -> str:
    """Return the text of an element below another, empty where there is none."""
    found = element.find(tag) if element is not None else None
    return (found.text or "").strip() if found is not None else ""
