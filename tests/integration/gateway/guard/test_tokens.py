"""JSON Web Tokens: whose they are, what they let do, and which are refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
import orjson
import pytest

from tests.integration.gateway.guard.issuers import AUDIENCE, ISSUER, Issuer
from tests.integration.gateway.stack import Stack, running_shards, running_stack
from tests.integration.waiting import wait_until

V = "/api/v1/vectors"
LIST = "/api/v1/collections"
# What the issuer publishes as a symmetric key.
SHARED = b"secret-secret-secret-secret-secret"


@dataclass
class Trusting:
    """A stack whose callers have tokens of `issuer`, and an administrator's key."""

    stack: Stack
    issuer: Issuer
    admin: dict[str, str]

    def ask(self, token: str, path: str, body: object = None) -> httpx.Response:
        method = "GET" if body is None else "POST"
        headers = {"Authorization": f"Bearer {token}"}
        return self.stack.client.request(method, path, json=body, headers=headers)

    def status(self, token: str) -> int:
        return self.ask(token, LIST).status_code


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trusting]:
    folder = tmp_path_factory.mktemp("tokens")
    (folder / "admin").write_text("an administrator's key of forty letters")
    issuer = Issuer()
    issuer.add("rsa", "RS256")
    issuer.add("ec", "ES256")
    with issuer.running() as url:
        settings: dict[str, Any] = {
            "admin_key_file": folder / "admin",
            "jwt_jwks": url,
            "jwt_issuer": ISSUER,
            "jwt_audience": AUDIENCE,
            "jwt_leeway_s": 5,
            "jwt_scopes_prefix": "hanax:",
            "jwt_collections_claim": "collections",
            "jwt_tenant_claim": "org",
            "jwt_tenant_field": "tenant",
        }
        # /ready needs no key.
        with running_shards(folder, **settings) as stack:
            admin = {"X-API-Key": "an administrator's key of forty letters"}
            for name in ("docs-1", "other"):
                made = stack.client.post(LIST, json={"name": name, "dimension": 3}, headers=admin)
                assert made.status_code == 201, made.text
            yield Trusting(stack, issuer, admin)


def test_claims_say_what_a_caller_may(trusting: Trusting) -> None:
    token = trusting.issuer.token("rsa")
    point = {"id": 1, "vector": [1, 0, 0], "metadata": {"n": 1}}
    written = trusting.ask(token, f"{V}/insert", {"collection": "docs-1", "vectors": [point]})
    assert written.status_code == 200, written.text
    others = {"id": 2, "vector": [1, 0, 0], "metadata": {"tenant": "umbrella"}}
    body = {"collection": "docs-1", "vectors": [others]}
    assert trusting.stack.client.post(f"{V}/insert", json=body, headers=trusting.admin).status_code == 200
    search = {"collection": "docs-1", "vector": [1, 0, 0]}
    found = trusting.ask(token, f"{V}/search", search).json()["data"]["results"]
    assert [(one["id"], one["metadata"]) for one in found] == [(1, {"n": 1, "tenant": "acme"})]
    same = trusting.ask(trusting.issuer.token("ec", org="umbrella"), f"{V}/search", search)
    assert [one["id"] for one in same.json()["data"]["results"]] == [2]
    assert trusting.ask(token, f"{V}/search", {**search, "collection": "other"}).status_code == 403
    assert trusting.ask(token, "/api/v1/keys").status_code == 403
    reader = trusting.issuer.token("ec", scope=["hanax:read"])
    refused = trusting.ask(reader, f"{V}/insert", {"collection": "docs-1", "vectors": [point]})
    assert refused.status_code == 403
    too_little: list[dict[str, Any]] = [
        {"scope": None},
        {"scope": "read"},
        {"scope": "hanax:root"},
        {"collections": None},
        {"collections": []},
    ]
    for claims in too_little:
        answer = trusting.ask(trusting.issuer.token("ec", **claims), f"{V}/search", search)
        assert answer.status_code == 403, claims


