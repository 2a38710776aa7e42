"""A batch of points to store: decoded JSON in, columns out, checked whole.

Nothing is sent to a shard before the last point of the batch has passed.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from hanax.core.errors import (
    DuplicateId,
    HanaxError,
    InvalidArgument,
    InvalidId,
)
from hanax.core.ids import decode_id, encode_id
from hanax.core.json_values import kind_of
from hanax.core.limits import MAX_BATCH_POINTS
from hanax.core.specs import CollectionSpec
from hanax.core.texts import check_text
from hanax.core.versions import MAX_VERSION
from hanax.gateway.expiries import read_expiry
from hanax.gateway.metadata import encode_metadata
from hanax.gateway.texts import require_model
from hanax.gateway.vectors import Matrix, VectorRows, find_fault, float32_le

_KEYS: Final = frozenset(
    {"id", "vector", "embedding", "text", "metadata", "if_version", "expires_at", "ttl_seconds"}
)
_EMPTY: Final[Mapping[str, object]] = {}


@dataclass(frozen=True, slots=True)
class Batch:
    """n points in the order given. Each has a row in `given`, or a text that is still to be embedded."""

    ids: list[bytes]
    metadata: list[bytes]
    # float32[len(given_rows), dimension]
    given: Matrix
    given_rows: list[int]
    texts: list[str]
    text_rows: list[int]
    # The version that each stored point must have, -1: any; empty when all may have any.
    if_versions: list[int]
    # When each point expires, microseconds since 1970 UTC, 0: never; empty when none does.
    expires_at_us: list[int]
    # `given` in the form of the wire, where it came in that.
    given_le: bytes | None = None

    def with_embeddings(self, embedded: Matrix) -> Matrix:
        """All vectors, float32[n, dimension], given `embedded` for the texts in order."""
        if not self.texts:
            return self.given
        vectors = np.empty((len(self.ids), embedded.shape[1]), dtype=np.float32)
        vectors[self.given_rows] = self.given
        vectors[self.text_rows] = embedded
        return vectors

    def rows_le(self, rows: Sequence[int]) -> bytes:
        """Of a batch whose points all have a row in `given`: these rows in the form of the wire."""
        if len(rows) < len(self.given):
            return float32_le(self.given[rows])
        return float32_le(self.given) if self.given_le is None else self.given_le


def parse_batch(points: object, spec: CollectionSpec, now_us: int) -> Batch:
    """Check every point. Raises an InvalidArgument, or FailedPrecondition for a text in a collection
    without embedding model; message and details name the index of the first bad point. now_us: from when on
    a life that is given in seconds counts.
    """
    if not isinstance(points, Sequence) or isinstance(points, str):
        raise InvalidArgument(f"vectors: expected a list of points, got {kind_of(points)}")
    check_count(len(points))
    rows = _Rows(spec, now_us)
    for index, point in enumerate(points):
        try:
            rows.add(index, point)
        except HanaxError as error:
            raise located(error, index) from None
    return rows.batch()


def check_count(count: int) -> None:
    """Raises InvalidArgument for a batch of no points, or of too many."""
    if not 0 < count <= MAX_BATCH_POINTS:
        raise InvalidArgument(
            f"vectors: expected 1 to {MAX_BATCH_POINTS} points, got {count}",
            limit=MAX_BATCH_POINTS,
            got=count,
        )


class _Rows:
    """The columns while they are filled."""

    def __init__(self, spec: CollectionSpec, now_us: int) -> None:
        self._spec = spec
        self._now_us = now_us
        self._index_by_id: dict[bytes, int] = {}
        self._metadata: list[bytes] = []
        self._given = VectorRows(spec)
        self._given_rows: list[int] = []
        self._texts: list[str] = []
        self._text_rows: list[int] = []
        self._if_versions: dict[int, int] = {}
        self._expires_at_us: list[int] = []

    def add(self, index: int, point: object) -> None:
        where = f"vectors[{index}]"
        if not isinstance(point, dict):
            raise InvalidArgument(f"{where}: expected an object, got {kind_of(point)}")
        if not _KEYS.issuperset(point):
            unknown = next(key for key in point if key not in _KEYS)
            raise InvalidArgument(
                f"{where}: unknown key {unknown[:60]!r}; expected {', '.join(sorted(_KEYS))}"
            )
        self._add_id(index, point.get("id"), where)
        if (version := point.get("if_version")) is not None:
            self._if_versions[index] = check_version(version, where)
        self._expires_at_us.append(read_expiry(point, where, self._spec.ttl_seconds, self._now_us))
        metadata = point.get("metadata")
        if metadata is None:
            metadata = _EMPTY
        text = self._add_content(index, point, where)
        if text is not None and isinstance(metadata, Mapping):
            metadata = with_text(metadata, text)
        self._metadata.append(encode_metadata(metadata, f"{where}.metadata"))

    def _add_id(self, index: int, value: object, where: str) -> None:
        try:
            encoded = new_id() if value is None else encode_id(value)
        except InvalidId as error:
            raise InvalidId(f"{where}.id: {error.message}", **error.details) from None
        first = self._index_by_id.setdefault(encoded, index)
        if first != index:
            raise duplicate_id(encoded, where, first)

    def _add_content(self, index: int, point: dict[str, Any], where: str) -> str | None:
        """Take the vector, or take and return the text."""
        found = [key for key in ("vector", "embedding", "text") if point.get(key) is not None]
        if len(found) != 1:
            got = " and ".join(found) or "none of them"
            raise InvalidArgument(f"{where}: expected one of vector, embedding or text, got {got}")
        key = found[0]
        if key == "text":
            text = check_text(point[key], f"{where}.text")
            require_model(self._spec, f"{where}.text")
            self._texts.append(text)
            self._text_rows.append(index)
            return text
        self._given.append(point[key], f"{where}.{key}")
        self._given_rows.append(index)
        return None

    def batch(self) -> Batch:
        given = self._given.matrix()
        if fault := find_fault(given, self._spec):
            index = self._given_rows[fault.row]
            raise fault.kind(f"vectors[{index}]: {fault.expected}", index=index)
        return Batch(
            ids=list(self._index_by_id),
            metadata=self._metadata,
            given=given,
            given_rows=self._given_rows,
            texts=self._texts,
            text_rows=self._text_rows,
            if_versions=[self._if_versions.get(row, -1) for row in range(len(self._metadata))]
            if self._if_versions
            else [],
            expires_at_us=self._expires_at_us if any(self._expires_at_us) else [],
        )


def new_id() -> bytes:
    """For a point that came without one."""
    return encode_id(str(uuid.uuid4()))


def duplicate_id(encoded: bytes, where: str, first: int) -> DuplicateId:
    return DuplicateId(f"{where}.id: {decode_id(encoded)!r} is also the id of vectors[{first}]", first=first)


def with_text(metadata: Mapping[str, object], text: str) -> Mapping[str, object]:
    """The metadata of a point whose text is embedded."""
    return metadata if "text" in metadata else {**metadata, "text": text}


def check_version(value: object, where: str) -> int:
    """An if_version. Raises InvalidArgument."""
    if type(value) is not int or not 0 <= value <= MAX_VERSION:
        got = value if isinstance(value, int) and abs(value) < 2**64 else kind_of(value)
        raise InvalidArgument(f"{where}.if_version: expected a whole number from 0 on, got {got}")
    return value


def located(error: HanaxError, index: int) -> HanaxError:
    """The same error of the point at `index`."""
    return type(error)(error.message, **{**error.details, "index": index})
