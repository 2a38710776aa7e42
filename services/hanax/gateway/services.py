"""The service objects of one gateway, wired. Doors are handed these and nothing else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from hanax.core.routing import RoutingTable
from hanax.core.settings import GatewaySettings
from hanax.gateway.aggregates import Aggregates
from hanax.gateway.aliases import AliasNames
from hanax.gateway.cache.cache import Cache
from hanax.gateway.cache.warming import Operation, Warming
from hanax.gateway.cache.writes import ShardWrites
from hanax.gateway.calls import Timeouts
from hanax.gateway.collections import Catalog, Collections
from hanax.gateway.group_searches import GroupSearches
from hanax.gateway.jobs.in_process import InProcessJobs, JobLimits
from hanax.gateway.jobs.port import JobRunner
from hanax.gateway.jobs.works import Works
from hanax.gateway.metadata_changes import MetadataChanges
from hanax.gateway.metrics import Metrics
from hanax.gateway.models.embedding import Embedding
from hanax.gateway.models.generation import Generation
from hanax.gateway.models.protocols.registry import Protocols, UpstreamOptions
from hanax.gateway.models.protocols.trust import grpc_certificates
from hanax.gateway.models.registry import Models, PoolLimits
from hanax.gateway.models.secrets import Secrets
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
from hanax.gateway.searches import Searches
from hanax.gateway.shards import Shards
from hanax.gateway.upstreams import Upstreams
from hanax.rpc.channels import Channels
from hanax.runtime.routing_source import RoutingSource


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
        self._channels = Channels(grpc_certificates(settings.upstream_ca_file))
        # Calls to an address that has left the table end before its channel does.
        self._channel_grace_s = max(
            settings.request_timeout_s, settings.embed_timeout_s, settings.create_timeout_s
        )
        timeouts = Timeouts(settings.request_timeout_s, settings.embed_timeout_s)
        self._replicas = Replicas(self._channels, settings.request_timeout_s, clock)
        self.metrics.pools.add(self._replicas.pool)
        shards = Shards(self.routing, self._channels, self._replicas)
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
        self.cache = Cache(settings, self.metrics.registry, clock, now_us)
        embedding = Embedding(self.models, self.cache.embeddings, self.metrics, settings.embed_timeout_s)
        self.jobs: JobRunner = InProcessJobs(
            JobLimits(settings.jobs_max, settings.jobs_bytes, settings.job_keep_s), now_us
        )
        self.generation = Generation(self.routing, embedding, self.jobs, self.metrics)
        upstreams = Upstreams(
            self.routing,
            shards,
            ShardWrites(shards, self.cache.versions),
            self.cache.answers,
            embedding,
            self.jobs,
            self.metrics,
            timeouts,
        )
        self.searches = Searches(upstreams)
        self.group_searches = GroupSearches(upstreams)
        self.queries = Queries(upstreams)
        self.aggregates = Aggregates(upstreams)
        self.points = Points(upstreams, now_us)
        self._works = Works(embedding, self.points, clock, settings.job_timeout_s)
        self.metadata_changes = MetadataChanges(upstreams, now_us)
        self.warming = Warming(self.cache.store, self.cache.frequent, self._kept_operations(), clock)
        self.collections = Collections(
            self.routing, shards, catalog, self.metrics, settings.create_timeout_s, now_us
        )
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
        await self.jobs.start(self._works.by_kind())
        self.cache.start()
        await asyncio.to_thread(source.start)
        if self.cache.is_shared:
            self.warming.start(lambda: self.routing.loaded)
        try:
            yield
        finally:
            await asyncio.to_thread(source.stop)
            await self.jobs.close()
            self.models.close()
            await self.warming.close()
            await self.cache.close()
            await self._protocols.close()
            self._replicas.close()
            for task in self._closing:
                task.cancel()
            await self._channels.close()

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
