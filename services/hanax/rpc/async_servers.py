"""A gRPC server in an event loop, for a service whose work is done there.

Where work is done by threads, the server of `servers` costs half of this one. But a thread that hands each
call to a loop, and waits for it, costs half as much again as this one (measured at 1, 16 and 64 calls at
once).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc
from grpc import aio

from hanax.core.limits import MAX_MESSAGE_BYTES

# Clients that keep idle connections alive may ask this often whether the server is there.
_MIN_PING_INTERVAL_MS = 10_000

Handlers = Mapping[str, "grpc.RpcMethodHandler[Any, Any]"]


class AsyncRpcServer:
    """Made, started and stopped in one event loop."""

    def __init__(self, most_calls: int, shares_port: bool = False) -> None:
        """most_calls: in progress at once; more are refused with RESOURCE_EXHAUSTED. shares_port: with other
        processes that serve the same.
        """
        self._server = aio.server(
            options=(
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                ("grpc.so_reuseport", int(shares_port)),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", _MIN_PING_INTERVAL_MS),
                ("grpc.keepalive_permit_without_calls", 1),
            ),
            maximum_concurrent_rpcs=most_calls,
        )

    @property
    def registry(self) -> aio.Server:
        """What the generated `add_..._to_server` functions take."""
        return self._server

    def add(self, service: str, handlers: Handlers) -> None:
        """Have the methods of `service`, by their names, handled so."""
        handler = grpc.method_handlers_generic_handler(service, dict(handlers))
        self._server.add_generic_rpc_handlers((handler,))

    def listen(self, address: str) -> int:
        """The port. Raises OSError."""
        try:
            return self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address}: {error}") from None

    async def start(self) -> None:
        await self._server.start()

    async def drain(self, grace_s: float) -> None:
        """Refuse new calls, let running ones end, cut them after `grace_s`."""
        await self._server.stop(grace_s)
