"""The models that the routing table names, each with its endpoints' pool and the client of its protocol."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hanax.core.errors import HanaxError, ModelConflict, ModelNotFound, Unavailable
from hanax.core.model_routes import ModelRoute
from hanax.core.routing import RoutingTable
from hanax.core.specs import CollectionSpec
from hanax.gateway.balancing.attempts import Attempt
from hanax.gateway.balancing.options import PoolOptions
from hanax.gateway.balancing.pool import Pool
from hanax.gateway.balancing.pool_metrics import PoolMetrics
from hanax.gateway.balancing.prober import Prober
from hanax.gateway.models.protocols.client import ProtocolClient
from hanax.gateway.models.protocols.registry import Protocols
from hanax.gateway.models.wanted import Made, Wanted
from hanax.gateway.routing import Routing

# Of one request: one chunk computes while the next travels, at each endpoint. More would only fill queues.
_CHUNKS_PER_ENDPOINT: Final = 2
_MOST_CHUNKS_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Requests to a model of weight 1 that run at once, and those that may wait for their turn."""

    inflight: int
    waiting: int

    def options(self, route: ModelRoute) -> PoolOptions:
        return PoolOptions(
            policy=route.load_balancing,
            breaker=route.breaker,
            rate=route.rate,
            max_attempts=route.max_attempts,
            attempt_timeout_s=route.timeout_s,
            hedge_after_s=route.hedge_after_s,
            max_inflight=max(1, round(self.inflight * route.weight)),
            max_waiting=self.waiting,
        )


def chunk_slots(route: ModelRoute) -> asyncio.Semaphore:
    """What the chunks of one request to a model take turns by."""
    return asyncio.Semaphore(min(_MOST_CHUNKS_AT_ONCE, _CHUNKS_PER_ENDPOINT * len(route.endpoints)))


class Model:
    """One model as it is reached now, and what was learnt of it and of its endpoints.

    route: as the table has it, of the version that its servers told last. A version that is declared anew
    counts more than one that was told before.
    """

    def __init__(self, route: ModelRoute, client: ProtocolClient, pool: Pool) -> None:
        self.route = self.declared = route
        self.client = client
        self.pool = pool

    def follow(self, declared: ModelRoute, client: ProtocolClient) -> None:
        """Be reached as a newer table says."""
        told = self.route.version if declared.version == self.declared.version else declared.version
        self.declared, self.client = declared, client
        self.route = declared.of_version(told)

    def learn(self, version: str, declared: ModelRoute) -> None:
        """A server that was asked for `declared` told its version; empty: it told none."""
        if version and declared.version == self.declared.version:
            self.route = self.route.of_version(version)

    def as_it_is(self) -> Model:
        """The same on the same pool, reached as now whatever newer tables say."""
        model = Model(self.declared, self.client, self.pool)
        model.route = self.route
        return model

    async def embed(self, texts: Sequence[str], wanted: Wanted, deadline: float) -> Made:
        """One chunk of texts. Raises what the protocol's clients and the pool raise."""

        async def run(attempt: Attempt[Made]) -> Made:
            return await self.pool.run(attempt, deadline, urgent=wanted.urgent)

        return await self.client.embed(run, self.route, texts, wanted)

    async def probe(self, address: str, timeout_s: float) -> None:
        declared = self.declared
        self.learn(await self.client.probe(address, declared, timeout_s), declared)


class Models:
    """A model that stays in the table keeps what its pool has learnt of the endpoints that stay."""

    def __init__(
        self,
        routing: Routing,
        protocols: Protocols,
        limits: PoolLimits,
        metrics: PoolMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._routing = routing
        self._protocols = protocols
        self._limits = limits
        self._metrics = metrics
        self._clock = clock
        self._models: dict[str, Model] = {}
        self._probers: dict[str, Prober] = {}

    def follow(self, table: RoutingTable) -> None:
        """Forget models that a newer table no longer names, and probe all others. In the event loop."""
        for name in set(self._models) - set(table.model_by_name):
            self._metrics.remove(self._models.pop(name).pool)
            self._probers.pop(name).close()
        for route in table.models:
            self._reach(route)
        self._protocols.follow(table)

    def close(self) -> None:
        """End the probes; the protocols are closed by whoever made them."""
        for prober in self._probers.values():
            prober.close()

    def all(self) -> list[Model]:
        return [self._reach(route) for route in self._routing.table.models]

    def get(self, name: str) -> Model:
        """Raises ModelNotFound, naming the models that are served."""
        return self._reach(self._routing.model(name))

    def first(self) -> Model:
        """The model that `auto` stands for where there is no collection: the first by name of those that
        run here and answer at once, or of all. Raises ModelNotFound.
        """
        models = self._routing.table.models
        if not models:
            raise ModelNotFound("no embedding model is served", model="auto")
        return self._reach(min(models, key=lambda model: (model.pattern == "bulk_only", model.external)))

    def of(self, spec: CollectionSpec, name: str) -> Model:
        """The collection's model. Raises ModelConflict; Unavailable when nobody serves it now."""
        route = self._routing.table.model_by_name.get(name)
        if route is None:
            raise Unavailable(f"embedding model {name!r} is not served now", model=name)
        check_dimension(spec, route)
        return self._reach(route)

    def _reach(self, route: ModelRoute) -> Model:
        """By the table in force, whether it has been announced yet or not."""
        model = self._models.get(route.name)
        if model is None:
            pool = Pool(route.name, self._limits.options(route), self._clock)
            model = self._models[route.name] = Model(route, self._protocols.of(route.protocol), pool)
            self._metrics.add(pool)
            prober = self._probers[route.name] = Prober(pool, model.probe, random.Random())
            pool.follow(route.endpoints, self._limits.options(route))
            prober.start()
        elif route is not model.declared:
            if route != model.declared:
                model.pool.follow(route.endpoints, self._limits.options(route))
            model.follow(route, self._protocols.of(route.protocol))
        return model


def named(error: HanaxError, model: str) -> HanaxError:
    """The same error, that says which model it is about; clients of protocols say it already."""
    if "model" in error.details:
        return error
    return type(error)(f"embedding model {model!r}: {error.message}", **{**error.details, "model": model})


def check_dimension(spec: CollectionSpec, model: ModelRoute) -> None:
    """Raises ModelConflict when the model's vectors do not fit the collection."""
    if model.dimension != spec.dimension:
        raise ModelConflict(
            f"model {model.name!r} makes vectors of {model.dimension} numbers, "
            f"collection {spec.name!r} takes {spec.dimension}",
            model=model.name,
            expected=spec.dimension,
            got=model.dimension,
        )
