"""The service objects of one gateway, wired. Doors are handed these and nothing else."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from hanax.core.routing import RoutingTable
from hanax.core.settings import GatewaySettings
from hanax.gateway.aggregates import Aggregates
from hanax.gateway.aliases import AliasNames
from hanax.gateway.cache.cache import Cache
from hanax.gateway.cache.warming import Operation, Warming
from hanax.gateway.cache.writes import ShardWrites
from hanax.gateway.calls import Timeouts
from hanax.gateway.collections import Catalog, Collections
from hanax.gateway.exposition import Exposition
from hanax.gateway.graphql.limits import GraphqlLimits
from hanax.gateway.group_searches import GroupSearches
from hanax.gateway.guard.audit import audit_operation, audit_refusal
from hanax.gateway.guard.guard import Guard
from hanax.gateway.guard.key_desk import KeyDesk
from hanax.gateway.guard.opening import open_guard
from hanax.gateway.history import History
from hanax.gateway.idempotency.keys import Keys
from hanax.gateway.idempotency.stores import KeyStore
from hanax.gateway.insert_streams import InsertStreams
from hanax.gateway.jobs.desk import JobDesk
from hanax.gateway.jobs.following import Followers
from hanax.gateway.jobs.queueing import Queueing
from hanax.gateway.jobs.store import JobStore
from hanax.gateway.jobs.submissions import Submissions
from hanax.gateway.libraries.room import LibraryParts, LibraryRoom
from hanax.gateway.metadata_changes import MetadataChanges
from hanax.gateway.metrics import Metrics
from hanax.gateway.models.embedding import Embedding
from hanax.gateway.models.generation import Generation
from hanax.gateway.models.protocols.registry import Protocols, UpstreamOptions
from hanax.gateway.models.protocols.trust import grpc_certificates
from hanax.gateway.models.registry import Models, PoolLimits
from hanax.gateway.models.rerankers import Rerankers, declared_rerankers
from hanax.gateway.models.reranking import Reranking
from hanax.gateway.models.secrets import Secrets
from hanax.gateway.places import Places
from hanax.gateway.points import Points
from hanax.gateway.queries import Queries
from hanax.gateway.query_requests import (
    BatchSearchRequest,
    DistinctRequest,
    FacetRequest,
    GroupSearchRequest,
    RecommendRequest,
)
from hanax.gateway.readiness import Readiness
from hanax.gateway.replicas import Replicas
from hanax.gateway.requests import CountRequest, SearchRequest
from hanax.gateway.routing import Routing
from hanax.gateway.scroll_streams import ScrollStreams
from hanax.gateway.searches import Searches
from hanax.gateway.shards import Shards
from hanax.gateway.upstreams import Upstreams
from hanax.metadata.health import HealthLook
from hanax.metadata.metrics import DatabaseMetrics, LogMetrics
from hanax.metadata.opening import Opening, database_of
from hanax.metadata.operations.log import LogOptions, OperationLog
from hanax.metadata.operations.store import OperationStore
from hanax.rpc.channels import Channels
from hanax.runtime.routing_source import RoutingSource

# How long a start waits for the metadata database, so that the first requests find it open.
_OPENING_PATIENCE_S: Final = 5.0


class Services:
    def __init__(
        self,
        settings: GatewaySettings,
        catalog: Catalog,
        clock: Callable[[], float],
        now_us: Callable[[], int],
    ) -> None:
        self.clock = clock
        self.routing = Routing()
        self.metrics = Metrics()
        self.exposition = Exposition(self.metrics.registry, settings.gateway_worker_ports)
        self.places, self.graphql_limits = Places(settings.max_inflight), GraphqlLimits.of(settings)
        # None where none is configured; refuses what is asked of it until it is there and upgraded.
        self.database = database_of(settings)
        self._opening = None if self.database is None else Opening(self.database)
        self.database_look = None if self.database is None else HealthLook(self.database, clock)
        self.operations = self._operation_log(settings, now_us)
        self.history = History(self.database, self.operations)
        self._channels = Channels(grpc_certificates(settings.upstream_ca_file))
        # Calls to an address that has left the table end before its channel does.
        self._channel_grace_s = max(
            settings.request_timeout_s, settings.embed_timeout_s, settings.create_timeout_s
        )
        timeouts = Timeouts(settings.request_timeout_s, settings.embed_timeout_s)
        self._replicas = Replicas(self._channels, settings.request_timeout_s, clock)
        self.metrics.pools.add(self._replicas.pool)
        shards = self._shards = Shards(self.routing, self._channels, self._replicas)
        self._protocols = Protocols(
            self._channels,
            Secrets(settings.secrets_dir, os.environ),
            UpstreamOptions(settings.upstream_connections, settings.upstream_ca_file),
        )
        self.models = Models(
            self.routing,
            self._protocols,
            PoolLimits(settings.model_inflight, settings.model_waiting),
            self.metrics.pools,
            clock,
        )
        self.cache = Cache(settings, self.metrics, clock, now_us)
        self.keys = Keys(self._shared_keys(settings), settings.idempotency_keep_s, clock)
        self.guard = self._open_guard(settings, now_us)
        self.api_keys = KeyDesk(self.database, self.metrics, now_us)
        embedding = Embedding(self.models, self.cache.embeddings, self.metrics, settings.embed_timeout_s)
        self.job_store = JobStore(self.database, settings, now_us)
        self.submissions = Submissions(self.routing, embedding, self.job_store, self.metrics)
        self.jobs = JobDesk(self.job_store, self.metrics)
        self.followers = Followers(self.job_store)
        queueing = Queueing(self.submissions)
        self.generation = Generation(self.routing, embedding, queueing, self.metrics)
        upstreams = Upstreams(
            self.routing,
            shards,
            ShardWrites(shards, self.cache.versions),
            self.cache.answers,
            embedding,
            queueing,
            self.metrics,
            timeouts,
        )
        self.searches = Searches(upstreams, clock)
        self.group_searches = GroupSearches(upstreams)
        self.queries = Queries(upstreams)
        self.aggregates = Aggregates(upstreams)
        self.points = Points(upstreams, now_us)
        self.insert_streams = InsertStreams(self.points, self.routing, now_us)
        self.scroll_streams = ScrollStreams(self.queries)
        self.metadata_changes = MetadataChanges(upstreams, now_us)
        self.warming = Warming(
            self.cache.store, self.cache.frequent, self._kept_operations(), clock, self.metrics
        )
        self.collections = Collections(
            self.routing, shards, catalog, self.metrics, settings.create_timeout_s, now_us
        )
        self.reranking = Reranking(
            self._open_rerankers(settings, clock), self.metrics, settings.embed_timeout_s
        )
        self.libraries = None
        if self.database is not None:
            parts = LibraryParts(
                upstreams,
                self.collections,
                self.searches,
                self.reranking.rerankers,
                settings.create_timeout_s,
                clock,
                now_us,
            )
            self.libraries = LibraryRoom(self.database, parts)
        self.aliases = AliasNames(self.routing, catalog, self.metrics, settings.create_timeout_s)
        # In a cluster each pod has probes of its own, and one that is away must not take the API with it.
        wants_all = not settings.routing_configmap
        self.readiness = Readiness(self.routing, self._channels, clock, wants_all)
        self._closing: set[asyncio.Task[None]] = set()
        for listener in (
            shards.follow,
            self.models.follow,
            self.metrics.follow,
            self._follow,
        ):
            self.routing.subscribe(listener)

    @asynccontextmanager
    async def running(self, source: RoutingSource) -> AsyncIterator[None]:
        """Follow the routing table in this event loop; close every channel at the end."""
        self.routing.attach()
        if self._opening is not None:
            # Searches do not need it: they are served whether it is there or not.
            await self._opening.start(_OPENING_PATIENCE_S)
        if self.operations is not None:
            self.operations.start()
        self.cache.start()
        self.guard.start()
        self.reranking.rerankers.start()
        await asyncio.to_thread(source.start)
        if self.libraries is not None:
            self.libraries.leftovers.start()
        if self.cache.is_shared:
            self.warming.start(lambda: self.routing.loaded)
        try:
            yield
        finally:
            await asyncio.to_thread(source.stop)
            if self.libraries is not None:
                await self.libraries.leftovers.close()
            await self.reranking.rerankers.close()
            self.models.close()
            await self.warming.close()
            await self.guard.close()
            await self.cache.close()
            await self._protocols.close()
            self._replicas.close()
            if self._opening is not None:
                await self._opening.close()
            if self.operations is not None:
                await self.operations.close()
            if self.database is not None:
                await self.database.close()
            for task in self._closing:
                task.cancel()
            self._shards.close()
            await self._channels.close()

    def _shared_keys(self, settings: GatewaySettings) -> KeyStore | None:
        """None where gateways share no Redis."""
        if self.cache.link is None:
            return None
        # One machine has no Redis as a rule, and need not wait for its client's import.
        from hanax.gateway.idempotency.redis_keys import RedisKeys

        return RedisKeys(self.cache.link, settings.redis_prefix)

    def _open_rerankers(self, settings: GatewaySettings, clock: Callable[[], float]) -> Rerankers:
        """Raises InvalidArgument, FailedPrecondition."""
        rerankers = Rerankers(
            declared_rerankers(settings.rerank_models),
            PoolLimits(settings.model_inflight, settings.model_waiting),
            UpstreamOptions(settings.upstream_connections, settings.upstream_ca_file),
            settings.secrets_dir,
            clock,
        )
        for pool in rerankers.pools:
            self.metrics.pools.add(pool)
        return rerankers

    def _open_guard(self, settings: GatewaySettings, now_us: Callable[[], int]) -> Guard:
        """Raises FailedPrecondition."""
        guard = open_guard(settings, self.database, self.cache, self.clock, now_us)
        if guard.enabled and settings.audit_log:
            self.metrics.note_changes_to(audit_operation, now_us)
            self.metrics.tell_refusals_to(audit_refusal)
        return guard

    def _operation_log(self, settings: GatewaySettings, now_us: Callable[[], int]) -> OperationLog | None:
        """None where there is nowhere to keep it, or it shall not be kept."""
        if self.database is None:
            return None
        DatabaseMetrics("gateway", self.database, self.metrics.registry)
        if not settings.operation_log_keep_s:
            return None
        instance = f"{platform.node()}/{os.getpid()}"
        options = LogOptions(
            settings.operation_log_keep_s,
            settings.operation_log_lines,
            settings.operation_log_queue,
            instance,
        )
        log = OperationLog(OperationStore(self.database), options, now_us)
        LogMetrics(lambda: log.waiting, lambda: log.dropped, self.metrics.registry)
        self.metrics.note_to(log.note, now_us)
        return log

    def _kept_operations(self) -> dict[str, Operation]:
        """Whose answers are kept, as `AnswerCache` calls them."""
        return {
            "search": Operation(SearchRequest, self.searches.search),
            "search_batch": Operation(BatchSearchRequest, self.searches.search_batch),
            "recommend": Operation(RecommendRequest, self.searches.recommend),
            "search_groups": Operation(GroupSearchRequest, self.group_searches.search),
            "count": Operation(CountRequest, self.queries.count),
            "facet": Operation(FacetRequest, self.aggregates.facet),
            "distinct": Operation(DistinctRequest, self.aggregates.distinct),
        }

    def _follow(self, table: RoutingTable) -> None:
        """Close the channels to addresses that a newer table no longer names."""
        addresses = set(table.address_by_node.values())
        # Of other protocols the addresses are URLs, to which there are no channels.
        addresses.update(address for model in table.models for address in model.addresses)
        task = asyncio.get_running_loop().create_task(self._channels.retain(addresses, self._channel_grace_s))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
