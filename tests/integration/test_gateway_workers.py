"""Several gateways on one port: a request may reach any, and one that dies takes nothing with it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.local_stack import LocalStack
from tests.integration.waiting import wait_until

WORKERS = ["gateway", "gateway-2"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    made = LocalStack(tmp_path_factory.mktemp("workers") / "data", HANAX_GATEWAY_WORKERS="2")
    try:
        made.up()
        yield made
    finally:
        made.end()


@pytest.fixture(autouse=True)
def ready(stack: LocalStack) -> None:
    stack.ready()


def _searches_by_worker(stack: LocalStack) -> dict[str, float]:
    """Searches that each has answered."""
    told = httpx.get(f"{stack.state().api_url}/metrics", timeout=30, trust_env=False).text
    found: dict[str, float] = {}
    for line in told.splitlines():
        if line.startswith("vector_db_requests_total") and "vectors/search" in line:
            worker = line.partition('worker="')[2].partition('"')[0]
            found[worker] = found.get(worker, 0.0) + float(line.rsplit(" ", 1)[1])
    return found


def _search(stack: LocalStack, name: str) -> list[int]:
    body = {"collection": name, "vector": [1.0, 0.0], "limit": 3}
    return [hit["id"] for hit in stack.call("POST", "/api/v1/vectors/search", body)["results"]]


def test_each_is_shown_with_an_address_of_its_own(stack: LocalStack) -> None:
    services = {one["service"]: one for one in stack.status()["services"]}
    assert [services[name]["state"] for name in WORKERS] == ["ready", "ready"]
    addresses = {services[name]["address"] for name in WORKERS}
    assert len(addresses) == 2
    assert stack.state().api_url.removeprefix("http://") not in addresses


def test_all_serve_and_what_one_writes_another_finds_at_once(stack: LocalStack) -> None:
    """Connections are divided by a hash of their ports, so some dozens reach both."""
    stack.create("shared")
    stack.insert("shared", 3)

    def both_have_searched() -> bool:
        assert _search(stack, "shared") == [0, 1, 2]
        return len(_searches_by_worker(stack)) == len(WORKERS)

    wait_until("both gateways have searched", both_have_searched)
    for count in range(4, 24):
        # Each on a connection of its own: no answer of before the write is given.
        stack.insert("shared", count)
        assert stack.count("shared") == count


def test_a_scrape_tells_of_all(stack: LocalStack) -> None:
    told = httpx.get(f"{stack.state().api_url}/metrics", timeout=30, trust_env=False).text
    up = [line for line in told.splitlines() if line.startswith("vector_db_gateway_worker_up{")]
    assert [line.rsplit(" ", 1)[1] for line in up] == ["1.0", "1.0"]


def test_while_one_is_away_the_other_serves_and_it_comes_back(stack: LocalStack) -> None:
    stack.create("lasting")
    stack.insert("lasting", 3)
    before = stack.pids()["gateway-2"]
    os.kill(before, signal.SIGKILL)
    # Until its end is known to the kernel, a connection may still be given to it.
    wait_until("its end is known", lambda: stack.pids().get("gateway-2") != before)
    for _ in range(10):
        assert _search(stack, "lasting") == [0, 1, 2]
    wait_until("it is back", lambda: stack.pids().get("gateway-2", before) != before)
    stack.ready()


def test_a_second_stack_does_not_join_the_port(stack: LocalStack, tmp_path: Path) -> None:
    port = stack.state().api_url.rpartition(":")[2]
    second = LocalStack(tmp_path / "data", HANAX_GATEWAY_WORKERS="2", HANAX_GATEWAY_PORT=port)
    done = second.run("up", "--detach")
    try:
        assert done.returncode != 0
        assert f"port {port} on 127.0.0.1 is taken" in done.stdout + done.stderr
    finally:
        second.end()
