"""What checks make of the whole, and of a gateway that is away or says that it is not well."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import pytest

from hanax.cli.health.app import app
from hanax.cli.health.checks import Check, Status, chosen, overall
from hanax.core.errors import NotFound
from tests.command_runs import run

NOBODY = "http://127.0.0.1:9"


def check(name: str, status: Status) -> Check:
    return Check(name, "service", status)


@pytest.mark.parametrize(
    ("found", "made"),
    [
        ([], Status.UNKNOWN),
        ([Status.HEALTHY, Status.HEALTHY], Status.HEALTHY),
        ([Status.HEALTHY, Status.UNKNOWN], Status.UNKNOWN),
        ([Status.DEGRADED, Status.UNKNOWN], Status.DEGRADED),
        ([Status.DEGRADED, Status.UNHEALTHY, Status.HEALTHY], Status.UNHEALTHY),
    ],
)
def test_the_whole_is_as_well_as_its_worst_part(found: list[Status], made: Status) -> None:
    assert overall(check("a", status) for status in found) is made


def test_parts_are_chosen_by_name() -> None:
    checks = [check("a", Status.HEALTHY), check("b", Status.UNHEALTHY), check("a", Status.UNHEALTHY)]
    assert chosen(checks, None) == checks
    assert chosen(checks, "a") == [checks[0], checks[2]]
    with pytest.raises(NotFound, match="there is: a, b"):
        chosen(checks, "c")


class Gateway:
    """Answers each path with a status and data, or an error."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {
            "/health": (200, {"status": "ok", "version": "9.9"}),
            "/ready": (200, {"routing": "ok", "nodes": {"shard-0": "ok"}, "models": {}}),
            "/health/database": (200, {"status": "not_configured"}),
            "/external/status": (200, {"models": []}),
        }
        self.metrics = ""
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/metrics":
                    status, raw = 200, gateway.metrics.encode()
                else:
                    status, told = gateway.answers[self.path]
                    done = {"success": True, "data": told, "error": None}
                    refused = {"success": False, "data": None, "error": told}
                    raw = orjson.dumps(done if status == 200 else refused)
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway()
    yield made
    made.close()


def asked(url: str, *words: str) -> Any:
    return run(app, "check", "--api", url, "--format", "json", *words)


def test_nobody_there_is_unhealthy() -> None:
    found = asked(NOBODY)
    assert found.code == 1
    [told] = found.json["checks"]
    assert (told["name"], told["status"]) == ("gateway", "unhealthy")
    assert "does not answer" in told["message"]


def test_what_is_not_ready_is_named(gateway: Gateway) -> None:
    parts = {"routing": "ok", "nodes": {"shard-0": "ok", "shard-1": "does not answer"}, "models": {}}
    gateway.answers["/ready"] = (503, {"code": "unavailable", "message": "not ready", "details": parts})
    found = asked(gateway.url)
    assert found.code == 1
    states = {one["name"]: (one["status"], one["message"]) for one in found.json["checks"]}
    assert states["shard-1"] == ("unhealthy", "does not answer")
    assert states["shard-0"] == ("healthy", "")
    assert asked(gateway.url, "--service", "shard-0").code == 0
    assert asked(gateway.url, "--service", "shard-1").code == 1
    assert asked(gateway.url, "--service", "shard-2").code == 4


def test_a_database_that_is_away_is_unhealthy_and_none_is_no_fault(gateway: Gateway) -> None:
    assert asked(gateway.url).code == 0
    error = {"code": "database_unavailable", "message": "no route", "details": {"dialect": "postgresql"}}
    gateway.answers["/health/database"] = (503, error)
    [told] = asked(gateway.url, "--service", "database").json["checks"]
    assert (told["status"], told["message"], told["details"]["dialect"]) == (
        "unhealthy",
        "no route",
        "postgresql",
    )


def test_what_is_kept_from_who_shows_no_key_is_unknown(gateway: Gateway) -> None:
    refused = (401, {"code": "unauthenticated", "message": "no key", "details": {}})
    gateway.answers |= {"/external/status": refused, "/health/database": refused}
    found = asked(gateway.url)
    assert (found.code, found.json["status"]) == (0, "unknown")


def test_a_gateway_that_fails_often_is_degraded(gateway: Gateway) -> None:
    head = "# TYPE vector_db_requests_total counter\n"
    for status, count in (("200", 90), ("404", 40), ("500", 20)):
        head += f'vector_db_requests_total{{service="gateway",method="GET /",status="{status}"}} {count}\n'
    gateway.metrics = head
    found = asked(gateway.url, "--service", "gateway")
    [told] = found.json["checks"]
    assert (found.code, told["status"]) == (0, "degraded")
    assert (told["details"]["requests"], told["details"]["server_errors"]) == (150, 20)
    assert asked(gateway.url, "--service", "gateway", "--strict").code == 1


def test_a_model_tells_why(gateway: Gateway) -> None:
    endpoint = {
        "address": "embedder:1",
        "weight": 1.0,
        "state": "open",
        "latency_ms": None,
        "last_failure": {"code": "unavailable", "message": "connection refused"},
    }
    model = {
        "model": "m",
        "health": "unavailable",
        "external": False,
        "protocol": "hana",
        "pattern": "hybrid",
        "dimension": 3,
        "max_tokens": 256,
        "load_balancing": "least_connections",
        "waiting": 0,
    }
    gateway.answers["/external/status"] = (200, {"models": [{**model, "endpoints": [endpoint]}]})
    [told] = asked(gateway.url, "--service", "m").json["checks"]
    assert (told["status"], told["message"]) == ("unhealthy", "embedder:1: connection refused")


def test_a_gateway_of_another_version_is_told_and_no_stack_trace(gateway: Gateway) -> None:
    gateway.answers["/external/status"] = (200, {"models": [{"name": "m"}]})
    [told] = asked(gateway.url, "--service", "models").json["checks"]
    assert told["status"] == "unhealthy"
    assert "ModelStatus: model: Field required" in told["message"]


def test_monitor_tells_what_changes_and_a_line_for_each_look_to_programs(gateway: Gateway) -> None:
    words = ("monitor", "--api", gateway.url, "--interval", "0.1", "--count", "3")
    told = run(app, *words)
    assert told.code == 0
    assert len(told.out.splitlines()) == 4, (
        "one look's, as nothing changes: gateway, routing, shard-0, database"
    )
    looks = [orjson.loads(line) for line in run(app, *words, "--format", "json").out.splitlines()]
    assert [look["status"] for look in looks] == ["healthy"] * 3


def test_the_report_is_made_where_nobody_answers(tmp_path: Any) -> None:
    for form, begins in (
        ("markdown", "# HANA-X Vector: unhealthy"),
        ("json", "{"),
        ("yaml", "status: unhealthy"),
    ):
        made = run(app, "report", "--api", NOBODY, "--format", form)
        assert (made.code, made.out.startswith(begins)) == (1, True)
    file = tmp_path / "report.md"
    assert run(app, "report", "--api", NOBODY, "-o", str(file)).out == ""
    assert "does not answer" in file.read_text()
