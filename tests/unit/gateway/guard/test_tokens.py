"""Callers of tokens: who they are, and who is another."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from hanax.core.errors import Unauthenticated
from hanax.gateway.calls import Call
from hanax.gateway.guard.caller import Caller, Rate
from hanax.gateway.guard.guard import Guard, Openness
from hanax.gateway.guard.jwks import SigningKeys
from hanax.gateway.guard.key_files import KeyFiles, KeyPaths
from hanax.gateway.guard.key_ring import KeyRing
from hanax.gateway.guard.limits import RateLimits
from hanax.gateway.guard.tokens import TokenRules, Tokens
from hanax.gateway.idempotency.keys import Claim, KeptAnswer, Keys
from hanax.gateway.idempotency.requests import begin

ISSUER = "https://issuer.example"
RULES = TokenRules(ISSUER, "vectors", tenant_claim="org", tenant_field="tenant")


def now_us() -> int:
    return time.time_ns() // 1000


class Trusted:
    """An issuer with one key, and the tokens that it is trusted for."""

    def __init__(self, folder: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        public: Mapping[str, Any] = ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        file = folder / "jwks.json"
        file.write_bytes(orjson.dumps({"keys": [{**public, "kid": "one", "use": "sig"}]}))
        self.tokens = Tokens(RULES, SigningKeys(str(file), None, time.monotonic), time.monotonic, now_us)

    def token(self, **claims: object) -> str:
        told = {
            "iss": ISSUER,
            "aud": "vectors",
            "exp": int(time.time()) + 600,
            "sub": "import",
            "org": "acme",
            "scope": "read write",
            **claims,
        }
        return jwt.encode(told, self._key, "ES256", headers={"kid": "one"})

    async def caller(self, **claims: object) -> Caller:
        return await self.tokens.find(self.token(**claims))


@pytest.fixture
def trusted(tmp_path: Path) -> Trusted:
    return Trusted(tmp_path)


LONG = "organisations/emea/customers/of-the-north/"
SUBJECT = "spiffe://cluster.example.internal/ns/production-search/sa/ingest-of-the-north-"
OTHERS = [({"org": LONG + "1"}, {"org": LONG + "2"}), ({"sub": SUBJECT + "1"}, {"sub": SUBJECT + "2"})]
OTHERS.append(({"org": "1"}, {"org": 1}))  # type: ignore[dict-item]


@pytest.mark.parametrize(("one", "other"), OTHERS)
async def test_nobody_is_told_what_was_kept_for_another(
    trusted: Trusted, one: dict[str, str], other: dict[str, str]
) -> None:
    """However long what they have in common is."""
    keys = Keys(None, 3600.0, time.monotonic)
    asked = (b"POST", b"/api/v1/vectors/insert", b"{}")
    answer = KeptAnswer(200, [], b"kept")
    first = await begin(keys, call_of(await trusted.caller(**one)), b"import-1", asked)
    assert isinstance(first, Claim)
    await first.keep(answer)
    assert isinstance(await begin(keys, call_of(await trusted.caller(**other)), b"import-1", asked), Claim)
    # A token that comes later is of the same caller.
    again = await trusted.caller(**one, exp=int(time.time()) + 900)
    assert await begin(keys, call_of(again), b"import-1", asked) == answer


@pytest.mark.parametrize(("one", "other"), OTHERS)
async def test_each_has_a_rate_of_its_own(
    trusted: Trusted, one: dict[str, str], other: dict[str, str]
) -> None:
    limits = RateLimits(Rate(0.001, 1), None, 1, time.monotonic)
    for claims, granted in ((one, True), (other, True), (one, False)):
        state = await limits.take(await trusted.caller(**claims))
        assert state is not None
        assert state.granted is granted


@pytest.mark.parametrize("org", [2**63, 2**70, -(2**64), "\ud800", "a\0b", "x" * 257])
async def test_tenants_that_no_point_can_be_of(trusted: Trusted, org: object) -> None:
    with pytest.raises(Unauthenticated, match="org"):
        await trusted.caller(org=org)


async def test_a_key_that_looks_like_a_token_is_a_key(trusted: Trusted, tmp_path: Path) -> None:
    file = tmp_path / "admin"
    file.write_text("an.admin.key-" + "x" * 40)
    ring = KeyRing(None, KeyFiles(KeyPaths(admin=file)), time.monotonic, now_us)
    openness = Openness(metrics=False, origins=())
    guard = Guard(ring, trusted.tokens, RateLimits(None, None, 1, time.monotonic), openness)
    call = Call("request", time.monotonic)
    await guard.enter(call, file.read_text())
    assert call.caller.name == "key admin"
    await guard.enter(call, trusted.token())
    assert call.caller.name.startswith("token 'import'")
    with pytest.raises(Unauthenticated, match="no JSON Web Token"):
        await guard.enter(call, "an.admin.key-" + "y" * 40)


def call_of(caller: Caller) -> Call:
    return Call("request", time.monotonic, caller=caller)
