"""The service objects of one gateway, wired. Doors are handed these and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from hanax.core.routing import RoutingTable
from hanax.core.settings import GatewaySettings
from hanax.gateway.aggregates import Aggregates
from hanax.gateway.aliases import AliasNames
from hanax.gateway.calls import Timeouts
from hanax.gateway.collections import Catalog, Collections
from hanax.gateway.embedding import Embedding, embedder_addresses
from hanax.gateway.group_searches import GroupSearches
from hanax.gateway.metadata_changes import MetadataChanges
from hanax.gateway.metrics import Metrics
from hanax.gateway.points import Points
from hanax.gateway.queries import Queries
from hanax.gateway.readiness import Readiness
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
        self._channels = Channels()
        # Calls to an address that has left the table end before its channel does.
        self._channel_grace_s = max(
            settings.request_timeout_s, settings.embed_timeout_s, settings.create_timeout_s
        )
        timeouts = Timeouts(settings.request_timeout_s, settings.embed_timeout_s)
        shards = Shards(self.routing, self._channels)
        self.embedding = Embedding(self.routing, self._channels, self.metrics, settings.embed_timeout_s)
        upstreams = Upstreams(self.routing, shards, self.embedding, self.metrics, timeouts)
        self.searches = Searches(upstreams)
        self.group_searches = GroupSearches(upstreams)
        self.queries = Queries(upstreams)
        self.aggregates = Aggregates(upstreams)
        self.points = Points(upstreams, now_us)
        self.metadata_changes = MetadataChanges(upstreams, now_us)
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
            self.embedding.follow,
            self.metrics.follow,
            self._follow,
        ):
            self.routing.subscribe(listener)

    @asynccontextmanager
    async def running(self, source: RoutingSource) -> AsyncIterator[None]:
        """Follow the routing table in this event loop; close every channel at the end."""
        self.routing.attach()
        await asyncio.to_thread(source.start)
        try:
            yield
        finally:
            await asyncio.to_thread(source.stop)
            for task in self._closing:
                task.cancel()
            await self._channels.close()

    def _follow(self, table: RoutingTable) -> None:
        """Close the channels to addresses that a newer table no longer names."""
        addresses = set(table.address_by_node.values())
        addresses.update(embedder_addresses(table))
        task = asyncio.get_running_loop().create_task(self._channels.retain(addresses, self._channel_grace_s))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
