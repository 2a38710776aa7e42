"""ShardService: decode, call the engine, encode. What is refused here has written nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc

from citadel.vector.v1 import shard_pb2 as pb
from citadel.vector.v1.shard_pb2_grpc import ShardServiceServicer
from hanax.core.errors import InvalidArgument
from hanax.core.routing import CollectionRoute
from hanax.core.specs import DEFAULT_VECTOR
from hanax.engine.shard.shard import Shard
from hanax.index_shard import messages
from hanax.index_shard.metrics import Metrics
from hanax.index_shard.replicas import Replicas

_REPLACE_BY_MODE = {pb.METADATA_MODE_MERGE: False, pb.METADATA_MODE_REPLACE: True}


class ShardService(ShardServiceServicer):
    """`look` reads the routing table anew: a caller may know of a collection before this node does."""

    def __init__(self, replicas: Replicas, metrics: Metrics, look: Callable[[], None]) -> None:
        self._replicas = replicas
        self._metrics = metrics
        self._look = look

    def Upsert(self, request: pb.UpsertRequest, context: grpc.ServicerContext) -> pb.UpsertResponse:
        with self._serving("upsert", request.ref) as (shard, _):
            done = shard.upsert(
                messages.decode_ids(request.ids),
                messages.decode_columns(request.vectors),
                list(request.metadata),
            )
            return pb.UpsertResponse(sequence=done.sequence, inserted=done.inserted, updated=done.updated)

    def UpdateMetadata(
        self, request: pb.UpdateMetadataRequest, context: grpc.ServicerContext
    ) -> pb.UpdateMetadataResponse:
        with self._serving("update_metadata", request.ref) as (shard, _):
            replace = _REPLACE_BY_MODE.get(request.mode)
            if replace is None:
                raise InvalidArgument("expected mode METADATA_MODE_MERGE or METADATA_MODE_REPLACE")
            done = shard.update_metadata(messages.decode_ids(request.ids), list(request.metadata), replace)
            return pb.UpdateMetadataResponse(
                sequence=done.sequence, updated=done.updated, missing=done.missing
            )

    def Delete(self, request: pb.DeleteRequest, context: grpc.ServicerContext) -> pb.DeleteResponse:
        with self._serving("delete", request.ref) as (shard, _):
            expression = messages.decode_filter(request.filter_json)
            if (expression is None) is (not request.ids):
                raise InvalidArgument("expected either ids or a filter of what to delete")
            if expression is not None:
                done = shard.delete_matching(expression)
            else:
                done = shard.delete(messages.decode_ids(request.ids))
            return pb.DeleteResponse(sequence=done.sequence, deleted=done.deleted)

    def Search(self, request: pb.SearchRequest, context: grpc.ServicerContext) -> pb.SearchResponse:
        started = time.perf_counter()
        with self._serving("search", request.ref) as (shard, _):
            queries = messages.decode_queries(request)
            limit = messages.decode_limit(request.limit)
            results = shard.search(
                queries,
                limit,
                expression=messages.decode_filter(request.filter_json),
                max_distance=messages.decode_max_distance(request),
                projection=messages.decode_projection(
                    request.projection, len(queries) * limit, request.dimension
                ),
                vector_name=request.vector_name or DEFAULT_VECTOR,
                parameters=messages.decode_parameters(request),
            )
            answer = pb.SearchResponse(results=map(messages.encode_hits, results))
            messages.check_answer(answer)
            answer.shard_seconds = time.perf_counter() - started
            return answer

    def Get(self, request: pb.GetRequest, context: grpc.ServicerContext) -> pb.GetResponse:
        with self._serving("get", request.ref) as (shard, route):
            ids = messages.decode_ids(request.ids)
            projection = messages.decode_projection(request.projection, len(ids), route.spec.dimension)
            answer = pb.GetResponse(points=messages.encode_points(shard.get(ids, projection)))
            messages.check_answer(answer)
            return answer

    def Scroll(self, request: pb.ScrollRequest, context: grpc.ServicerContext) -> pb.ScrollResponse:
        with self._serving("scroll", request.ref) as (shard, route):
            points, has_more = shard.scroll(
                messages.decode_after(request.after_id),
                messages.decode_limit(request.limit),
                messages.decode_filter(request.filter_json),
                messages.decode_projection(request.projection, request.limit, route.spec.dimension),
            )
            answer = pb.ScrollResponse(points=messages.encode_points(points), has_more=has_more)
            messages.check_answer(answer)
            return answer

    def Count(self, request: pb.CountRequest, context: grpc.ServicerContext) -> pb.CountResponse:
        with self._serving("count", request.ref) as (shard, _):
            return pb.CountResponse(count=shard.count(messages.decode_filter(request.filter_json)))

    def Describe(self, request: pb.DescribeRequest, context: grpc.ServicerContext) -> pb.DescribeResponse:
        with self._serving("describe", request.ref) as (shard, route):
            return messages.encode_stats(shard.stats(), route.generation)

    @contextmanager
    def _serving(self, operation: str, ref: pb.ShardRef) -> Iterator[tuple[Shard, CollectionRoute]]:
        """The shard that the call means. Counts the call, by how it ends."""
        with self._metrics.operation(operation) as counted:
            if not self._replicas.knows(ref.uid):
                self._look()
            shard, route = self._replicas.find(ref.collection, ref.uid, ref.shard)
            counted.collection = route.spec.name
            yield shard, route
