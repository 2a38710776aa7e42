"""Stubs follow their channels: kept while those are, made anew with them."""

from __future__ import annotations

from grpc import aio

from hanax.gateway.stubs import Stubs
from hanax.rpc.channels import Channels


async def test_a_stub_lives_as_long_as_its_channel() -> None:
    channels = Channels()
    made: list[aio.Channel] = []

    def make(channel: aio.Channel, address: str) -> int:
        assert channel is channels.get(address)
        made.append(channel)
        return len(made)

    stubs = Stubs(channels, make)
    assert [stubs.get("127.0.0.1:1"), stubs.get("127.0.0.1:2"), stubs.get("127.0.0.1:1")] == [1, 2, 1]
    # The first address leaves the table and comes back: its old channel is closing.
    await channels.retain({"127.0.0.1:2"}, 0.0)
    assert stubs.get("127.0.0.1:1") == 3
    assert made[2] is channels.get("127.0.0.1:1") is not made[0]
    assert stubs.get("127.0.0.1:2") == 2
    stubs.retain({"127.0.0.1:1"})
    assert [stubs.get("127.0.0.1:1"), stubs.get("127.0.0.1:2")] == [3, 4]
    await channels.close()
