"""One operator leads. A silent leader is replaced, and steps down before that."""

from __future__ import annotations

import asyncio

import pytest

from hanax.core.errors import Unavailable
from hanax_operator.leader import Leadership, LeadershipLost
from hanax_operator.objects import LEASE, key
from tests.unit.operator.memory_api import MemoryApi

NAME = key(LEASE, "lease")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def candidate(api: MemoryApi, name: str, clock: Clock, lease_s: float = 15) -> Leadership:
    return Leadership(api.as_api(), "lease", name, lease_s, clock)


async def test_the_first_one_leads_and_the_second_waits() -> None:
    api, clock = MemoryApi(), Clock()
    first, second = candidate(api, "a", clock), candidate(api, "b", clock)
    await first.acquire()
    assert not await second._try()
    clock.now += 14
    await first._try()
    assert not await second._try()
    clock.now += 14
    assert not await second._try()
    assert api.objects[NAME]["spec"]["holderIdentity"] == "a"


async def test_a_silent_leader_is_replaced_after_its_time() -> None:
    api, clock = MemoryApi(), Clock()
    await candidate(api, "a", clock).acquire()
    second = candidate(api, "b", clock)
    assert not await second._try()
    clock.now += 15.1
    assert await second._try()
    assert api.objects[NAME]["spec"]["leaseTransitions"] == 1


async def test_of_two_that_take_over_one_leads() -> None:
    api, clock = MemoryApi(), Clock()
    await candidate(api, "a", clock).acquire()
    others = [candidate(api, name, clock) for name in "bc"]
    for other in others:
        assert not await other._try()
    clock.now += 15.1
    found = await asyncio.gather(*(other._try() for other in others), return_exceptions=True)
    assert [outcome is True for outcome in found].count(True) == 1


async def test_a_release_lets_the_next_one_lead_at_once() -> None:
    api, clock = MemoryApi(), Clock()
    first = candidate(api, "a", clock)
    await first.acquire()
    await first.release()
    second = candidate(api, "b", clock)
    await second.acquire()
    await first.release()
    assert api.objects[NAME]["spec"]["holderIdentity"] == "b"


async def test_a_leader_that_was_replaced_steps_down() -> None:
    api, clock = MemoryApi(), Clock()
    first = candidate(api, "a", clock, lease_s=0.03)
    await first.acquire()
    api.objects[NAME]["spec"]["holderIdentity"] = "b"
    with pytest.raises(LeadershipLost):
        await first.hold()


async def test_a_leader_that_can_not_renew_steps_down_in_time() -> None:
    api, clock = MemoryApi(), Clock()
    first = candidate(api, "a", clock, lease_s=0.03)
    await first.acquire()
    attempts = 0

    async def refuse(manifest: object) -> None:
        nonlocal attempts
        attempts += 1
        clock.now += 0.01
        raise Unavailable("no answer", status=0)

    api.replace = refuse  # type: ignore[assignment, method-assign]
    with pytest.raises(LeadershipLost):
        await first.hold()
    assert attempts == 2
