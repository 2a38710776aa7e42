"""What a gateway is open to: addresses without keys, pages of other origins; and what it writes down."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from hanax.core.api_keys import new_key, new_key_id
from tests.integration.gateway.guard.audit_lines import audited
from tests.integration.gateway.guard.conftest import Guarded
from tests.integration.gateway.stack import running_stack
from tests.integration.waiting import wait_until

LIST = "/api/v1/collections"
TOKENS = {"jwt_jwks": "key", "jwt_issuer": "i", "jwt_audience": "a"}


def start(folder: Path, **settings: object) -> tuple[int, str]:
    """A gateway that does not start: its status, and what its log says."""
    variables = {
        "HANAX_GATEWAY_PORT": "0",
        "HANAX_GATEWAY_GRPC_PORT": "off",
        "HANAX_ROUTING_FILE": str(folder / "routing.json"),
        "HANAX_CATALOG_DIR": str(folder / "catalog"),
    } | {f"HANAX_{name.upper()}": str(value) for name, value in settings.items()}
    ended = subprocess.run(
        [sys.executable, "-m", "hanax.gateway"],
        env={**os.environ, **variables},
        capture_output=True,
        timeout=120,
        check=False,
    )
    return ended.returncode, (ended.stdout + ended.stderr).decode()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "gateway.example"])
def test_no_start_without_keys_where_others_can_connect(tmp_path: Path, host: str) -> None:
    status, log = start(tmp_path, gateway_host=host)
    assert (status, "HANAX_INSECURE=1" in log, "Traceback" in log) == (1, True, False), log


@pytest.mark.parametrize("settings", [{"insecure": "1"}, {"admin_key_file": "key"}])
def test_a_start_where_somebody_has_said_who_may(tmp_path: Path, settings: dict[str, Any]) -> None:
    (tmp_path / "key").write_text(new_key(new_key_id()))
    if "admin_key_file" in settings:
        settings = {"admin_key_file": str(tmp_path / "key")}
    with running_stack(tmp_path, gateway_host="0.0.0.0", **settings) as stack:
        answer = stack.client.get(LIST)
        assert answer.status_code == (200 if "insecure" in settings else 401)


def two_keys(*names: str, same: bool = False) -> str:
    keys = ["k" * 40 if same else name * 40 + str(number) for number, name in enumerate(names)]
    grants = [{"scopes": ["read"]}]
    told = [{"name": name, "key": key, "grants": grants} for name, key in zip(names, keys, strict=True)]
    return orjson.dumps({"keys": told}).decode()


@pytest.mark.parametrize(
    ("settings", "content", "told"),
    [
        ({"admin_key_file": "absent"}, "", "absent"),
        ({"admin_key_file": "key"}, "short", "32 to 512"),
        (
            {"admin_key_file": "key"},
            "more than one line is no key of anybody's\nas this",
            "32 to 512",
        ),
        ({"keys_file": "key"}, "{", "expected JSON"),
        ({"keys_file": "key"}, '{"keys": [{"name": "a"}]}', "keys.0"),
        ({"keys_file": "key"}, two_keys("a", "a"), "keys[1].name"),
        ({"keys_file": "key"}, two_keys("a", "b", same=True), "keys[1].key"),
        ({"jwt_jwks": "key"}, "{}", "HANAX_JWT_ISSUER"),
        (
            {"jwt_jwks": "key", "jwt_issuer": "i", "jwt_audience": "a", "jwt_algorithms": "HS256"},
            "{}",
            "ALGORITHMS",
        ),
        (
            {"jwt_jwks": "key", "jwt_issuer": "i", "jwt_audience": "a", "jwt_algorithms": "none"},
            "{}",
            "ALGORITHMS",
        ),
        ({"cors_origins": "example.com"}, "", "HANAX_CORS_ORIGINS"),
    ],
)
def test_no_start_with_settings_that_let_nobody_in(
    tmp_path: Path, settings: dict[str, str], content: str, told: str
) -> None:
    (tmp_path / "key").write_text(content)
    placed = {
        name: str(tmp_path / value) if value in ("key", "absent") else value
        for name, value in settings.items()
    }
    status, log = start(tmp_path, **placed)
    assert (status, told in log, "Traceback" in log) == (1, True, False), log
    assert not content or content not in log or len(content) < 3


def test_pages_of_origins_that_are_listed(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(new_key(new_key_id()))
    origins = "https://app.example, http://localhost:3000"
    with running_stack(tmp_path, admin_key_file=tmp_path / "key", cors_origins=origins) as stack:
        preflight = {
            "Origin": "https://app.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-api-key,content-type,idempotency-key",
        }
        allowed = stack.client.options(LIST, headers=preflight)
        assert allowed.status_code == 200, allowed.text
        assert allowed.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert "X-API-Key" in allowed.headers["Access-Control-Allow-Headers"]
        assert "Access-Control-Allow-Credentials" not in allowed.headers
        # Refusals can be read by the page, too.
        refused = stack.client.get(LIST, headers={"Origin": "http://localhost:3000"})
        assert refused.status_code == 401
        assert refused.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
        assert "RateLimit-Remaining" in refused.headers["Access-Control-Expose-Headers"]
        for origin in ("https://evil.example", "https://app.example.evil.example", "null"):
            other = stack.client.options(LIST, headers={**preflight, "Origin": origin})
            assert other.status_code == 400
            assert (
                "Access-Control-Allow-Origin"
                not in stack.client.get(LIST, headers={"Origin": origin}).headers
            )


def test_without_a_list_no_page_may_read(guard: Guarded) -> None:
    answer = guard.client.get(LIST, headers={"Origin": "https://app.example"})
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_changes_and_refusals_are_written_down(guard: Guarded) -> None:
    name = guard.collection()
    made = guard.make({"scopes": ["write"], "collections": [name]})
    asking = guard.caller(made["key"])
    body = {"collection": name, "vectors": [{"id": 1, "vector": [1, 0, 0]}]}
    written = asking.client.post("/api/v1/vectors/insert", json=body, headers={"X-Request-ID": "audit-1"})
    assert written.status_code == 200
    (line,) = audited(guard, "audit-1")
    assert (line["operation"], line["collection"], line["outcome"], line["items"]) == (
        "insert",
        name,
        "ok",
        1,
    )
    assert line["actor"].startswith(f"key {made['id']} test, address 127.0.0.1")
    search = {"collection": name, "vector": [1, 0, 0]}
    asking.client.post("/api/v1/vectors/search", json=search, headers={"X-Request-ID": "audit-2"})
    (line,) = audited(guard, "audit-2")
    assert (line["outcome"], line["path"]) == ("permission_denied", "/api/v1/vectors/search")
    httpx.get(f"{guard.client.base_url}{LIST}", headers={"X-API-Key": "nobody's", "X-Request-ID": "audit-3"})
    (line,) = audited(guard, "audit-3")
    assert (line["outcome"], line["actor"]) == ("unauthenticated", "address 127.0.0.1")
    guard.client.delete(f"/api/v1/keys/{made['id']}", headers={"X-Request-ID": "audit-4"})
    (line,) = audited(guard, "audit-4")
    assert (line["operation"], line["outcome"]) == ("revoke_key", "ok")
    # A read that succeeds is no line, and no line tells a key.
    guard.client.post("/api/v1/vectors/search", json=search, headers={"X-Request-ID": "audit-5"})
    guard.client.delete("/cache", headers={"X-Request-ID": "audit-6"})
    log = guard.stack.gateway.log.read_text()
    assert '"audit-5"' not in log
    assert made["key"] not in log

    def noted() -> bool:
        """Operations are noted about a second after they end."""
        operations = guard.stack.data(guard.client.get("/api/v1/operations", params={"limit": 1000}))
        return made["id"].encode() in orjson.dumps(operations)

    wait_until("the operation log names the key", noted)


def test_only_services_are_believed_whom_they_work_for(guard: Guarded) -> None:
    from citadel.vector.v1 import vector_pb2 as pb
    from tests.integration.gateway.vector_service.client import connected

    name = guard.collection()
    with connected(guard.stack) as service:
        for number, key in enumerate((guard.service_key, guard.admin_key)):
            request = pb.InsertVectorsRequest(
                collection=name, vectors=pb.Vectors(dimension=3, values=[1.0, 0.0, 0.0])
            )
            told = (("x-api-key", key), ("x-hanax-job", "a-job"), ("x-request-id", f"audit-job-{number}"))
            service.InsertVectors(request, metadata=told)
    assert audited(guard, "audit-job-0")[0]["actor"] == "job a-job"
    assert audited(guard, "audit-job-1")[0]["actor"].startswith("key admin, address")
