"""Provenance of vectors that were embedded here: put beside a point's metadata, and shown apart from them.

It is the first key of the stored object, so that metadata leave without being decoded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import orjson
from xxhash import xxh3_128_hexdigest

from hanax.core.provenance import PROVENANCE
from hanax.gateway.models.embedding import Embedded

_START: Final = b'{"' + PROVENANCE.encode() + b'":'
_EMPTY: Final = b"{}"

# A flat object: braces inside it are in strings.
_FIRST: Final = re.compile(re.escape(_START) + rb'(\{(?:[^"{}]|"(?:[^"\\]|\\.)*")*\}),?')


def add_provenance(
    metadata: Sequence[bytes], texts: Sequence[str], made: Embedded, now_us: int
) -> list[bytes]:
    """JSON objects with the provenance of each text's vector, as it is stored.

    model, and its pattern; version: of the model that made this vector; at: when it was embedded, RFC 3339;
    content_hash: xxh3-128 of the text in UTF-8, in hexadecimal.
    """
    about = {
        "pattern": made.model.pattern,
        "at": datetime.fromtimestamp(now_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }

    def tell(text: str, version: str) -> bytes:
        told = {"model": made.model.name, "version": version, **about}
        return orjson.dumps({**told, "content_hash": xxh3_128_hexdigest(text.encode())})

    return [
        put_provenance(raw, tell(text, version))
        for raw, text, version in zip(metadata, texts, made.versions, strict=True)
    ]


def split_provenance(stored: bytes) -> tuple[bytes, bytes | None]:
    """A point's own metadata, and the provenance of its vector; None where that is a user's own. JSON."""
    if not stored.startswith(_START) or (found := _FIRST.match(stored)) is None:
        return stored, None
    return b"{" + stored[found.end() :], found.group(1)


def put_provenance(metadata: bytes, provenance: bytes) -> bytes:
    """What `split_provenance` divides."""
    rest = b"}" if metadata == _EMPTY else b"," + metadata[1:]
    return _START + provenance + rest
