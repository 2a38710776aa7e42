"""Client channels and how their calls are retried.

A channel is made once per address and kept. A call may be repeated only where repeating cannot
hurt: every call of our services is idempotent (a write names its ids), so UNAVAILABLE is
retried with backoff and jitter until the caller's deadline.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Final, TypeVar

import grpc
from grpc import aio

from hanax.core.errors import DeadlineExceeded, HanaxError, Unavailable
from hanax.core.limits import MAX_MESSAGE_BYTES
from hanax.rpc.errors import error_from_call

T = TypeVar("T")

CHANNEL_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # A restarted server is found again within a second, not after the default 20 to 120.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
    # Nor after 30: in a cluster it comes back under its name with another address.
    ("grpc.dns_min_time_between_resolutions_ms", 500),
    ("grpc.enable_http_proxy", 0),
)

# For a name with several addresses that serve the same: calls are shared over all of them.
SPREAD_OPTIONS: Final = (*CHANNEL_OPTIONS, ("grpc.lb_policy_name", "round_robin"))

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 0.5


# What an address begins with that is spoken to over TLS.
SECURE_SCHEME: Final = "grpcs://"


class Channels:
    """asyncio channels by address (host:port, or grpcs://host:port for TLS), closed together.

    ca: certificates in PEM that servers may have; None: those that gRPC brings along. options: of each.
    """

    def __init__(self, ca: bytes | None = None, options: Sequence[tuple[str, Any]] = CHANNEL_OPTIONS) -> None:
        self._ca = ca
        self._options = options
        self._channels: dict[str, aio.Channel] = {}

    def get(self, address: str) -> aio.Channel:
        channel = self._channels.get(address)
        if channel is None:
            if address.startswith(SECURE_SCHEME):
                target = address.removeprefix(SECURE_SCHEME).rstrip("/")
                channel = aio.secure_channel(target, grpc.ssl_channel_credentials(self._ca), self._options)
            else:
                channel = aio.insecure_channel(address, options=self._options)
            self._channels[address] = channel
        return channel

    async def retain(self, addresses: Collection[str], grace_s: float) -> None:
        """Close the channels to all other addresses; calls on them get `grace_s` to end."""
        gone = [self._channels.pop(address) for address in set(self._channels) - set(addresses)]
        await asyncio.gather(*(channel.close(grace_s) for channel in gone))

    async def close(self) -> None:
        channels, self._channels = list(self._channels.values()), {}
        await asyncio.gather(*(channel.close(None) for channel in channels))


async def call_with_retry(
    attempt: Callable[[float], Awaitable[T]],
    deadline: float,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """Run `attempt(timeout_s)` until it answers, fails for good, or `deadline` (on `clock`) passes.

    Raises the error that the last attempt met; Unavailable when the server never came back.
    """
    pause = _FIRST_PAUSE_S
    while True:
        left = deadline - clock()
        if left <= 0:
            raise DeadlineExceeded("the request's time is over")
        try:
            return await attempt(left)
        except grpc.RpcError as failure:
            error: HanaxError = error_from_call(failure)
        if not isinstance(error, Unavailable):
            raise error
        wait = pause * random.uniform(0.5, 1.0)
        if clock() + wait >= deadline:
            raise error
        await asyncio.sleep(wait)
        pause = min(pause * 2, _LONGEST_PAUSE_S)
