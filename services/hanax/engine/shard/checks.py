"""What a batch must be before it is logged. Each check raises a named error and changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from hanax.core.errors import (
    DuplicateId,
    InvalidArgument,
    InvalidExpiry,
    InvalidMetadata,
    MetadataTooLarge,
    NoTextIndex,
)
from hanax.core.filters import Filter, Operator
from hanax.core.limits import MAX_INSTANT_US
from hanax.core.provenance import PROVENANCE, most_bytes, with_provenance_of
from hanax.core.specs import PayloadIndex
from hanax.engine.query.matching import conditions_of
from hanax.engine.schema import Schema, Vectors


def check_columns(schema: Schema, vectors: Mapping[str, NDArray[Any]], count: int) -> dict[str, Vectors]:
    """Return float32[count, dimension] for every column of the schema."""
    if set(vectors) != set(schema.fields):
        raise InvalidArgument(f"expected vectors named {sorted(schema.fields)}, got {sorted(vectors)}")
    columns = {name: schema.field(name).check(rows) for name, rows in vectors.items()}
    for name, rows in columns.items():
        if len(rows) != count:
            raise InvalidArgument(f"{count} ids came with {len(rows)} vectors named {name!r}")
    return columns


def check_ids(ids: Sequence[bytes]) -> None:
    if not ids:
        raise InvalidArgument("expected at least one point")
    if len(set(ids)) != len(ids):
        raise DuplicateId("an id occurs twice in one batch")


def check_metadata(metadata: Sequence[bytes], count: int) -> None:
    if len(metadata) != count:
        raise InvalidArgument(f"{count} ids came with {len(metadata)} metadata objects")
    for number, blob in enumerate(metadata):
        try:
            value = orjson.loads(blob)
        except orjson.JSONDecodeError as error:
            raise InvalidMetadata(f"the metadata of point {number} are not JSON: {error}") from None
        if not isinstance(value, dict):
            raise InvalidMetadata(f"the metadata of point {number} are not a JSON object", index=number)
        if len(blob) > (most := most_bytes(value)):
            raise MetadataTooLarge(
                f"metadata have at most {most} bytes, point {number} has {len(blob)}", index=number
            )


def check_expiries(expires_at_us: NDArray[Any] | None, count: int) -> NDArray[np.int64] | None:
    """int64[count], or None when no point expires."""
    if expires_at_us is None:
        return None
    if len(expires_at_us) != count:
        raise InvalidArgument(f"{count} ids came with {len(expires_at_us)} times at which they expire")
    checked = np.asarray(expires_at_us, np.int64)
    for extreme in (checked.min(initial=0), checked.max(initial=0)):
        if not 0 <= extreme <= MAX_INSTANT_US:
            raise InvalidExpiry(f"points expire between 1970 and 9999, or never: 0; got {extreme} us")
    return checked if checked.any() else None


def check_pins(payload_indexes: Mapping[str, str]) -> dict[str, PayloadIndex]:
    """What is indexed, by dotted path. Raises InvalidArgument."""
    try:
        return {path: PayloadIndex(kind) for path, kind in payload_indexes.items()}
    except ValueError as error:
        raise InvalidArgument(f"metadata fields are not indexed so: {error}") from None


def check_text_indexes(expression: Filter, payload_indexes: Mapping[str, str]) -> None:
    """Raises NoTextIndex for words looked for in a field that is not pinned as text."""
    for condition in conditions_of(expression):
        if condition.operator in (Operator.TEXT, Operator.PHRASE):
            field = ".".join(condition.path)
            if payload_indexes.get(field) != "text":
                raise NoTextIndex(
                    f"{condition.operator} needs a text index: {field!r} is not pinned as text",
                    field=field,
                )


def merge_metadata(old: bytes, new: bytes) -> bytes:
    merged = orjson.loads(old) | orjson.loads(new)
    blob = orjson.dumps(merged)
    if len(blob) > (most := most_bytes(merged)):
        raise MetadataTooLarge(f"metadata have at most {most} bytes, merged they have {len(blob)}")
    return blob


def replace_metadata(old: bytes, new: bytes) -> bytes:
    """`new`, with the provenance that the old ones have."""
    kept = orjson.loads(old)
    return orjson.dumps(with_provenance_of(kept, orjson.loads(new))) if PROVENANCE in kept else new
