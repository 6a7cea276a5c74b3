"""A data set before it is trained on: whether it can be, what its labels say, and what a run remembers it by."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Sequence

from lrcn.data.problems import first_of
from lrcn.data.recognition.examples import RecognitionData, RecognitionExample
from lrcn.errors import DataError

_SIDE = re.compile(r"(?<![a-z])(left|right)(wards?)?(?![a-z])|clockwise|(fore|back)hand")
"""What a mirror image would belie in the name of a class, in small letters: not `bright`."""


def check_labels(data: RecognitionData, *, needs_validation: bool) -> None:
    """Make sure that a data set can be trained on.

    Raises:
        DataError: If it has no training examples, a single class, a class without training examples or whose name no
            model file can hold, or no validation examples where they are needed.
    """
    for label in data.labels:
        if not label.isprintable() or label.encode(errors="replace").decode() != label:
            raise DataError(
                f"{data.name}: the class name {label!r} is no text in UTF-8; rename its folder, or its rows"
            )
    trained = {label for example in data.split("train") for label in data.shown(example)}
    if len(data.labels) < 2:
        remedy = ""
        if data.recordings:
            remedy = ": annotate another, or say with --looked-at whole that between its bouts nothing is shown"
        raise DataError(
            f"{data.name}: one class only, {data.labels[0]!r}; a model needs at least two to tell apart{remedy}"
        )
    check_every_class(data.labels, trained, f"{data.name}: no training example")
    if needs_validation:
        data.split("val")


def check_every_class(labels: Sequence[str], found: Collection[str], problem: str) -> None:
    """Make sure that each label is among those found.

    Raises:
        DataError: If not; the message names the first one that is missing and counts the rest.
    """
    missing = [label for label in labels if label not in found]
    if missing:
        more = f" ({len(missing) - 1} more classes)" if len(missing) > 1 else ""
        raise DataError(f"{problem} of class {missing[0]!r}{more}")


def says_side(label: str) -> bool:
    """Whether the mirror image of a clip of this class would be of another, by its name."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label).lower()  # TurnLeft
    return _SIDE.search(words) is not None


def lone_clips(data: RecognitionData) -> list[str]:
    """Return a warning if classes have a single training example each: what is learnt of those is that one clip."""
    counts = Counter(label for example in data.split("train") for label in data.shown(example))
    alone = [repr(label) for label in data.labels if counts[label] == 1]
    if not alone:
        return []
    return [
        f"{data.name}: one training clip only of class {first_of(alone)}: the model sees one look of it, "
        "and other people or places may not be recognised; add clips, five of different sources go a long way"
    ]


def used_examples(data: RecognitionData) -> list[RecognitionExample]:
    """Return the training and then the validation examples; the test split is not touched."""
    return [example for split in ("train", "val") for example in data.examples if example.split == split]


def fingerprint(data: RecognitionData) -> str:
    """Return a hash of the labels and of the training and validation examples, wherever their files lie."""
    rows = sorted(
        (
            example.path.name,
            example.label,
            example.split,
            example.start_s,
            example.end_s or 0.0,
            *(example.within or ()),
            *(example.roi or ()),
        )
        for example in used_examples(data)
    )
    return hashlib.sha256(json.dumps([data.labels, rows]).encode()).hexdigest()


def counts(data: RecognitionData) -> dict[str, int]:
    """Return the number of examples in each split."""
    return dict(sorted(Counter(example.split for example in data.examples).items()))
