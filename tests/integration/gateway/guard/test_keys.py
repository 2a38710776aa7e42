"""API keys: made, told once, used, rotated, revoked, expired; in files and in the database."""

from __future__ import annotations

import sqlite3
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import orjson
import pytest

from hanax.core.api_keys import new_key, new_key_id
from tests.integration.gateway.guard.conftest import KEYS, Guarded, guarded, guarded_settings
from tests.integration.gateway.stack import GatewayProcess, running_stack
from tests.integration.waiting import wait_until

LIST = "/api/v1/collections"


def status(guard: Guarded, key: str | None, path: str = LIST) -> int:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return httpx.get(f"{guard.stack.gateway.url}{path}", headers=headers, timeout=30.0).status_code


def test_a_key_opens_and_nothing_else_does(guard: Guarded) -> None:
    key = guard.key("read")
    assert status(guard, key) == 200
    for other in (
        None,
        key[:-1],
        key[:-1] + ("A" if key[-1] != "A" else "B"),
        new_key(new_key_id()),
        "x" * 9_000,
    ):
        assert status(guard, other) == 401, other
    by_header = httpx.get(f"{guard.stack.gateway.url}{LIST}", headers={"X-API-Key": key})
    assert by_header.status_code == 200
    basic = httpx.get(f"{guard.stack.gateway.url}{LIST}", auth=("user", key))
    assert (basic.status_code, basic.json()["error"]["code"]) == (401, "unauthenticated")
    assert basic.headers["WWW-Authenticate"] == "Bearer"


def test_probes_and_documentation_need_no_key(guard: Guarded) -> None:
    for path in ("/health", "/ready", "/docs", "/openapi.json"):
        assert status(guard, None, path) == 200, path
    for path in ("/metrics", "/metrics/", "/cache/stats", "/health/database", "/nothing", "//health"):
        assert status(guard, None, path) == 401, path
    assert status(guard, guard.admin_key, "/metrics") == 200
    assert status(guard, guard.key("read", on="docs"), "/metrics") == 403


def test_a_key_is_told_once_and_kept_as_a_digest(guard: Guarded) -> None:
    made = guard.make({"scopes": ["read"], "collections": ["docs-*"]}, filter={"tenant": "a"})
    key = made["key"]
    assert key.startswith(f"hxk_{made['id']}_")
    shown = guard.stack.data(guard.client.get(f"{KEYS}/{made['id']}"))
    assert shown == {name: value for name, value in made.items() if name != "key"}
    assert shown["grants"] == [{"scopes": ["read"], "collections": ["docs-*"]}]
    assert shown["filter"] == {"tenant": "a"}
    secret = key.rpartition("_")[2] if "_" not in key[21:] else key[21:]
    assert secret not in guard.client.get(KEYS).text
    kept = "".join(map(str, sqlite3.connect(guard.stack.folder / "metadata.db").iterdump()))
    assert made["id"] in kept
    for text in (kept, guard.stack.gateway.log.read_text()):
        assert secret not in text
        assert guard.admin_key not in text


