"""METEOR from the authors' Java program; there is no second implementation that gives the same numbers."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Sequence

from lrcn.errors import MissingExtraError


def why_no_meteor() -> str | None:
    """Return what is missing for METEOR to run here, or None."""
    if importlib.util.find_spec("pycocoevalcap") is None:
        return "METEOR needs: pip install pycocoevalcap (and Java)"
    if shutil.which("java") is None:
        return "METEOR needs Java (a `java` command on the PATH)"
    return None


def meteor_scores(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[float, list[float]]:
    """Return METEOR of the whole and of each tokenised caption; starting the program takes some seconds.

    Raises:
        MissingExtraError: If Java or pycocoevalcap is not there, or the program does not answer.
    """
    reason = why_no_meteor()
    if reason is not None:
        raise MissingExtraError(reason)
    from pycocoevalcap.meteor.meteor import Meteor

    program = Meteor()
    try:
        corpus, items = program.compute_score(
            {number: list(item) for number, item in enumerate(references)},
            {number: [candidate] for number, candidate in enumerate(candidates)},
        )
    except (OSError, ValueError) as exc:  # its pipe closed, or its answer is no number
        raise MissingExtraError(f"METEOR's Java program does not answer ({exc}); does `java -version` work?") from exc
    finally:
        if program.lock.locked():  # after a failure; else its destructor would wait for ever
            program.lock.release()
    return corpus, items
