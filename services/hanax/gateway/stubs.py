"""gRPC stubs by address, each on the channel that is open to it now."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Generic, TypeVar

from grpc import aio

from hanax.rpc.channels import Channels

Stub = TypeVar("Stub")


class Stubs(Generic[Stub]):
    """Making a stub costs as much as a small call, so they are kept as long as their channel."""

    def __init__(self, channels: Channels, make: Callable[[aio.Channel, str], Stub]) -> None:
        """make: of a channel, and the address that it is to."""
        self._channels = channels
        self._make = make
        self._stubs: dict[str, tuple[aio.Channel, Stub]] = {}

    def get(self, address: str) -> Stub:
        channel = self._channels.get(address)
        known = self._stubs.get(address)
        # An address that left the table and came back has another channel; the old one closes.
        if known is None or known[0] is not channel:
            known = self._stubs[address] = channel, self._make(channel, address)
        return known[1]

    def retain(self, addresses: Collection[str]) -> None:
        """Forget the stubs of all other addresses."""
        self._stubs = {key: stub for key, stub in self._stubs.items() if key in addresses}
