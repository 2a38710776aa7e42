"""FacetValues and DistinctValues: the values of metadata fields."""

from __future__ import annotations

from typing import Any

from citadel.vector.v1 import vector_pb2 as pb
from hanax.gateway.aggregates import Aggregates
from hanax.gateway.calls import Call
from hanax.gateway.grpc.methods import Methods, Unary
from hanax.gateway.grpc.readings import read_message
from hanax.gateway.query_requests import DistinctRequest, FacetRequest
from hanax.gateway.requests import parse_request


def value_methods(aggregates: Aggregates) -> Methods:
    async def facet(call: Call, question: pb.FacetValuesRequest) -> pb.FacetValuesResponse:
        found = await aggregates.facet(call, parse_request(FacetRequest, _asked(question)))
        return pb.FacetValuesResponse(
            values=[pb.ValueCount(value_json=value, count=count) for value, count in found.values],
            distinct=found.distinct,
            matches=found.matches,
        )

    async def distinct(call: Call, question: pb.DistinctValuesRequest) -> pb.DistinctValuesResponse:
        found = await aggregates.distinct(call, parse_request(DistinctRequest, _asked(question)))
        return pb.DistinctValuesResponse(values_json=found.values, next_cursor=found.next_cursor or "")

    return {
        "FacetValues": Unary(pb.FacetValuesRequest, facet),
        "DistinctValues": Unary(pb.DistinctValuesRequest, distinct),
    }


def _asked(question: pb.FacetValuesRequest | pb.DistinctValuesRequest) -> dict[str, Any]:
    return {**read_message(question), "collection": question.collection, "field": question.field}
