"""A batch of points that comes as columns: vectors are float32 already, ids are in their stored form.

The rules are those of `batches`, column by column instead of point by point: a batch with one mistake is
refused with the same error, whatever it came as.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import orjson

from hanax.core.errors import DimensionMismatch, HanaxError, InvalidArgument, InvalidId, InvalidMetadata
from hanax.core.ids import are_of_fixed_size, check_id
from hanax.core.specs import CollectionSpec
from hanax.core.texts import check_text
from hanax.gateway.batches import (
    Batch,
    check_count,
    check_version,
    duplicate_id,
    located,
    new_id,
    with_text,
)
from hanax.gateway.expiries import check_expiry, default_expiry
from hanax.gateway.metadata import encode_metadata
from hanax.gateway.requests import WriteMode
from hanax.gateway.texts import require_model
from hanax.gateway.vectors import Matrix, find_fault

_FLOAT_BYTES: Final = 4
_ANY_VERSION: Final = -1
_FEW_POINTS: Final = 200
_FEW_BYTES: Final = 1024 * 1024
_EMPTY: Final = b"{}"


@dataclass(frozen=True, slots=True)
class Columns:
    """n points, as they came. Each list has n entries, or none where it was left out.

    ids: encoded; an empty one is made here. float32_le: a row of `dimension` numbers for each point that has
    no text. texts: an empty one: the point has a vector. metadata: JSON objects; an empty entry: none.
    if_versions: -1: any. expires_at_us: 0: as the collection says.
    """

    ids: list[bytes]
    dimension: int
    float32_le: bytes
    texts: Sequence[str]
    metadata: Sequence[bytes]
    if_versions: Sequence[int]
    expires_at_us: Sequence[int]

    @property
    def is_small(self) -> bool:
        """Whether it is checked within a millisecond."""
        few = max(len(self.ids), len(self.texts), len(self.metadata)) <= _FEW_POINTS
        return few and len(self.float32_le) <= _FEW_BYTES


@dataclass(frozen=True, slots=True)
class ColumnsRequest:
    """Points to store, and how. uid: of the collection that is meant; empty: whoever has the name."""

    collection: str
    columns: Columns
    uid: str = ""
    mode: WriteMode = "upsert"
    long_texts: str = "truncate"
    urgent: bool = False


def check_columns(columns: Columns, spec: CollectionSpec, now_us: int) -> Batch:
    """Check every point. Raises what `batches.parse_batch` raises; details name the index of a bad point."""
    text_rows = [row for row, text in enumerate(columns.texts) if text]
    if text_rows:
        _require_model(spec, text_rows[0])
    given = _matrix(columns, spec, len(text_rows))
    count = len(columns.texts) or len(given)
    check_count(count)
    _check_lengths(columns, count)
    given_rows = _given_rows(columns, count, len(given))
    if fault := find_fault(given, spec):
        index = given_rows[fault.row]
        raise fault.kind(f"vectors[{index}]: {fault.expected}", index=index)
    return Batch(
        ids=_ids(columns.ids, count),
        metadata=_metadata(columns, count),
        given=given,
        given_rows=given_rows,
        texts=[columns.texts[row] for row in text_rows],
        text_rows=text_rows,
        if_versions=_if_versions(columns.if_versions),
        expires_at_us=_expiries(columns.expires_at_us, count, spec.ttl_seconds, now_us),
        given_le=None if text_rows else columns.float32_le,
    )


def _require_model(spec: CollectionSpec, index: int) -> None:
    try:
        require_model(spec, f"vectors[{index}].text")
    except HanaxError as error:
        raise located(error, index) from None


def _matrix(columns: Columns, spec: CollectionSpec, texts: int) -> Matrix:
    """The vectors that came: float32[rows, dimension], a view."""
    raw, dimension = columns.float32_le, columns.dimension
    if not raw and not dimension and texts:
        return np.empty((0, spec.dimension), dtype=np.float32)
    if raw and dimension != spec.dimension:
        # All rows are wrong: told of the first, as of points that come one by one.
        index = next((row for row, text in enumerate(columns.texts) if not text), 0)
        raise DimensionMismatch(
            f"vectors[{index}].vector: collection {spec.name!r} takes {spec.dimension} numbers, "
            f"got {dimension}",
            expected=spec.dimension,
            got=dimension,
            index=index,
        )
    if len(raw) % (_FLOAT_BYTES * spec.dimension):
        row = _FLOAT_BYTES * spec.dimension
        raise InvalidArgument(f"vectors.float32_le: expected rows of {row} bytes, got {len(raw)} bytes")
    matrix: Matrix = np.frombuffer(raw, dtype="<f4").reshape(-1, spec.dimension)
    return matrix


def _check_lengths(columns: Columns, count: int) -> None:
    for name in ("ids", "metadata", "if_versions", "expires_at_us"):
        got = len(getattr(columns, name))
        if got not in (0, count):
            raise InvalidArgument(f"{name}: expected none, or one for each of {count} points; got {got}")


def _given_rows(columns: Columns, count: int, vectors: int) -> list[int]:
    """Which points the vectors are of. Raises InvalidArgument where one has no content, or two."""
    if not columns.texts:
        return list(range(count))
    rows = [row for row, text in enumerate(columns.texts) if not text]
    if vectors < len(rows):
        index = rows[vectors]
        raise InvalidArgument(
            f"vectors[{index}]: expected one of vector, embedding or text, got none of them", index=index
        )
    if vectors > len(rows):
        raise InvalidArgument(
            f"vectors: expected a row for each of the {len(rows)} points without text, got {vectors}"
        )
    return rows


def _ids(ids: Sequence[bytes], count: int) -> list[bytes]:
    """Each once. Raises InvalidId and DuplicateId."""
    if not ids:
        return [new_id() for _ in range(count)]
    encoded = list(ids) if all(ids) else [id_ or new_id() for id_ in ids]
    for index, id_ in enumerate(() if are_of_fixed_size(encoded) else encoded):
        try:
            check_id(id_)
        except InvalidId as error:
            raise InvalidId(
                f"vectors[{index}].id: {error.message}", **{**error.details, "index": index}
            ) from None
    if len(set(encoded)) < count:
        first_by_id: dict[bytes, int] = {}
        for index, id_ in enumerate(encoded):
            first = first_by_id.setdefault(id_, index)
            if first != index:
                raise located(duplicate_id(id_, f"vectors[{index}]", first), index)
    return encoded


class _Part:
    """Names a part of the point at `index`, in messages alone: to write it out takes as long as a check."""

    def __init__(self, part: str) -> None:
        self.index = 0
        self._part = part

    def __str__(self) -> str:
        return f"vectors[{self.index}].{self._part}"


def _metadata(columns: Columns, count: int) -> list[bytes]:
    """As they are stored, of each point."""
    if not columns.metadata and not columns.texts:
        return [_EMPTY] * count
    encoded: list[bytes] = []
    where, where_text = _Part("metadata"), _Part("text")
    raws, texts = columns.metadata or [b""] * count, columns.texts or [""] * count
    for index, (raw, text) in enumerate(zip(raws, texts, strict=True)):
        if not text and (not raw or raw == _EMPTY):
            encoded.append(_EMPTY)
            continue
        where.index = where_text.index = index
        try:
            value = _decode(raw, where)
            if text:
                check_text(text, where_text)
                value = with_text(value, text) if isinstance(value, dict) else value
            encoded.append(encode_metadata(value, where))
        except HanaxError as error:
            raise located(error, index) from None
    return encoded


def _decode(raw: bytes, where: _Part) -> object:
    try:
        return orjson.loads(raw or _EMPTY)
    except orjson.JSONDecodeError as error:
        raise InvalidMetadata(f"{where}: expected an object in JSON: {error}") from None


def _if_versions(versions: Sequence[int]) -> list[int]:
    """Empty when all points may have any."""
    for index, version in enumerate(versions):
        if version < _ANY_VERSION:
            try:
                check_version(version, f"vectors[{index}]")
            except InvalidArgument as error:
                raise located(error, index) from None
    return list(versions) if any(version != _ANY_VERSION for version in versions) else []


def _expiries(instants: Sequence[int], count: int, ttl_seconds: int | None, now_us: int) -> list[int]:
    """Empty when no point expires."""
    default = default_expiry(ttl_seconds, now_us)
    if not any(instants):
        return [default] * count if default else []
    try:
        return [
            check_expiry(instant, f"vectors[{(index := number)}]", now_us) if instant else default
            for number, instant in enumerate(instants)
        ]
    except HanaxError as error:
        raise located(error, index) from None
