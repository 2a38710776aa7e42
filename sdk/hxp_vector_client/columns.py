"""Points on their way to the server: columns, cut into batches by points and bytes."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypedDict, TypeVar

import numpy as np
from pydantic_core import to_json

from hxp_vector_client.arrays import Array, VectorLike, to_matrix, to_vector
from hxp_vector_client.errors import InvalidArgument
from hxp_vector_client.settings import Batches

PointId = int | str
IdLike = int | str | uuid.UUID | np.integer[Any]
Metadata = Mapping[str, Any]
T = TypeVar("T")

# Of a point beside what is counted: names of fields, an id, braces.
_FRAME_BYTES: Final = 160


class NewPoint(TypedDict, total=False):
    """One point to write: a vector, or a text for the collection's model. `id` is made when missing."""

    id: IdLike
    vector: VectorLike
    text: str
    metadata: Metadata
    if_version: int
    expires_at: datetime | str
    ttl_seconds: int


@dataclass(frozen=True, slots=True)
class Carried:
    """What one request of a transport may carry at most, and what a number of a vector takes in it."""

    points: int
    bytes: int
    bytes_per_number: int


@dataclass(slots=True)
class Columns:
    """n points. ids has n entries; each other column n, or is None.

    vectors: float32 of shape (n, dimension) where every point has one; else a list with None for those that
    have a text.
    """

    ids: list[PointId]
    vectors: Array | list[Array | None] | None = None
    texts: Sequence[str | None] | None = None
    metadata: Sequence[Metadata | None] | None = None
    if_versions: Sequence[int | None] | None = None
    expires_at: Sequence[datetime | str | None] | None = None
    ttl_seconds: Sequence[int | None] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, begin: int, end: int) -> Columns:
        return Columns(
            self.ids[begin:end],
            _cut(self.vectors, begin, end),
            _cut(self.texts, begin, end),
            _cut(self.metadata, begin, end),
            _cut(self.if_versions, begin, end),
            _cut(self.expires_at, begin, end),
            _cut(self.ttl_seconds, begin, end),
        )

    def points(self) -> list[dict[str, Any]]:
        """As REST takes them; vectors are rows of numpy."""
        points: list[dict[str, Any]] = [{"id": one} for one in self.ids]
        for name, column in (
            ("vector", self.vectors),
            ("text", self.texts),
            ("metadata", self.metadata),
            ("if_version", self.if_versions),
            ("expires_at", self.expires_at),
            ("ttl_seconds", self.ttl_seconds),
        ):
            if column is not None:
                for point, value in zip(points, column, strict=True):
                    if value is not None:
                        point[name] = value
        return points


def make_columns(
    vectors: object,
    ids: Iterable[IdLike] | None,
    texts: Sequence[str | None] | None,
    metadata: Sequence[Metadata | None] | None,
    others: Mapping[str, Any],
) -> Columns:
    """others: the further columns by name. Raises InvalidArgument where columns differ in length."""
    matrix = None if vectors is None else to_matrix(vectors)
    count = len(matrix) if matrix is not None else len(texts) if texts is not None else None
    if count is None:
        raise InvalidArgument("expected vectors or texts")
    made = make_ids(count) if ids is None else [plain_id(one) for one in ids]
    columns = Columns(made, matrix, texts, metadata, **others)
    named = {"ids": made, "texts": texts, "metadata": metadata, **others}
    for name, column in named.items():
        if column is not None and len(column) != count:
            raise InvalidArgument(f"{name}: expected {count} entries, one for each point, got {len(column)}")
    return columns


def columns_of(points: Sequence[NewPoint | Mapping[str, Any]]) -> Columns:
    """Raises InvalidArgument for what is no point; `index` of its details is the place."""
    ids: list[PointId] = []
    vectors: list[Array | None] = []
    for place, point in enumerate(points):
        try:
            _check_point(point, f"points[{place}]")
            ids.append(plain_id(point["id"], f"points[{place}].id: ") if "id" in point else str(uuid.uuid4()))
            vector = point.get("vector")
            vectors.append(None if vector is None else to_vector(vector, f"points[{place}].vector"))
        except InvalidArgument as error:
            error.details["index"] = place
            raise
    return Columns(
        ids,
        _one_matrix(vectors),
        _column(points, "text"),
        _column(points, "metadata"),
        _column(points, "if_version"),
        _column(points, "expires_at"),
        _column(points, "ttl_seconds"),
    )


def cut(columns: Columns, batches: Batches, carried: Carried) -> Iterator[tuple[int, Columns]]:
    """Batches, each with the number of its first point. A point that is too large for one goes alone, so that
    the server can say so."""
    most_points = max(1, min(batches.points, carried.points))
    most_bytes = min(batches.bytes or carried.bytes, carried.bytes)
    begin = held = 0
    for place, size in enumerate(_sizes(columns, carried.bytes_per_number)):
        if place > begin and (place - begin == most_points or held + size > most_bytes):
            yield begin, columns.part(begin, place)
            begin, held = place, 0
        held += size
    if begin < len(columns):
        yield begin, columns.part(begin, len(columns))


def plain_id(given: object, where: str = "") -> PointId:
    """An id that JSON has. where: begins the message. Raises InvalidArgument for what can be none."""
    if isinstance(given, str) or type(given) is int:
        return given
    if isinstance(given, uuid.UUID):
        return str(given)
    if isinstance(given, np.integer):
        return int(given)
    raise InvalidArgument(f"{where}an id is an integer, a string or a UUID, got {type(given).__name__}")


def make_ids(count: int) -> list[PointId]:
    """Made here, so that a write that is sent again writes the same points."""
    return [str(uuid.uuid4()) for _ in range(count)]


def _sizes(columns: Columns, bytes_per_number: int) -> Iterator[int]:
    """Bytes of each point on the wire, about and not below."""
    for place in range(len(columns)):
        size = _FRAME_BYTES
        if columns.vectors is not None and (vector := columns.vectors[place]) is not None:
            size += vector.size * bytes_per_number
        if columns.texts is not None and (text := columns.texts[place]) is not None:
            # Up to six for a character in JSON, but three is more than all but control characters take.
            size += 3 * len(str(text))
        if columns.metadata is not None and (metadata := columns.metadata[place]) is not None:
            size += len(to_json(metadata, fallback=str))
        yield size


def _cut(column: Any, begin: int, end: int) -> Any:
    return None if column is None else column[begin:end]


def _column(points: Sequence[Mapping[str, Any]], name: str) -> list[Any] | None:
    column = [point.get(name) for point in points]
    return None if all(value is None for value in column) else column


def _check_point(point: object, where: str) -> None:
    """Raises InvalidArgument."""
    if not isinstance(point, Mapping):
        raise InvalidArgument(f"{where}: expected an object, got {type(point).__name__}")
    for name in point:
        if name not in _POINT_FIELDS:
            raise InvalidArgument(f"{where}.{name}: expected one of {', '.join(_POINT_FIELDS)}")


def _one_matrix(vectors: list[Array | None]) -> Array | list[Array | None] | None:
    there = [vector for vector in vectors if vector is not None]
    if not there:
        return None
    if len(there) == len(vectors) and len({len(vector) for vector in there}) == 1:
        return np.stack(there)
    return vectors


_POINT_FIELDS: Final = tuple(NewPoint.__annotations__)
