"""Where a job's items come from: files of several formats, each divided and read in parts.

An item has a number, from 0 on, that never changes: its place among the items of the file. A part says where
a run of items begins in the file, so that whoever works on it reads no more than that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from hanax.core.errors import HanaxError

# Text, metadata and vector of the largest point, written with escapes, and room to spare.
MAX_ROW_BYTES: Final = 2 * 1024 * 1024

# Where a part begins: JSON, meant for the source that wrote it alone.
Position = dict[str, int]


@dataclass(frozen=True, slots=True)
class Part:
    """`count` items, the first of which is number `first`."""

    first: int
    count: int
    position: Position


@dataclass(frozen=True, slots=True)
class Item:
    """One row. line: where it begins in a text file, from 1 on; None: the format has no lines.

    fields: JSON values; a vector may be float32[dimension]. fault: why it can't be read.
    """

    number: int
    line: int | None
    fields: dict[str, Any]
    fault: HanaxError | None = None


class Source(Protocol):
    """Blocking: for threads. A file that changes while it is read is nobody's case: uploads never do.

    dimension: of all its vectors, where the file says so before it is read.
    """

    @property
    def dimension(self) -> int | None: ...

    def divide(self, items: int, done: Part | None) -> Iterator[Part]:
        """Parts of about `items` items, in order; those behind `done`, where it was left off.

        Never more than a part's worth of the file in memory. Raises InvalidUpload for a file that is not
        of its format.
        """
        ...

    def read(self, part: Part, skip: int) -> Iterator[Item]:
        """The part's items behind the first `skip`, one by one."""
        ...

    def close(self) -> None: ...
