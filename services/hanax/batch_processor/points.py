"""From an item to a point: what can be found wrong here does not cost a call, and fails this item alone.

What only the gateway knows (the collection's rules, how many tokens a text has) is checked there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from hanax.batch_processor.made_ids import IdMaker
from hanax.batch_processor.sources import Item
from hanax.batch_processor.sources.opening import vector_field
from hanax.core.distances import Metric
from hanax.core.errors import (
    DimensionMismatch,
    HanaxError,
    InvalidArgument,
    InvalidExpiry,
    InvalidMetadata,
    MetadataTooLarge,
    NonFiniteVector,
    ZeroVector,
)
from hanax.core.ids import decode_id, encode_id
from hanax.core.job_specs import BulkEmbed, BulkInsert
from hanax.core.json_values import kind_of
from hanax.core.limits import (
    MAX_INSTANT_US,
    MAX_METADATA_BYTES,
    MAX_METADATA_DEPTH,
    MAX_TTL_SECONDS,
    MAX_VECTOR_NORM,
    MIN_COSINE_NORM,
)
from hanax.core.texts import check_text
from hanax.core.times import instant_of
from hanax.core.versions import MAX_VERSION
from hanax.metadata.jobs.job import MAX_ITEM_BYTES, FailedItem, Job

Vector = npt.NDArray[np.float32]

ANY_VERSION: Final = -1
_POINT_KEYS: Final = frozenset(
    {"id", "vector", "embedding", "text", "metadata", "if_version", "expires_at", "ttl_seconds"}
)


@dataclass(slots=True)
class Point:
    """What is sent of an item: a text, or a vector. fields: the item's own, to tell of it when it fails.

    metadata: JSON, empty for none. expires_at_us: 0: as the collection says.
    """

    number: int
    line: int | None
    id: bytes
    text: str
    vector: Vector | None
    metadata: bytes
    fields: Mapping[str, Any]
    if_version: int = ANY_VERSION
    expires_at_us: int = 0

    @property
    def bytes(self) -> int:
        """About as much of a message as it will take."""
        return (
            len(self.text) + len(self.metadata) + (self.vector.nbytes if self.vector is not None else 0) + 64
        )


@dataclass(frozen=True, slots=True)
class Shape:
    """What vectors of a collection must be."""

    dimension: int
    metric: Metric

    def read(self, value: object, name: str) -> Vector:
        """Raises InvalidArgument, DimensionMismatch or NonFiniteVector. What only arithmetic shows is left
        to `faults`.
        """
        vector = _numbers(value, name)
        if len(vector) != self.dimension:
            raise DimensionMismatch(
                f"{name}: the collection takes {self.dimension} numbers, got {len(vector)}",
                expected=self.dimension,
                got=len(vector),
            )
        return vector

    def faults(self, vectors: Sequence[Vector]) -> dict[int, HanaxError]:
        """What is wrong with vectors that were read, by their place: all at once, which costs a tenth."""
        if not vectors:
            return {}
        matrix = np.stack(vectors)
        norms = np.sqrt(np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64))
        found: dict[int, HanaxError] = {}
        # NaN fails the comparison as well.
        for place in np.flatnonzero(~(norms <= MAX_VECTOR_NORM)).tolist():
            found[place] = NonFiniteVector(
                f"vector: expected finite float32 numbers and a length up to {MAX_VECTOR_NORM:g}"
            )
        if self.metric is Metric.COSINE:
            for place in np.flatnonzero(norms < MIN_COSINE_NORM).tolist():
                found[place] = ZeroVector(f"vector: cosine needs a length of at least {MIN_COSINE_NORM:g}")
        return found


class PointReader:
    """Items of one job as points."""

    def __init__(self, job: Job, spec: BulkEmbed | BulkInsert, shape: Shape | None) -> None:
        """shape: of the collection's vectors; None: there is no collection."""
        self._made_id = IdMaker(job.id)
        self._created_at_us = job.created_at_us
        self._shape = shape
        self._as_points = isinstance(spec, BulkEmbed) and spec.rows == "points"
        self._is_text = isinstance(spec, BulkEmbed)
        self._content = spec.text_field if isinstance(spec, BulkEmbed) else vector_field(spec)
        self._id_field = spec.id_field
        self._metadata_from = spec.metadata
        # A result file has no metadata.
        self._no_metadata = shape is None or spec.metadata == "none"
        self._not_metadata = {name for name in (self._content, spec.id_field) if name}

    def read(self, item: Item) -> Point | FailedItem:
        if item.fault is not None:
            return failed_item(item, item.fault)
        try:
            return self._point(item) if self._as_points else self._row(item)
        except HanaxError as error:
            return failed_item(item, error)

    def faults(self, points: Sequence[Point]) -> dict[int, HanaxError]:
        """What is wrong with points that were read, by their place among these."""
        if self._shape is None:
            return {}
        places = [place for place, point in enumerate(points) if point.vector is not None]
        vectors = [point.vector for point in points if point.vector is not None]
        return {places[row]: error for row, error in self._shape.faults(vectors).items()}

    def _row(self, item: Item) -> Point:
        fields = item.fields
        given = fields.get(self._id_field) if self._id_field else None
        encoded = self._made_id.of(item.number) if given is None else encode_id(given)
        content = fields.get(self._content)
        if content is None:
            raise InvalidArgument(f"the row has no field {self._content!r}", field=self._content)
        metadata = self.metadata(fields)
        if self._is_text:
            text = check_text(content, self._content)
            return Point(item.number, item.line, encoded, text, None, metadata, fields)
        assert self._shape is not None
        vector = self._shape.read(content, self._content)
        return Point(item.number, item.line, encoded, "", vector, metadata, fields)

    def metadata(self, fields: Mapping[str, Any]) -> bytes:
        """JSON of what a row brings; empty for none. Raises InvalidMetadata or MetadataTooLarge."""
        if self._no_metadata or fields.keys() <= self._not_metadata:
            return b""
        own = fields.get("metadata")
        if self._metadata_from == "object" or (self._metadata_from == "auto" and isinstance(own, dict)):
            return encode_metadata({} if own is None else own)
        rest = {name: value for name, value in fields.items() if name not in self._not_metadata}
        return encode_metadata(rest) if rest else b""

    def _point(self, item: Item) -> Point:
        """A row as an insert takes it (BulkEmbed.rows)."""
        fields = item.fields
        if unknown := fields.keys() - _POINT_KEYS:
            expected = ", ".join(sorted(_POINT_KEYS))
            raise InvalidArgument(f"unknown key {min(unknown)[:60]!r}; expected {expected}")
        found = [key for key in ("vector", "embedding", "text") if fields.get(key) is not None]
        if len(found) != 1:
            got = " and ".join(found) or "none of them"
            raise InvalidArgument(f"expected one of vector, embedding or text, got {got}")
        assert self._shape is not None
        given, metadata = fields.get("id"), fields.get("metadata")
        point = Point(
            item.number,
            item.line,
            self._made_id.of(item.number) if given is None else encode_id(given),
            "",
            None,
            b"" if metadata is None else encode_metadata(metadata),
            fields,
            _version(fields.get("if_version")),
            _expiry(fields, self._created_at_us),
        )
        if found[0] == "text":
            point.text = check_text(fields["text"], "text")
        else:
            point.vector = self._shape.read(fields[found[0]], found[0])
        return point


