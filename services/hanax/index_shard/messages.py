"""From wire messages to the engine's arrays and back. Every size is checked before it is trusted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import (
    InvalidArgument,
    InvalidCursor,
    InvalidId,
    InvalidLimit,
    ResourceExhausted,
)
from hanax.core.field_values import Path
from hanax.core.filter_parsing import parse_filter_json
from hanax.core.filters import Filter
from hanax.core.ids import decode_id
from hanax.core.index_specs import SearchParameters
from hanax.core.limits import (
    MAX_BATCH_POINTS,
    MAX_BATCH_QUERIES,
    MAX_DIMENSION,
    MAX_EXAMPLES,
    MAX_FIELDS_TOLD,
    MAX_MESSAGE_BYTES,
    MAX_SEARCH_LIMIT,
)
from hanax.core.specs import DEFAULT_VECTOR
from hanax.engine.points import Hits, Points, Projection
from hanax.engine.query.projecting import narrow
from hanax.engine.shard.results import IndexStats, MetadataStats, ShardStats
from hanax.engine.shard.shard import DEFAULT_PARAMETERS

if TYPE_CHECKING:
    from google.protobuf.message import Message

_FLOAT_BYTES: Final = 4
_EFFORTS: Final = ("ef_search", "nprobe", "probes")


def decode_ids(ids: Sequence[bytes]) -> list[bytes]:
    """1 to MAX_BATCH_POINTS ids in their stored form. Raises InvalidArgument or InvalidId."""
    if not 0 < len(ids) <= MAX_BATCH_POINTS:
        raise InvalidArgument(f"a call takes 1 to {MAX_BATCH_POINTS} points, got {len(ids)}")
    for id_ in ids:
        decode_id(id_)
    return list(ids)


def decode_rows(raw: bytes, dimension: int) -> NDArray[np.float32]:
    """Little-endian float32 bytes as float32[n, dimension], a view of `raw`."""
    if not 0 < dimension <= MAX_DIMENSION:
        raise InvalidArgument(f"a dimension is between 1 and {MAX_DIMENSION}, got {dimension}")
    if len(raw) % (dimension * _FLOAT_BYTES):
        raise InvalidArgument(
            f"expected rows of {dimension} floats, {dimension * _FLOAT_BYTES} bytes each, "
            f"got {len(raw)} bytes"
        )
    return np.frombuffer(raw, dtype="<f4").reshape(-1, dimension)


def decode_columns(columns: Iterable[pb.VectorColumn]) -> dict[str, NDArray[np.float32]]:
    """Vector columns by name: float32[n, dimension] each."""
    decoded: dict[str, NDArray[np.float32]] = {}
    for column in columns:
        if column.name in decoded:
            raise InvalidArgument(f"there are two vector columns named {column.name!r}")
        decoded[column.name] = decode_rows(column.float32_le, column.dimension)
    return decoded


def decode_queries(request: pb.SearchRequest) -> NDArray[np.float32]:
    """float32[q, dimension], q from 1 to MAX_BATCH_QUERIES."""
    queries = decode_rows(request.queries_float32_le, request.dimension)
    if not 0 < len(queries) <= MAX_BATCH_QUERIES:
        raise InvalidArgument(f"a call takes 1 to {MAX_BATCH_QUERIES} queries, got {len(queries)}")
    return queries


def decode_window(limit: int) -> int:
    """How many of the nearest are asked for: a page, the examples left out, and whether more follow."""
    most = MAX_SEARCH_LIMIT + MAX_EXAMPLES + 1
    if not 0 < limit <= most:
        raise InvalidLimit(f"a search is for 1 to {most} points, got {limit}")
    return limit


def decode_limit(limit: int) -> int:
    if not 0 < limit <= MAX_SEARCH_LIMIT:
        raise InvalidLimit(f"a limit is between 1 and {MAX_SEARCH_LIMIT}, got {limit}")
    return limit


def decode_max_distance(request: pb.SearchRequest | pb.RecommendRequest) -> float | None:
    if not request.HasField("max_distance"):
        return None
    if math.isnan(request.max_distance):
        raise InvalidArgument("max_distance is not a number")
    return request.max_distance


def decode_parameters(request: pb.SearchRequest) -> SearchParameters:
    """Raises InvalidArgument naming the one that is out of range."""
    if not request.HasField("parameters"):
        return DEFAULT_PARAMETERS
    asked = request.parameters
    given = {name: getattr(asked, name) for name in _EFFORTS if asked.HasField(name)}
    try:
        return SearchParameters(exact=asked.exact, **given)
    except ValidationError as failure:
        fault = failure.errors(include_url=False)[0]
        raise InvalidArgument(f"{fault['loc'][0]}: {fault['msg'].lower()}, got {fault['input']}") from None


def decode_filter(raw: bytes) -> Filter | None:
    """No bytes: no filter. Raises InvalidFilter."""
    return parse_filter_json(raw) if raw else None


def decode_after(raw: bytes) -> bytes | None:
    """The id that a page begins behind. Raises InvalidCursor."""
    if not raw:
        return None
    try:
        decode_id(raw)
    except InvalidId as error:
        raise InvalidCursor(f"after_id: {error.message}") from None
    return raw


def decode_projection(projection: pb.Projection, points: int, dimension: int) -> Projection:
    """Raises ResourceExhausted when the vectors of `points` points fill more than one message."""
    if projection.vectors:
        _check_size(points * dimension * _FLOAT_BYTES)
    return Projection(projection.metadata, projection.vectors, projection.versions)


def decode_field(field: str) -> Path:
    """The names of a dotted field. Raises InvalidArgument."""
    path = tuple(field.split("."))
    if not all(path):
        raise InvalidArgument(f"expected a field, names joined by '.', got {field[:40]!r}")
    return path


def encode_points(points: Points, fields: Sequence[str] = ()) -> pb.Points:
    """fields: of the metadata, these dotted fields alone; none: all."""
    metadata = points.metadata or []
    if fields:
        paths = [decode_field(field) for field in fields]
        metadata = [narrow(blob, paths) for blob in metadata]
    encoded = pb.Points(
        ids=points.ids,
        metadata=metadata,
        created_at_us=points.created_at_us.tolist(),
        updated_at_us=points.updated_at_us.tolist(),
        versions=() if points.versions is None else points.versions.tolist(),
        expires_at_us=() if points.expires_at_us is None else points.expires_at_us.tolist(),
    )
    if points.vectors is not None:
        encoded.vectors.add(
            name=DEFAULT_VECTOR,
            dimension=points.vectors.shape[1],
            float32_le=points.vectors.astype("<f4", copy=False).tobytes(),
        )
    return encoded


def encode_hits(hits: Hits, fields: Sequence[str] = ()) -> pb.Hits:
    return pb.Hits(distances=hits.distances.tolist(), points=encode_points(hits.points, fields))


def encode_stats(stats: ShardStats, generation: int) -> pb.DescribeResponse:
    return pb.DescribeResponse(
        points=stats.points,
        deleted_rows=stats.deleted_rows,
        segments=stats.segments,
        growing_rows=stats.growing_rows,
        last_sequence=stats.last_sequence,
        covered_sequence=stats.covered_sequence,
        disk_bytes=stats.disk_bytes,
        log_bytes=stats.log_bytes,
        read_only_reason=stats.read_only_reason,
        indexes=map(_encode_index, stats.indexes),
        generation=generation,
        index_memory_bytes=stats.index_memory_bytes,
        live_recall=_measured(stats.live_recall),
        live_recall_samples=stats.live_recall_samples,
        metadata=_encode_metadata(stats.metadata),
    )


def _encode_index(index: IndexStats) -> pb.SegmentIndex:
    return pb.SegmentIndex(
        segment=index.segment,
        column=index.column,
        rows=index.rows,
        state=index.state,
        type=index.type,
        quantisation=index.quantisation,
        effort=index.effort,
        recall=_measured(index.recall),
        memory_bytes=index.memory_bytes,
        reason=index.reason,
    )


def _encode_metadata(metadata: MetadataStats) -> pb.MetadataIndexes:
    return pb.MetadataIndexes(
        fields=metadata.paths,
        left_out=metadata.left_out[:MAX_FIELDS_TOLD],
        field_limit_reached=metadata.more_left_out,
        unindexed_rows=metadata.unindexed_rows,
        bytes=metadata.bytes,
    )


def _measured(share: float) -> float | None:
    return None if math.isnan(share) else share


def check_answer(answer: Message) -> None:
    """Raises ResourceExhausted for an answer that gRPC would refuse to send."""
    _check_size(answer.ByteSize())


def _check_size(size: int) -> None:
    if size > MAX_MESSAGE_BYTES:
        raise ResourceExhausted(
            f"the answer would have {size} bytes, more than the {MAX_MESSAGE_BYTES} of one message: "
            "ask for fewer points or fewer of their columns"
        )
