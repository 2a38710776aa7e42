"""Keys of requests in the memory of one gateway: their times, and what they may take."""

from __future__ import annotations

import pytest

from hanax.core.errors import IdempotencyKeyInFlight, IdempotencyKeyReused
from hanax.gateway.idempotency import keys
from hanax.gateway.idempotency.keys import LEASE_S, Claim, KeptAnswer, Keys
from hanax.gateway.idempotency.stores import MemoryKeys
from tests.integration.waiting import until

ANSWER = KeptAnswer(201, [("content-type", "application/json")], b'{"done": true}')
KEEP_S = 100.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def claimed(known: Keys, key: bytes = b"k", request: bytes = b"r") -> Claim:
    found = await known.begin(key, request)
    assert isinstance(found, Claim)
    return found


async def test_an_answer_is_kept_for_its_time() -> None:
    clock = Clock()
    known = Keys(None, KEEP_S, clock)
    await (await claimed(known)).keep(ANSWER)
    clock.now = KEEP_S - 1
    assert await known.begin(b"k", b"r") == ANSWER
    with pytest.raises(IdempotencyKeyReused):
        await known.begin(b"k", b"another")
    clock.now = KEEP_S
    await (await claimed(known)).release()


async def test_a_claim_that_nobody_renews_ends() -> None:
    """As of a gateway that died: here its task is ended by hand."""
    clock = Clock()
    known = Keys(None, KEEP_S, clock)
    lost = await claimed(known)
    lost._renewing.cancel()
    clock.now = LEASE_S - 1
    with pytest.raises(IdempotencyKeyInFlight) as refusal:
        await known.begin(b"k", b"r")
    assert refusal.value.details == {"retry_after_s": 1}
    clock.now = LEASE_S
    mine = await claimed(known)
    # The one that was given up does not answer for it, nor take it away.
    await lost.keep(ANSWER)
    await lost.release()
    with pytest.raises(IdempotencyKeyInFlight):
        await known.begin(b"k", b"r")
    await mine.keep(ANSWER)
    assert await known.begin(b"k", b"r") == ANSWER


async def test_a_claim_lasts_as_long_as_its_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_RENEW_EVERY_S", 0.001)
    clock = Clock()
    known = Keys(None, KEEP_S, clock)
    claim = await claimed(known)

    def lease_ends_at() -> float:
        ((_, ends_at),) = known._own._held.values()
        return ends_at

    for _ in range(10):
        clock.now += LEASE_S - 1
        await until("the lease is renewed", lambda: lease_ends_at() == clock.now + LEASE_S)
        assert not claim._renewing.done()
        with pytest.raises(IdempotencyKeyInFlight):
            await known.begin(b"k", b"r")
    await claim.release()


async def test_a_key_that_is_given_back_is_free() -> None:
    known = Keys(None, KEEP_S, Clock())
    await (await claimed(known)).release()
    await (await claimed(known, request=b"another")).release()


async def test_memory_is_bounded() -> None:
    store = MemoryKeys(10_000, Clock())
    for number in range(1_000):
        assert await store.claim(b"%d" % number, b"v" * 100, KEEP_S) is None
        assert store._bytes <= 10_000
    # The latest are there, and may be replaced by larger ones.
    assert await store.claim(b"999", b"w", KEEP_S) == b"v" * 100
    await store.replace(b"999", b"v" * 100, b"w" * 9_000, KEEP_S)
    assert await store.claim(b"999", b"x", KEEP_S) == b"w" * 9_000
    assert store._bytes <= 10_000
    await store.remove(b"999", b"other")
    assert await store.claim(b"999", b"x", KEEP_S) == b"w" * 9_000
    await store.remove(b"999", b"w" * 9_000)
    assert await store.claim(b"999", b"x", KEEP_S) is None