def test_tokens_that_are_refused(trusting: Trusting) -> None:
    issuer = trusting.issuer
    now = int(time.time())
    public = orjson.loads(issuer.jwks())["keys"][0]
    for claims in (
        {"exp": now - 60},
        {"exp": None},
        {"nbf": now + 600},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "other"},
        {"aud": None},
        {"sub": None},
        {"org": None},
        {"org": ""},
        {"org": ["acme"]},
        {"org": {"a": 1}},
        {"collections": ["a b"]},
    ):
        answer = trusting.ask(issuer.token("rsa", **claims), LIST)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthenticated"), claims
    good: dict[str, Any] = jwt.decode(issuer.token("rsa"), options={"verify_signature": False})
    stranger = Issuer()
    stranger.add("rsa", "RS256")
    forged = {
        "another's signature": stranger.token("rsa"),
        "another's key id": issuer.token("rsa", headers={"kid": "ec"}),
        "no signature": jwt.encode(good, "", "none", headers={"kid": "rsa"}),
        "the public key as a secret": _signed_with(public, good),
        "a published secret": jwt.encode(good, SHARED, "HS256", headers={"kid": "shared"}),
        "a changed claim": _changed(issuer.token("rsa"), org="umbrella"),
        "no token": "a.b.c",
        "a long one": "a." + "b" * 20_000 + ".c",
    }
    for what, token in forged.items():
        answer = trusting.ask(token, LIST)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthenticated"), what
    assert trusting.status(issuer.token("rsa")) == 200
    # Within the leeway.
    assert trusting.status(issuer.token("rsa", exp=now - 1)) == 200


def _signed_with(public: dict[str, Any], claims: dict[str, Any]) -> str:
    """By HMAC with the public key, as those forge it who hope that the algorithm is taken from the token."""
    header = base64.urlsafe_b64encode(orjson.dumps({"alg": "HS256", "kid": "rsa", "typ": "JWT"})).rstrip(b"=")
    body = base64.urlsafe_b64encode(orjson.dumps(claims)).rstrip(b"=")
    mark = hmac.new(orjson.dumps(public), header + b"." + body, hashlib.sha256).digest()
    return b".".join((header, body, base64.urlsafe_b64encode(mark).rstrip(b"="))).decode()


def _changed(token: str, **claims: object) -> str:
    header, body, mark = token.split(".")
    told = orjson.loads(base64.urlsafe_b64decode(body + "=="))
    other = base64.urlsafe_b64encode(orjson.dumps({**told, **claims})).rstrip(b"=").decode()
    return f"{header}.{other}.{mark}"


def test_a_new_key_of_the_issuer_is_fetched_with_moderation(trusting: Trusting) -> None:
    issuer = trusting.issuer
    assert trusting.status(issuer.token("rsa")) == 200
    before = issuer.asked
    for number in range(50):
        assert trusting.status(issuer.token("rsa", headers={"kid": f"made-up-{number}"})) == 401
    # Every ten seconds at most.
    assert issuer.asked - before <= 20
    issuer.add("next", "ES256")
    wait_until("the new key is known", lambda: trusting.status(issuer.token("next")) == 200)


def test_an_issuer_that_is_away_locks_nobody_out(trusting: Trusting) -> None:
    issuer = trusting.issuer
    assert trusting.status(issuer.token("ec")) == 200
    issuer.broken = True
    try:
        assert trusting.status(issuer.token("ec", headers={"kid": "unknown"})) == 401
        assert trusting.status(issuer.token("ec", sub="bob")) == 200
    finally:
        issuer.broken = False


def test_keys_of_a_file(tmp_path: Path) -> None:
    issuer = Issuer()
    issuer.add("ec", "ES256")
    file = tmp_path / "jwks.json"
    file.write_bytes(issuer.jwks())
    settings: dict[str, Any] = {
        "jwt_issuer": ISSUER,
        "jwt_audience": AUDIENCE,
        "jwt_scopes_prefix": "hanax:",
    }

    with running_stack(tmp_path, jwt_jwks=file, **settings) as stack:
        trusted = Trusting(stack, issuer, {})
        assert trusted.status(issuer.token("ec")) == 200
        assert trusted.status("hxk_0000000000000000_" + "a" * 43) == 401
