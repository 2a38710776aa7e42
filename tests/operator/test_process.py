"""`python -m hanax_operator`: signals, health and metrics."""

from __future__ import annotations

import signal
import socket

import httpx
import pytest

from tests.operator.homes import Home


async def test_a_process_tells_its_health_and_ends_cleanly_on_sigterm(home: Home) -> None:
    port = free_port()
    async with (
        home.process(METRICS_PORT=port) as (_, operator),
        httpx.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{port}") as client,
    ):
        await home.collect("films")
        await home.ready("films")
        for path in ("/health", "/ready"):
            assert (await client.get(path)).status_code == 200
        done = 'hanax_operator_reconciles_total{kind="VectorCollection",result="done"}'

        async def counted() -> str:
            # Ready is told in the middle of a reconcile.
            told = (await client.get("/metrics")).text
            return told if done in told else ""

        metrics = await home.until(counted, "reconciles are counted")
        assert "hanax_operator_reconcile_seconds_bucket" in metrics
        assert "hanax_operator_queue_length" in metrics
        assert "hanax_operator_leader 1.0" in metrics
        assert await operator.end(signal.SIGTERM) == 0, operator.log
        lease = await home.get("Lease", "hanax-operator")
        assert not lease["spec"].get("holderIdentity"), "the next one need not wait"
    assert "Traceback" not in operator.log


async def test_a_process_that_can_not_list_the_cluster_is_alive_and_not_ready(home: Home) -> None:
    port = free_port()
    async with home.process(METRICS_PORT=port) as (gate, operator):
        gate.fall()
        async with httpx.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{port}") as client:

            async def alive() -> bool:
                try:
                    return (await client.get("/health")).status_code == 200
                except httpx.TransportError:
                    return False

            await home.until(alive, "the operator is alive")
            assert (await client.get("/ready")).status_code == 503
        assert await operator.end(signal.SIGTERM) == 0, operator.log


@pytest.mark.parametrize("writes", [2, 6])
async def test_what_a_killed_process_began_another_one_finishes(home: Home, writes: int) -> None:
    async with home.process() as (gate, operator):
        await home.collect("films", shards=2)

        async def has_written() -> bool:
            return len(gate.changes) >= writes

        await home.until(has_written, f"{writes} writes")
        assert await operator.end(signal.SIGKILL) == -signal.SIGKILL
    async with home.process():
        await home.ready("films")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
