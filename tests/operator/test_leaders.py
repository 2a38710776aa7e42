"""Of two operators one acts. When it ends or dies, the other goes on where it was."""

from __future__ import annotations

import signal
from contextlib import AsyncExitStack

import pytest

from tests.operator.gate import Gate
from tests.operator.homes import Home

# A leader that dies is replaced after this.
DYING_LEASE_S = 6


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
async def test_the_second_operator_goes_on_when_the_first_one_ends(home: Home, sign: signal.Signals) -> None:
    lease = {"LEASE_S": DYING_LEASE_S} if sign == signal.SIGKILL else {}
    async with AsyncExitStack() as running:
        first, leader = await running.enter_async_context(home.process(IDENTITY="first", **lease))
        await leads(home, "first")
        second, follower = await running.enter_async_context(home.process(IDENTITY="second"))
        await home.collect("films", shards=2)
        await home.ready("films")
        await wants_to_lead(home, second)
        await home.change("films", {"targetRecall": 0.9})
        await home.ready("films")
        await home.quiet(first)
        assert second.changes == [], "only the leader writes"
        await leader.end(sign)
        await leads(home, "second")
        # What is in order stays as it is, also under a new leader.
        await home.quiet(second)
        assert second.changes == []
        await home.change("films", {"suspend": True})
        await home.says("films", "Ready", "False", reason="Suspended")
        await home.gone("Pod", "vc-films-1-0")
        assert [str(write) for write in second.changes if write.code >= 400] == []
        assert await follower.end() == 0, follower.log


async def leads(home: Home, identity: str) -> None:
    async def held() -> bool:
        lease = await home.find("Lease", "hanax-operator")
        return lease is not None and lease["spec"].get("holderIdentity") == identity

    await home.until(held, f"{identity} leads")


async def wants_to_lead(home: Home, gate: Gate) -> None:
    """Wait until an operator has asked for the Lease: all that comes before is behind it."""

    async def asked() -> bool:
        return any("/leases/" in path for path in gate.reads)

    await home.until(asked, "the second operator wants to lead")
