"""Whether the gateway can serve: a routing table is there and, on one machine, all that it names answers.

Asked by probes every second or so, possibly by many: one look is shared for a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from hanax.core.errors import Unavailable
from hanax.gateway.routing import Routing
from hanax.rpc.channels import Channels

_KEEP_S: Final = 1.0
_PROBE_TIMEOUT_S: Final = 1.0

OK: Final = "ok"


@dataclass(frozen=True, slots=True)
class Report:
    """What each part says of itself: "ok", or why it is not."""

    routing: str
    nodes: dict[str, str]
    models: dict[str, str]

    @property
    def ready(self) -> bool:
        return {self.routing, *self.nodes.values(), *self.models.values()} == {OK}


class Readiness:
    def __init__(
        self, routing: Routing, channels: Channels, clock: Callable[[], float], wants_all: bool
    ) -> None:
        """wants_all: ready once all nodes and embedders answer too."""
        self._wants_all = wants_all
        self._routing = routing
        self._channels = channels
        self._clock = clock
        self._looking = asyncio.Lock()
        self._report: Report | None = None
        self._until = 0.0

    async def report(self) -> Report:
        """At most a second old."""
        async with self._looking:
            if self._report is None or self._clock() >= self._until:
                self._report = await self._look()
                self._until = self._clock() + _KEEP_S
            return self._report

    async def _look(self) -> Report:
        try:
            table = self._routing.table
        except Unavailable as error:
            return Report(error.message, {}, {})
        if not self._wants_all:
            return Report(OK, {}, {})
        places = [("node", node.name, node.address) for node in table.nodes]
        places += [
            ("model", model.name, endpoint)
            for model in table.models
            if not model.external
            for endpoint in model.addresses
        ]
        states = await asyncio.gather(*(self._probe(address) for _, _, address in places))
        nodes: dict[str, str] = {}
        models: dict[str, str] = {}
        for (kind, name, _), state in zip(places, states, strict=True):
            found = nodes if kind == "node" else models
            # A model with several endpoints is as ready as the worst of them.
            if found.get(name, OK) == OK:
                found[name] = state
        return Report(OK, nodes, models)

    async def _probe(self, address: str) -> str:
        stub = health_pb2_grpc.HealthStub(self._channels.get(address))
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=_PROBE_TIMEOUT_S)
        except grpc.RpcError as failure:
            code: grpc.StatusCode = failure.code()
            return f"does not answer ({code.name.lower()})"
        if answer.status == health_pb2.HealthCheckResponse.ServingStatus.SERVING:
            return OK
        return "answers that it is not ready"
