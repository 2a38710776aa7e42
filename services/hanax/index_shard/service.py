"""ShardService: decode, call the engine, encode. What is refused here has written nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc

from citadel.vector.v1 import shard_pb2 as pb
from citadel.vector.v1.shard_pb2_grpc import ShardServiceServicer
from hanax.core.errors import InvalidArgument, VersionConflict
from hanax.core.routing import CollectionRoute
from hanax.core.specs import DEFAULT_VECTOR
from hanax.engine.query.planning import Explanation
from hanax.engine.shard.shard import Shard
from hanax.index_shard import messages, writes
from hanax.index_shard.metrics import Metrics
from hanax.index_shard.queries import (
    decode_after_value,
    decode_examples,
    decode_group_search,
    decode_groups,
    decode_order,
    decode_recommendation,
    encode_explanations,
)
from hanax.index_shard.replicas import Replicas


class ShardService(ShardServiceServicer):
    """`look` reads the routing table anew: a caller may know of a collection before this node does."""

    def __init__(
        self, replicas: Replicas, metrics: Metrics, look: Callable[[], None], wires_port: int
    ) -> None:
        self._replicas = replicas
        self._metrics = metrics
        self._look = look
        self._wires_port = wires_port

    def Upsert(self, request: pb.UpsertRequest, context: grpc.ServicerContext) -> pb.UpsertResponse:
        with self._serving("upsert", request.ref) as (shard, _):
            ids = messages.decode_ids(request.ids)
            conditions = writes.decode_conditions(request, ids)
            columns = messages.decode_columns(request.vectors)
            expiries = writes.decode_expiries(request)
            try:
                done = shard.upsert(ids, columns, list(request.metadata), conditions, expiries)
            except VersionConflict as conflict:
                return pb.UpsertResponse(conflicts=writes.encode_conflicts(conflict))
            return pb.UpsertResponse(
                sequence=done.sequence, inserted=done.inserted, updated=done.updated, skipped=done.skipped
            )

    def UpdateMetadata(
        self, request: pb.UpdateMetadataRequest, context: grpc.ServicerContext
    ) -> pb.UpdateMetadataResponse:
        with self._serving("update_metadata", request.ref) as (shard, _):
            replace = writes.decode_replace(request.mode)
            ids = messages.decode_ids(request.ids)
            if_versions = writes.decode_if_versions(request.if_versions, ids)
            try:
                done = shard.update_metadata(ids, list(request.metadata), replace, if_versions)
            except VersionConflict as conflict:
                return pb.UpdateMetadataResponse(conflicts=writes.encode_conflicts(conflict))
            return pb.UpdateMetadataResponse(
                sequence=done.sequence, updated=done.updated, missing=done.missing
            )

    def ChangeMetadata(
        self, request: pb.ChangeMetadataRequest, context: grpc.ServicerContext
    ) -> pb.ChangeMetadataResponse:
        with self._serving("change_metadata", request.ref) as (shard, _):
            expression = messages.decode_filter(request.filter_json)
            if (expression is None) is (not request.ids):
                raise InvalidArgument("expected either ids or a filter of what to change")
            change = writes.decode_change(request)
            if expression is not None:
                # Nobody waits for the rest once the caller has gone.
                done = shard.metadata_changes.matching(expression, change, context.is_active)
            else:
                done = shard.metadata_changes.by_ids(messages.decode_ids(request.ids), change)
            return pb.ChangeMetadataResponse(
                sequence=done.sequence, matched=done.matched, updated=done.updated, versions=done.versions
            )

    def Delete(self, request: pb.DeleteRequest, context: grpc.ServicerContext) -> pb.DeleteResponse:
        with self._serving("delete", request.ref) as (shard, _):
            expression = messages.decode_filter(request.filter_json)
            if (expression is None) is (not request.ids):
                raise InvalidArgument("expected either ids or a filter of what to delete")
            if expression is not None:
                if request.if_versions:
                    raise InvalidArgument("if_versions goes with ids")
                done = shard.delete_matching(expression)
            else:
                ids = messages.decode_ids(request.ids)
                try:
                    done = shard.delete(ids, writes.decode_if_versions(request.if_versions, ids))
                except VersionConflict as conflict:
                    return pb.DeleteResponse(conflicts=writes.encode_conflicts(conflict))
            return pb.DeleteResponse(sequence=done.sequence, deleted=done.deleted)

    def Search(self, request: pb.SearchRequest, context: grpc.ServicerContext) -> pb.SearchResponse:
        started = time.perf_counter()
        with self._serving("search", request.ref) as (shard, _):
            queries = messages.decode_queries(request)
            limit = messages.decode_window(request.limit)
            expression = messages.decode_filter(request.filter_json)
            explanations: list[Explanation] | None = [] if request.explain else None
            results = shard.search(
                queries,
                limit,
                expression=expression,
                max_distance=messages.decode_max_distance(request),
                projection=messages.decode_projection(
                    request.projection, len(queries) * limit, request.dimension
                ),
                vector_name=request.vector_name or DEFAULT_VECTOR,
                parameters=messages.decode_parameters(request),
                explain=explanations,
            )
            fields = request.projection.metadata_fields
            next_expiry_us = shard.next_expiry_us() if request.count_matches else 0
            answer = pb.SearchResponse(
                results=(messages.encode_hits(hits, fields) for hits in results),
                matches=shard.count(expression) if request.count_matches else None,
                explanation_json=encode_explanations(explanations or []) if request.explain else b"",
                next_expiry_us=next_expiry_us,
            )
            messages.check_answer(answer)
            answer.shard_seconds = time.perf_counter() - started
            return answer

    def Recommend(self, request: pb.RecommendRequest, context: grpc.ServicerContext) -> pb.SearchResponse:
        started = time.perf_counter()
        with self._serving("recommend", request.ref) as (shard, _):
            positives, negatives = decode_examples(request)
            wanted = decode_recommendation(request)
            next_expiry_us = shard.next_expiry_us() if request.count_matches else 0
            hits = shard.reads.recommend(positives, negatives, wanted)
            answer = pb.SearchResponse(
                results=[messages.encode_hits(hits, request.projection.metadata_fields)],
                matches=shard.count(wanted.expression) if request.count_matches else None,
                next_expiry_us=next_expiry_us,
            )
            messages.check_answer(answer)
            answer.shard_seconds = time.perf_counter() - started
            return answer

    def SearchGroups(
        self, request: pb.SearchGroupsRequest, context: grpc.ServicerContext
    ) -> pb.SearchGroupsResponse:
        started = time.perf_counter()
        search = request.search
        with self._serving("search_groups", request.ref) as (shard, _):
            query, path = messages.decode_queries(search), messages.decode_field(request.field)
            groups = decode_groups(request)
            wanted = decode_group_search(search, groups)
            if request.values_json:
                found = shard.reads.search_values(query, path, list(request.values_json), wanted)
            else:
                found = shard.reads.search_groups(query, path, groups, wanted)
            answer = pb.SearchGroupsResponse(
                groups=[
                    pb.Group(
                        value_json=group.value,
                        hits=messages.encode_hits(group.hits, search.projection.metadata_fields),
                    )
                    for group in found
                ]
            )
            messages.check_answer(answer)
            answer.shard_seconds = time.perf_counter() - started
            return answer

    def Get(self, request: pb.GetRequest, context: grpc.ServicerContext) -> pb.GetResponse:
        with self._serving("get", request.ref) as (shard, route):
            ids = messages.decode_ids(request.ids)
            projection = messages.decode_projection(request.projection, len(ids), route.spec.dimension)
            points = shard.get(ids, projection)
            answer = pb.GetResponse(points=messages.encode_points(points, request.projection.metadata_fields))
            messages.check_answer(answer)
            return answer

    def Scroll(self, request: pb.ScrollRequest, context: grpc.ServicerContext) -> pb.ScrollResponse:
        with self._serving("scroll", request.ref) as (shard, route):
            after = messages.decode_after(request.after_id)
            limit = messages.decode_limit(request.limit)
            expression = messages.decode_filter(request.filter_json)
            projection = messages.decode_projection(request.projection, limit, route.spec.dimension)
            keys: list[bytes] = []
            if request.HasField("order_by"):
                order = decode_order(request.order_by, after)
                points, keys, has_more = shard.reads.scroll_by(order, limit, expression, projection)
            else:
                points, has_more = shard.scroll(after, limit, expression, projection)
            answer = pb.ScrollResponse(
                points=messages.encode_points(points, request.projection.metadata_fields),
                has_more=has_more,
                keys_json=keys,
            )
            messages.check_answer(answer)
            return answer

    def Count(self, request: pb.CountRequest, context: grpc.ServicerContext) -> pb.CountResponse:
        with self._serving("count", request.ref) as (shard, _):
            # Before the points are counted, so that none expires unnoticed. So it is below.
            next_expiry_us = shard.next_expiry_us()
            count = shard.count(messages.decode_filter(request.filter_json))
            return pb.CountResponse(count=count, next_expiry_us=next_expiry_us)

    def Facet(self, request: pb.FacetRequest, context: grpc.ServicerContext) -> pb.FacetResponse:
        with self._serving("facet", request.ref) as (shard, _):
            next_expiry_us = shard.next_expiry_us()
            facet = shard.reads.facet(
                messages.decode_field(request.field), messages.decode_filter(request.filter_json)
            )
            answer = pb.FacetResponse(
                values_json=facet.counts.keys(),
                counts=facet.counts.values(),
                matches=facet.matches,
                next_expiry_us=next_expiry_us,
            )
            messages.check_answer(answer)
            return answer

    def Distinct(self, request: pb.DistinctRequest, context: grpc.ServicerContext) -> pb.DistinctResponse:
        with self._serving("distinct", request.ref) as (shard, _):
            next_expiry_us = shard.next_expiry_us()
            values, has_more = shard.reads.distinct(
                messages.decode_field(request.field),
                decode_after_value(request.after_json),
                messages.decode_limit(request.limit),
                messages.decode_filter(request.filter_json),
            )
            answer = pb.DistinctResponse(values_json=values, has_more=has_more, next_expiry_us=next_expiry_us)
            messages.check_answer(answer)
            return answer

    def Describe(self, request: pb.DescribeRequest, context: grpc.ServicerContext) -> pb.DescribeResponse:
        with self._serving("describe", request.ref) as (shard, route):
            return messages.encode_stats(shard.stats(), route.generation)

    def Wires(self, request: pb.WiresRequest, context: grpc.ServicerContext) -> pb.WiresResponse:
        return pb.WiresResponse(port=self._wires_port)

    @contextmanager
    def _serving(self, operation: str, ref: pb.ShardRef) -> Iterator[tuple[Shard, CollectionRoute]]:
        """The shard that the call means. Counts the call, by how it ends."""
        with self._metrics.operation(operation) as counted:
            if not self._replicas.knows(ref.uid):
                self._look()
            shard, route = self._replicas.find(ref.collection, ref.uid, ref.shard)
            counted.collection = route.spec.name
            yield shard, route
