"""Who may enter over HTTP: whoever shows a key, where keys are needed; and everybody to a few paths."""

from __future__ import annotations

from typing import Final

from starlette.types import Scope

from hanax.gateway.calls import Call
from hanax.gateway.exposition import OWN_PATH
from hanax.gateway.guard.guard import Guard, read_credential

# What tells nothing of anybody's data: probes, and pages. Nothing but this list: a new route is not open.
_OPEN: Final = frozenset({"/health", "/ready", "/docs", "/redoc", "/openapi.json", "/graphiql"})
_OPEN_BELOW: Final = ("/static-offline-docs/", "/graphiql/")
_METRICS: Final = "/metrics"
# What gateways of one machine ask each other, at ports of their own on loopback.
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})


class Entrance:
    def __init__(self, guard: Guard, own_port: int | None) -> None:
        """own_port: where gateways of the same machine ask this one for its metrics; None: there are none."""
        self._guard = guard
        self._own_port = own_port
        self._open = _OPEN | {_METRICS, OWN_PATH} if guard.openness.metrics else _OPEN

    @property
    def guarded(self) -> bool:
        return self._guard.enabled

    async def enter(self, scope: Scope, headers: dict[bytes, bytes], call: Call) -> None:
        """Make the call its caller's. Raises what `Guard.enter` raises."""
        path: str = scope["path"]
        if path in self._open or path.startswith(_OPEN_BELOW) or self._is_sibling(scope):
            return
        authorization, api_key = (
            headers.get(name, b"").decode("latin-1") for name in (b"authorization", b"x-api-key")
        )
        await self._guard.enter(call, read_credential(authorization, api_key))

    def _is_sibling(self, scope: Scope) -> bool:
        """At the port of its own: at the one that is shared, a proxy of this machine may ask for anybody."""
        client, server = scope.get("client"), scope.get("server")
        if scope["path"] != OWN_PATH or not client or not server or self._own_port is None:
            return False
        return client[0] in _LOOPBACK and server[0] in _LOOPBACK and server[1] == self._own_port
