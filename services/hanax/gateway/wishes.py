"""What a request wishes of the shards' answers, in the form of the wire."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.distances import Metric, distance_for_score
from hanax.core.errors import InvalidArgument
from hanax.core.index_specs import SearchParameters
from hanax.core.provenance import is_reserved
from hanax.core.routing import CollectionRoute
from hanax.core.specs import DEFAULT_VECTOR
from hanax.gateway.query_requests import BatchSearchRequest, GroupSearchRequest, RecommendRequest
from hanax.gateway.requests import SearchRequest, encode_filter

Included = bool | Sequence[str]


def question_of(
    request: SearchRequest | BatchSearchRequest | GroupSearchRequest | RecommendRequest,
    route: CollectionRoute,
) -> pb.SearchRequest:
    """All but the shard, the queries and the limit. Raises InvalidFilter and InvalidArgument."""
    return pb.SearchRequest(
        vector_name=DEFAULT_VECTOR,
        dimension=route.spec.dimension,
        filter_json=encode_filter(request.filter),
        projection=encode_projection(
            request.include_metadata, request.include_vectors, request.include_version
        ),
        max_distance=distance_bound(route.spec.metric, request.score_threshold),
        parameters=encode_parameters(request),
    )


def encode_projection(metadata: Included, vectors: Included, versions: bool) -> pb.Projection:
    """Raises InvalidArgument for a vector that collections do not have."""
    if not isinstance(vectors, bool):
        for number, name in enumerate(vectors):
            if name != DEFAULT_VECTOR:
                raise InvalidArgument(
                    f"include_vectors[{number}]: there is no vector {name[:40]!r}; "
                    f"expected {DEFAULT_VECTOR!r}"
                )
    # Provenance comes first: see hanax.gateway.provenance.
    fields = [] if isinstance(metadata, bool) else sorted(dict.fromkeys(metadata), key=_is_own)
    return pb.Projection(
        metadata=bool(metadata), vectors=bool(vectors), metadata_fields=fields, versions=versions
    )


def _is_own(field: str) -> bool:
    return not is_reserved(field)


def encode_parameters(asked: SearchParameters) -> pb.SearchParameters | None:
    """None when nothing was asked of the indexes."""
    given = {name: getattr(asked, name) for name in SearchParameters.model_fields}
    return pb.SearchParameters(**given) if any(given.values()) else None


def distance_bound(metric: Metric, threshold: float | None) -> float | None:
    """The largest distance, float32, that a shard need look at; None: any.

    A little wide, because rounding must not lose a point whose score is the threshold: by what
    `score_of` may round away, then by one step of float32. `best_hits` cuts exactly.
    """
    if threshold is None:
        return None
    exact = distance_for_score(metric, threshold)
    slack = 4 * np.finfo(np.float64).eps * (1.0 + abs(exact))
    with np.errstate(over="ignore"):
        bound = float(np.nextafter(np.float32(exact + slack), np.float32(np.inf)))
    return bound if math.isfinite(bound) else None