def test_pages_of_keys(guard: Guarded) -> None:
    made = [guard.make(name=f"page {number}")["id"] for number in range(3)]
    found: list[str] = []
    cursor = None
    while True:
        page = guard.stack.data(
            guard.client.get(KEYS, params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        )
        found += [key["id"] for key in page["keys"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(found) == len(set(found))
    assert [key for key in found if key in made] == made[::-1]
    assert guard.client.get(KEYS, params={"cursor": "x"}).json()["error"]["code"] == "invalid_cursor"


def test_a_rotated_key_has_two_secrets_for_a_while(guard: Guarded) -> None:
    made = guard.make()
    old = made["key"]
    rotated = guard.stack.data(guard.stack.post(f"{KEYS}/{made['id']}/rotate", {"grace_s": 3600}))
    assert rotated["previous_until"] is not None
    assert (status(guard, rotated["key"]), status(guard, old)) == (200, 200)
    again = guard.stack.data(guard.stack.post(f"{KEYS}/{made['id']}/rotate", {"grace_s": 0}))
    assert status(guard, again["key"]) == 200
    # At once here; other gateways follow within seconds.
    wait_until("the secrets before are refused", lambda: status(guard, rotated["key"]) == 401)
    assert status(guard, old) == 401
    guard.stack.data(guard.client.delete(f"{KEYS}/{made['id']}"))
    refused = guard.stack.post(f"{KEYS}/{made['id']}/rotate", {})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "failed_precondition")


def test_every_gateway_follows_what_another_one_changes(guard: Guarded) -> None:
    """A key that one gateway makes opens the other at once; one that it revokes is refused within seconds."""
    folder = guard.stack.folder
    (folder / "other").mkdir()
    other = GatewayProcess(
        folder / "other",
        routing_file=folder / "routing.json",
        catalog_dir=folder / "catalog",
        gateway_grpc_port="off",
        admin_key_file=folder / "admin",
        database_url=f"sqlite:///{folder}/metadata.db",
    )
    try:
        with httpx.Client(base_url=other.url, timeout=30.0) as client:

            def answered(key: str) -> int:
                return client.get(LIST, headers={"X-API-Key": key}).status_code

            wait_until("the other is ready", lambda: client.get("/ready").status_code == 200)
            made = guard.make()
            assert answered(made["key"]) == 200
            rotated = guard.stack.data(guard.stack.post(f"{KEYS}/{made['id']}/rotate", {}))
            assert answered(rotated["key"]) == 200
            guard.stack.data(guard.client.delete(f"{KEYS}/{made['id']}"))
            wait_until("the other refuses it", lambda: answered(rotated["key"]) == 401)
    finally:
        other.close()


def test_a_key_expires(guard: Guarded) -> None:
    at = datetime.now(UTC) + timedelta(seconds=4)
    key = guard.key("read", expires_at=at.isoformat())
    wait_until("the key is refused", lambda: status(guard, key) == 401)
    assert datetime.now(UTC) >= at


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "grants"),
        ({"name": "x"}, "grants"),
        ({"name": "x", "grants": []}, "grants"),
        ({"name": "x", "grants": [{"scopes": []}]}, "grants.0.scopes"),
        ({"name": "x", "grants": [{"scopes": ["root"]}]}, "grants.0.scopes"),
        (
            {"name": "x", "grants": [{"scopes": ["read"], "collections": ["*docs"]}]},
            "grants[0].collections[0]",
        ),
        ({"name": "x", "grants": [{"scopes": ["read"], "collections": ["a b"]}]}, "grants[0].collections[0]"),
        ({"name": "x", "grants": [{"scopes": ["read"]}], "filter": {}}, "filter"),
        ({"name": "x", "grants": [{"scopes": ["read"]}], "filter": {"a.b": "c"}}, "filter"),
        ({"name": "x", "grants": [{"scopes": ["read"]}], "filter": {"a": ["c"]}}, "filter"),
        ({"name": "x", "grants": [{"scopes": ["read"]}], "filter": {"a": "c\0"}}, "filter"),
        ({"name": "x", "grants": [{"scopes": ["read"]}], "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "x", "grants": [{"scopes": ["read"]}], "expires_at": "2099-01-01T00:00:00"}, "expires_at"),
        ({"name": "x", "grants": [{"scopes": ["read"]}], "rate": {"requests_per_s": 0, "burst": 1}}, "rate"),
        ({"name": "x\n", "grants": [{"scopes": ["read"]}]}, "name"),
    ],
)
def test_rights_that_are_none(guard: Guarded, body: dict[str, object], message: str) -> None:
    refused = guard.stack.post(KEYS, body)
    assert refused.status_code == 422, refused.text
    assert refused.json()["error"]["message"].startswith(message), refused.text


def test_keys_are_for_administrators_of_everything(guard: Guarded) -> None:
    made = guard.make()
    for key in (
        guard.key("read", "write"),
        guard.key("admin", on="docs"),
        guard.key("admin", filter={"tenant": "a"}),
    ):
        asking = guard.caller(key)
        for answer in (
            asking.client.get(KEYS),
            asking.post(KEYS, {"name": "x", "grants": [{"scopes": ["admin"]}]}),
            asking.client.get(f"{KEYS}/{made['id']}"),
            asking.client.get(f"{KEYS}/0000000000000000"),
            asking.post(f"{KEYS}/{made['id']}/rotate", {}),
            asking.client.delete(f"{KEYS}/{made['id']}"),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "permission_denied")
    assert guard.client.get(f"{KEYS}/0000000000000000").json()["error"]["code"] == "key_not_found"


def test_when_a_key_was_last_used_is_told(tmp_path: Path) -> None:
    with running_stack(tmp_path, **guarded_settings(tmp_path)) as stack, guarded(stack) as guard:
        made = guard.make()
        assert status(guard, made["key"]) == 200
        assert stack.gateway.end() == 0
    with sqlite3.connect(tmp_path / "metadata.db") as database:
        query = "SELECT last_used_at_us FROM api_keys WHERE id = ?"
        (used,) = database.execute(query, (made["id"],)).fetchone()
    assert abs(used / 1e6 - time.time()) < 300


def test_keys_of_a_file_are_read_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    first, second = (new_key(new_key_id()) for _ in range(2))

    def write(key: str, expires: str | None = None) -> None:
        one = {"name": "web", "key": key, "grants": [{"scopes": ["read"]}], "expires_at": expires}
        file.write_bytes(orjson.dumps({"keys": [one]}))

    write(first)
    with running_stack(tmp_path, keys_file=file) as stack:
        guard = Guarded(stack, first, "")
        assert (status(guard, first), status(guard, second)) == (200, 401)
        write(second)
        wait_until("the second key opens", lambda: status(guard, second) == 200)
        assert status(guard, first) == 401
        file.write_text("{broken")
        wait_until(
            "the broken file is noticed",
            lambda: any("not read again" in str(event.get("event")) for event in stack.gateway.events()),
        )
        assert status(guard, second) == 200
        write(second, "2020-01-01T00:00:00Z")
        wait_until("the key has expired", lambda: status(guard, second) == 401)
