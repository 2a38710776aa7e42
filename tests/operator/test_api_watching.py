"""Watches: what they tell, and when they end (see test_api_server)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest

from tests.operator.api import Api
from tests.operator.widgets import (
    config_map,
    refused,
)

# Far longer than it takes.
WATCHED_S = 30.0


async def collected(api: Api, namespace: str, count: int, **query: str) -> list[tuple[str, str]]:
    seen: list[tuple[str, str]] = []
    watching = api.watch("ConfigMap", namespace, **query)
    async with aclosing(watching) as events:  # type: ignore[type-var]
        async for word, obj in events:
            # Controllers put some of their own into every namespace.
            if word != "BOOKMARK" and obj["metadata"]["name"] in ("a", "b"):
                seen.append((word, obj["metadata"]["name"]))
            if len(seen) == count:
                return seen
    return seen


async def test_a_watch_tells_every_change_since_a_revision(api: Api, namespace: str) -> None:
    first = await api.create(config_map("a"), namespace)
    await api.merge("ConfigMap", "a", {"data": {"b": "2"}}, namespace)
    await api.create(config_map("b"), namespace)
    await api.delete("ConfigMap", "a", namespace)
    since = first["metadata"]["resourceVersion"]
    found = await asyncio.wait_for(collected(api, namespace, 3, resourceVersion=since), WATCHED_S)
    assert found == [("MODIFIED", "a"), ("ADDED", "b"), ("DELETED", "a")]


async def test_a_watch_without_a_revision_begins_with_what_is_there(api: Api, namespace: str) -> None:
    await api.create(config_map("a"), namespace)
    watching = asyncio.create_task(collected(api, namespace, 2))
    await asyncio.sleep(0)
    await api.create(config_map("b"), namespace)
    assert sorted(await asyncio.wait_for(watching, WATCHED_S)) == [("ADDED", "a"), ("ADDED", "b")]


async def test_a_watch_sees_objects_come_into_its_selector_and_leave(api: Api, namespace: str) -> None:
    made = await api.create(config_map("a"), namespace)
    since = made["metadata"]["resourceVersion"]
    for value in ("1", "2"):
        await api.merge("ConfigMap", "a", {"metadata": {"labels": {"x": value}}}, namespace)
    found = await asyncio.wait_for(
        collected(api, namespace, 2, resourceVersion=since, labelSelector="x=1"), WATCHED_S
    )
    assert found == [("ADDED", "a"), ("DELETED", "a")]


async def test_a_watch_ends_at_its_timeout(api: Api, namespace: str) -> None:
    made = await api.create(config_map("a"), namespace)
    since = made["metadata"]["resourceVersion"]
    assert (
        await asyncio.wait_for(
            collected(api, namespace, 1, resourceVersion=since, timeoutSeconds="1"), WATCHED_S
        )
        == []
    )


async def test_a_timeout_has_to_be_whole_seconds(api: Api, namespace: str) -> None:
    await refused(collected(api, namespace, 1, timeoutSeconds="1.0"), 400)


async def test_a_revision_that_is_long_gone_is_told_as_expired(
    api: Api, namespace: str, emulator: Callable[[], Any]
) -> None:
    made = await api.create(config_map("a"), namespace)
    await api.merge("ConfigMap", "a", {"data": {"b": "2"}}, namespace)
    await emulator()
    await refused(
        collected(api, namespace, 1, resourceVersion=made["metadata"]["resourceVersion"]),
        410,
        "too old resource version",
    )


@pytest.fixture
def emulator(cluster: Any) -> Callable[[], Any]:
    """Forgets changes that were: only the emulator does so when asked."""
    if cluster.server is None:
        pytest.skip("when changes are forgotten is the server's own business")
    return lambda: cluster.inside(cluster.server.store.compact)
