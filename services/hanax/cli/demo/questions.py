"""What the demo asks, and which answers are known to be right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# A best answer counts when it is among this many.
ANSWERS: Final = 10


@dataclass(frozen=True)
class Question:
    """`best` are ids of documents that answer it; one of them is enough."""

    text: str
    best: frozenset[str]


def is_answered(question: Question, found: Sequence[str]) -> bool:
    """Whether a best answer is among the first ANSWERS ids, the nearest first."""
    return not question.best.isdisjoint(found[:ANSWERS])


QUESTIONS: Final = (
    Question("how do I compute a file's checksum", frozenset({"hashlib.file_digest"})),
    Question("how do I copy a folder with everything in it", frozenset({"shutil.copytree"})),
    Question(
        "how do I remember the results of a slow function so that it is not computed twice",
        frozenset({"functools.cache", "functools.lru_cache"}),
    ),
    Question("how do I find out how much free space is left on a disk", frozenset({"shutil.disk_usage"})),
    Question(
        "how can I see what changed between two versions of a text",
        frozenset({"difflib.Differ.compare", "difflib.ndiff", "difflib.unified_diff"}),
    ),
    Question(
        "how do I insert into a list and keep it sorted",
        frozenset({"bisect.insort", "bisect.insort_left", "bisect.insort_right"}),
    ),
)
