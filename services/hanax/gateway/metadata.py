"""Metadata of points: what a user may write, checked and encoded once at the edge."""

from __future__ import annotations

import math

import orjson

from hanax.core.errors import InvalidMetadata, MetadataTooLarge
from hanax.core.json_values import kind_of
from hanax.core.limits import MAX_METADATA_BYTES, MAX_METADATA_DEPTH
from hanax.core.provenance import PROVENANCE, is_reserved


def encode_metadata(value: object, where: object) -> bytes:
    """Return the JSON bytes of a metadata object; `where`, as text, names it in messages.

    Raises InvalidMetadata (no object, deeper than MAX_METADATA_DEPTH, a number that JSON can't
    carry) or MetadataTooLarge. The object itself is level 1.
    """
    if not isinstance(value, dict):
        raise InvalidMetadata(f"{where}: expected an object, got {kind_of(value)}")
    _check(value, where, MAX_METADATA_DEPTH)
    for name in value:
        if name.startswith(PROVENANCE):
            check_own(name, where)
    try:
        encoded = orjson.dumps(value)
    except TypeError as error:
        raise InvalidMetadata(f"{where}: {error}") from None
    if len(encoded) > MAX_METADATA_BYTES:
        raise MetadataTooLarge(
            f"{where}: at most {MAX_METADATA_BYTES} bytes as JSON, got {len(encoded)}",
            limit_bytes=MAX_METADATA_BYTES,
            got_bytes=len(encoded),
        )
    return encoded


def check_own(field: str, where: object) -> None:
    """Raises InvalidMetadata for a field that is not for users to write or to remove."""
    if is_reserved(field):
        raise InvalidMetadata(
            f"{where}: {field[:60]!r} is kept for the provenance of vectors that are embedded here",
            field=field[:60],
        )


def _check(value: dict[str, object] | list[object], where: object, levels: int) -> None:
    if levels == 0:
        raise InvalidMetadata(f"{where}: at most {MAX_METADATA_DEPTH} levels deep")
    for item in value.values() if isinstance(value, dict) else value:
        # JSON has no other types, and `isinstance` takes three times as long.
        if type(item) is float:
            if not math.isfinite(item):
                raise InvalidMetadata(f"{where}: numbers must be finite, found {item}")
        elif type(item) is dict or type(item) is list:
            _check(item, where, levels - 1)
