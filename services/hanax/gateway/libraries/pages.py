"""Pages of libraries and of documents: the newest first, and cursors between them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final, TypeVar

from hanax.core.errors import InvalidCursor
from hanax.metadata.libraries.rows import Document, Library
from hanax.metadata.pages import Place

_CURSOR: Final = re.compile(r"([0-9]{1,19})\.([0-9a-f]{32})\.([0-9a-f]{0,32})")

Entry = TypeVar("Entry", Library, Document)


def cut_page(found: Sequence[Entry], limit: int, within: str = "") -> tuple[Sequence[Entry], str | None]:
    """The page, and the cursor behind it. found: one more than `limit` where others follow.

    within: the library whose documents are listed.
    """
    page = found[:limit]
    if len(found) <= limit:
        return page, None
    return page, _write_cursor(Place(page[-1].created_at_us, page[-1].id), within)


def _write_cursor(place: Place, within: str) -> str:
    told = f"{place.created_at_us}.{place.id}.{within}".encode()
    return base64.urlsafe_b64encode(told).decode().rstrip("=")


def read_cursor(cursor: str | None, within: str = "") -> Place | None:
    """Raises InvalidCursor for what `cut_page` did not make for this list."""
    if cursor is None:
        return None
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        text = ""
    found = _CURSOR.fullmatch(text)
    if found is None or found[3] != within or int(found[1]) >= 2**63:
        raise InvalidCursor("cursor: expected next_cursor of the page before, of the same list")
    return Place(int(found[1]), found[2])
