"""Cursors of lists whose entries ascend by a key that each has alone."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from hanax.core.errors import InvalidCursor

# Of numbers that 64 bits hold.
_MAX_DIGITS: Final = 18

Entry = TypeVar("Entry")


def cut_by_key(
    entries: Sequence[Entry], key: Callable[[Entry], str], limit: int, cursor: str | None
) -> tuple[list[Entry], str | None]:
    """A page of entries that ascend by a key that each has alone; and the cursor behind it.

    One that is new or gone meanwhile moves no other from one page to another. Raises InvalidCursor.
    """
    after = None if cursor is None else read_key(cursor)
    behind = [one for one in entries if after is None or key(one) > after]
    page = behind[:limit]
    return page, write_key(key(page[-1])) if len(behind) > limit else None


def read_number(cursor: str) -> int:
    """The same of a number. Raises InvalidCursor."""
    key = read_key(cursor)
    if not key.isascii() or not key.isdecimal() or len(key) > _MAX_DIGITS:
        raise _foreign()
    return int(key)


def write_key(key: str) -> str:
    return urlsafe_b64encode(key.encode()).decode().rstrip("=")


def read_key(cursor: str) -> str:
    """What `write_key` was given. Raises InvalidCursor."""
    try:
        key = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode()
    except ValueError:
        key = ""
    if not key or write_key(key) != cursor:
        raise _foreign()
    return key


def _foreign() -> InvalidCursor:
    return InvalidCursor("cursor: expected next_cursor of the page before")
