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
from hanax.core.versions import MAX_VERSION
from hanax.gateway.expiries import read_expiry
from hanax.gateway.metadata import encode_metadata
from hanax.gateway.texts import check_text, require_model
from hanax.gateway.vectors import Matrix, VectorRows, find_fault

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

    def with_embeddings(self, embedded: Matrix) -> Matrix:
        """All vectors, float32[n, dimension], given `embedded` for the texts in order."""
        if not self.texts:
            return self.given
        vectors = np.empty((len(self.ids), embedded.shape[1]), dtype=np.float32)
        vectors[self.given_rows] = self.given
        vectors[self.text_rows] = embedded
        return vectors


def parse_batch(points: object, spec: CollectionSpec, now_us: int) -> Batch:
    """Check every point. Raises an InvalidArgument, or FailedPrecondition for a text in a collection
    without embedding model; message and details name the index of the first bad point. now_us: from when on
    a life that is given in seconds counts.
    """
    if not isinstance(points, Sequence) or isinstance(points, str):
        raise InvalidArgument(f"vectors: expected a list of points, got {kind_of(points)}")
    if not 0 < len(points) <= MAX_BATCH_POINTS:
        raise InvalidArgument(
            f"vectors: expected 1 to {MAX_BATCH_POINTS} points, got {len(points)}",
            limit=MAX_BATCH_POINTS,
            got=len(points),
        )
    rows = _Rows(spec, now_us)
    for index, point in enumerate(points):
        try:
            rows.add(index, point)
        except HanaxError as error:
            raise _located(error, index) from None
    return rows.batch()


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
            self._if_versions[index] = _check_version(version, where)
        self._expires_at_us.append(read_expiry(point, where, self._spec.ttl_seconds, self._now_us))
        metadata = point.get("metadata")
        if metadata is None:
            metadata = _EMPTY
        text = self._add_content(index, point, where)
        if text is not None and isinstance(metadata, Mapping) and "text" not in metadata:
            metadata = {**metadata, "text": text}
        self._metadata.append(encode_metadata(metadata, f"{where}.metadata"))

    def _add_id(self, index: int, value: object, where: str) -> None:
        try:
            encoded = encode_id(str(uuid.uuid4()) if value is None else value)
        except InvalidId as error:
            raise InvalidId(f"{where}.id: {error.message}", **error.details) from None
        first = self._index_by_id.setdefault(encoded, index)
        if first != index:
            raise DuplicateId(
                f"{where}.id: {decode_id(encoded)!r} is also the id of vectors[{first}]", first=first
            )

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


def _check_version(value: object, where: str) -> int:
    if type(value) is not int or not 0 <= value <= MAX_VERSION:
        got = value if isinstance(value, int) and abs(value) < 2**64 else kind_of(value)
        raise InvalidArgument(f"{where}.if_version: expected a whole number from 0 on, got {got}")
    return value


def _located(error: HanaxError, index: int) -> HanaxError:
    return type(error)(error.message, **{**error.details, "index": index})