def failed_item(of: Item | Point, error: HanaxError) -> FailedItem:
    """The dead letter of an item: which it is, why it failed, and what it was, unless that is too long."""
    item = b""
    if of.fields and not any(map(_is_beyond_json, of.fields.values())):
        # What has no form in JSON is why it failed.
        with suppress(TypeError):
            item = orjson.dumps(of.fields, default=str, option=orjson.OPT_SERIALIZE_NUMPY)
    given = decode_id(of.id) if isinstance(of, Point) else of.fields.get("id")
    known = given if isinstance(given, int | str) and not isinstance(given, bool) else None
    kept = item.decode() if len(item) <= MAX_ITEM_BYTES else ""
    return FailedItem(of.number, error.code, error.message, of.line, known, kept)


def _is_beyond_json(value: object) -> bool:
    """A vector with numbers that JSON has no words for: it would be kept as another one."""
    return isinstance(value, np.ndarray) and not bool(np.isfinite(value).all())


def encode_metadata(value: object) -> bytes:
    """JSON of a metadata object. Raises InvalidMetadata or MetadataTooLarge."""
    if not isinstance(value, dict):
        raise InvalidMetadata(f"metadata: expected an object, got {kind_of(value)}")
    if any(map(_is_beyond_json, value.values())):
        raise InvalidMetadata("metadata: numbers must be finite")
    try:
        encoded = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError as error:
        if "Recursion" in str(error):
            raise InvalidMetadata(f"metadata: at most {MAX_METADATA_DEPTH} levels deep") from None
        raise InvalidMetadata(f"metadata: {error}") from None
    if len(encoded) > MAX_METADATA_BYTES:
        raise MetadataTooLarge(
            f"metadata: at most {MAX_METADATA_BYTES} bytes as JSON, got {len(encoded)}",
            limit_bytes=MAX_METADATA_BYTES,
            got_bytes=len(encoded),
        )
    return encoded


def _numbers(value: object, name: str) -> Vector:
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, str):
        # A cell of a table.
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise InvalidArgument(f"{name}: expected a JSON list of numbers, got text") from None
    if not isinstance(value, list):
        raise InvalidArgument(f"{name}: expected a list of numbers, got {kind_of(value)}")
    # JSON's true would pass for 1.0.
    if not {float, int}.issuperset(map(type, value)):
        place, other = next((i, v) for i, v in enumerate(value) if type(v) not in (float, int))
        raise InvalidArgument(f"{name}[{place}]: expected a number, got {kind_of(other)}")
    try:
        with np.errstate(over="ignore"):
            return np.array(value, dtype=np.float32)
    except OverflowError:
        raise NonFiniteVector(f"{name}: a number is beyond the range of float32") from None


def _version(value: object) -> int:
    if value is None:
        return ANY_VERSION
    if type(value) is not int or not 0 <= value <= MAX_VERSION:
        raise InvalidArgument(f"if_version: expected a whole number from 0 on, got {kind_of(value)}")
    return value


def _expiry(fields: Mapping[str, Any], created_at_us: int) -> int:
    """A life in seconds counts from when the job was ordered, so that doing it twice is doing it once."""
    at, life = fields.get("expires_at"), fields.get("ttl_seconds")
    if at is not None and life is not None:
        raise InvalidExpiry("expected expires_at or ttl_seconds, got both")
    if at is not None:
        instant = instant_of(at) if isinstance(at, str) else None
        if instant is None or not 0 < instant <= MAX_INSTANT_US:
            raise InvalidExpiry(f"expires_at: expected a time like 2031-01-31T10:00:00Z, got {kind_of(at)}")
        return instant
    if life is None:
        return 0
    if type(life) is not int or not 1 <= life <= MAX_TTL_SECONDS:
        raise InvalidExpiry(f"ttl_seconds: expected a whole number from 1 to {MAX_TTL_SECONDS}")
    return created_at_us + 1_000_000 * life
