"""What facets, groups, orders and recommendations are asked for on the wire, checked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import orjson
from numpy.typing import NDArray

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import InvalidArgument, InvalidCursor, InvalidLimit
from hanax.core.field_order import Start, key_from_json
from hanax.core.field_values import value_from_json
from hanax.core.filters import Scalar
from hanax.core.limits import MAX_EXAMPLES, MAX_GROUP_SIZE, MAX_GROUPS
from hanax.core.specs import DEFAULT_VECTOR
from hanax.engine.query.ordering import Order
from hanax.engine.query.planning import Explanation
from hanax.engine.shard.reads import Wanted
from hanax.index_shard.messages import (
    decode_field,
    decode_filter,
    decode_max_distance,
    decode_parameters,
    decode_projection,
    decode_rows,
    decode_window,
)


def decode_order(asked: pb.OrderBy, after: bytes | None) -> Order:
    """Raises InvalidCursor when the key and the id of the last point do not come together."""
    if (after is None) is not (not asked.after_key_json):
        raise InvalidCursor("an order goes on behind a key and an id, or behind neither")
    start = None if after is None else Start(key_from_json(asked.after_key_json), after)
    return Order(decode_field(asked.field), asked.descending, start)


def decode_after_value(raw: bytes) -> tuple[Scalar] | None:
    """The value that a page begins behind. Raises InvalidArgument."""
    return (value_from_json(raw),) if raw else None


def decode_examples(request: pb.RecommendRequest) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Positive and negative examples, float32[m, dimension] each; 1 to MAX_EXAMPLES together."""
    positives = decode_rows(request.positives_float32_le, request.dimension)
    negatives = decode_rows(request.negatives_float32_le, request.dimension)
    count = len(positives) + len(negatives)
    if not 0 < count <= MAX_EXAMPLES:
        raise InvalidArgument(f"a call takes 1 to {MAX_EXAMPLES} examples, got {count}")
    return positives, negatives


def decode_recommendation(request: pb.RecommendRequest) -> Wanted:
    limit = decode_window(request.limit)
    return Wanted(
        limit,
        decode_filter(request.filter_json),
        decode_max_distance(request),
        decode_projection(request.projection, limit, request.dimension),
        request.vector_name or DEFAULT_VECTOR,
    )


def decode_groups(request: pb.SearchGroupsRequest) -> int:
    """How many groups are asked for. Raises InvalidLimit, or InvalidArgument for several queries."""
    groups = len(request.values_json) or request.groups
    if not 0 < groups <= MAX_GROUPS:
        raise InvalidLimit(f"a call is for 1 to {MAX_GROUPS} groups, got {groups}")
    if len(request.search.queries_float32_le) != 4 * request.search.dimension:
        raise InvalidArgument("groups are searched for by one query")
    return groups


def decode_group_search(search: pb.SearchRequest, groups: int) -> Wanted:
    if not 0 < search.limit <= MAX_GROUP_SIZE:
        raise InvalidLimit(f"a group has 1 to {MAX_GROUP_SIZE} points, got {search.limit}")
    return Wanted(
        search.limit,
        decode_filter(search.filter_json),
        decode_max_distance(search),
        decode_projection(search.projection, groups * search.limit, search.dimension),
        search.vector_name or DEFAULT_VECTOR,
        decode_parameters(search),
    )


def encode_explanations(explanations: Sequence[Explanation]) -> bytes:
    """A JSON list, one object per segment, oldest first."""
    return orjson.dumps(
        [
            {
                "segment": one.segment,
                "rows": one.rows,
                "live_rows": one.live_rows,
                "plan": one.plan.value,
                "estimate": one.estimate._asdict(),
                "matched": one.matched,
                "reason": one.reason,
                "unknown_fields": one.unknown_fields,
            }
            for one in explanations
        ]
    )
