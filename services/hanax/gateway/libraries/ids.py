"""Ids of libraries, documents and chunks: UUIDs. Kept as 32 hex digits, shown with hyphens."""

from __future__ import annotations

import uuid

from hanax.core.errors import InvalidId
from hanax.core.ids import encode_id
from hanax.core.json_values import kind_of
from hanax.metadata.libraries.rows import shown_id


def new_id() -> str:
    return uuid.uuid4().hex


def parse_id(value: object, where: str) -> str:
    """Raises InvalidId; `where` names the place in messages."""
    if not isinstance(value, str):
        raise InvalidId(f"{where}: expected a UUID, got {kind_of(value)}")
    try:
        return uuid.UUID(value).hex
    except ValueError:
        raise InvalidId(f"{where}: expected a UUID, got {value[:60]!r}") from None


def encoded_point(point_id: str) -> bytes:
    """The stored form of the id of a chunk's point."""
    return encode_id(shown_id(point_id))


def point_of(id: object) -> str:
    """The point's id as the registry has it."""
    return uuid.UUID(str(id)).hex
