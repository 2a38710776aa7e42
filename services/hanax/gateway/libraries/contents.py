"""What a chunk says, and how it is written into the metadata of its point.

The fields are named as results show them, so that a filter names what a reader sees: `text`, `metadata.year`,
`document.id`, `document.title`, `document.metadata.author`, `headings`. `_change` is the change that wrote
the point.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from hanax.core.errors import InvalidMetadata, MetadataTooLarge
from hanax.core.json_values import kind_of
from hanax.core.limits import MAX_LIBRARY_METADATA_BYTES
from hanax.core.specs import PayloadIndex
from hanax.gateway.metadata import encode_metadata
from hanax.gateway.provenance import put_provenance, split_provenance
from hanax.metadata.libraries.rows import Document, shown_id

CHANGE: Final = "_change"

# `id` and offsets are others in every point; words of texts may be asked for.
PINNED: Final[dict[str, str]] = {
    "id": PayloadIndex.NONE,
    "start": PayloadIndex.NONE,
    "end": PayloadIndex.NONE,
    "text": PayloadIndex.TEXT,
    CHANGE: PayloadIndex.KEYWORD,
    "document.id": PayloadIndex.KEYWORD,
}

# The form of a tag (RFC 5646, section 2.1), without a look into the registry: a language, or x or i, and what
# follows it. No longer ones are in use (section 4.4.1).
_LANGUAGE: Final = re.compile(r"(?:[A-Za-z]{2,8}|[xXiI](?=-))(?:-[A-Za-z0-9]{1,8})*")
_LANGUAGE_CHARS: Final = 35


@dataclass(frozen=True, slots=True)
class Content:
    """headings: of the section it is from. start, end: its place in the text that was divided, if one was."""

    text: str
    metadata: dict[str, Any]
    headings: tuple[str, ...] = ()
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A chunk as its point has it. document: id, title and metadata. provenance: JSON."""

    content: Content
    document: dict[str, Any]
    provenance: bytes | None


def encode_point(
    content: Content, chunk_id: str, document: Document, change_id: str, provenance: bytes | None
) -> bytes:
    """Raises MetadataTooLarge where all of it is too large for a point."""
    told = {
        "id": shown_id(chunk_id),
        "text": content.text,
        "headings": list(content.headings),
        "start": content.start,
        "end": content.end,
        "metadata": content.metadata,
        "document": {
            "id": shown_id(document.id),
            "title": document.title,
            "metadata": document.metadata,
        },
        CHANGE: change_id,
    }
    encoded = encode_metadata(told, "the chunk with its document's title and metadata")
    return encoded if provenance is None else put_provenance(encoded, provenance)


def decode_point(raw: bytes) -> Stored:
    own, provenance = split_provenance(raw)
    told = orjson.loads(own)
    content = Content(told["text"], told["metadata"], tuple(told["headings"]), told["start"], told["end"])
    return Stored(content, told["document"], provenance)


def check_metadata(value: object, where: str) -> dict[str, Any]:
    """Metadata of a library, document or chunk. Raises InvalidMetadata or MetadataTooLarge."""
    encoded = encode_metadata(value, where)
    if len(encoded) > MAX_LIBRARY_METADATA_BYTES:
        raise MetadataTooLarge(
            f"{where}: at most {MAX_LIBRARY_METADATA_BYTES} bytes as JSON, got {len(encoded)}",
            limit_bytes=MAX_LIBRARY_METADATA_BYTES,
            got_bytes=len(encoded),
        )
    # As it will be read: what was checked is what is kept.
    checked: dict[str, Any] = orjson.loads(encoded)
    return checked


def check_chunk_metadata(value: object, where: str) -> dict[str, Any]:
    """As `check_metadata`; `source_page` and `language` have a form of their own."""
    metadata = check_metadata(value, where)
    page = metadata.get("source_page")
    if page is not None and (type(page) is not int or page < 0):
        raise InvalidMetadata(f"{where}.source_page: expected a whole number from 0 on, got {_told(page)}")
    language = metadata.get("language")
    if language is not None and not _is_language(language):
        raise InvalidMetadata(
            f"{where}.language: expected a language tag such as en or de-CH, got {_told(language)}"
        )
    return metadata


def merged(old: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of `patch` set; those whose value there is null taken out."""
    return {key: value for key, value in {**old, **patch}.items() if value is not None or key not in patch}


def _is_language(value: object) -> bool:
    if not isinstance(value, str) or len(value) > _LANGUAGE_CHARS:
        return False
    return _LANGUAGE.fullmatch(value) is not None


def _told(value: object) -> str:
    if isinstance(value, str):
        return repr(value[:60])
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else kind_of(value)
