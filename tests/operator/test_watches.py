"""Watches break, and what happened meanwhile is known all the same."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operator.homes import Home


@pytest.fixture
async def forgetful(home: Home) -> Any:
    """Let the cluster forget its changes: who asks for them has to list anew."""
    server = home.cluster.server
    if server is None:
        pytest.skip("only the emulator forgets at will")

    async def forget() -> None:
        await home.cluster.inside(server.store.compact)

    return forget


async def test_what_was_deleted_while_nobody_watched_comes_back(home: Home, forgetful: Any) -> None:
    """The watch begins anew with a list, which does not tell what is gone; long before the next resync."""
    async with home.operator() as gate:
        await home.collect("films")
        await home.ready("films")
        before = await home.get("StatefulSet", "vc-films-0")
        await home.quiet(gate)
        gate.close_eyes()
        await home.api.delete("StatefulSet", "vc-films-0", home.namespace)
        await home.gone("StatefulSet", "vc-films-0")
        await home.gone("Pod", "vc-films-0-0")
        await forgetful()
        gate.open_eyes()
        after = await home.there("StatefulSet", "vc-films-0")
        assert after["metadata"]["uid"] != before["metadata"]["uid"]
        await home.ready("films")


async def test_a_collection_that_lost_its_objects_unseen_can_still_be_deleted(
    home: Home, forgetful: Any
) -> None:
    async with home.operator() as gate:
        await home.collect("films", deletionPolicy="Delete")
        await home.ready("films")
        await home.quiet(gate)
        gate.close_eyes()
        await home.api.delete("VectorCollection", "films", home.namespace)
        for kind, name in (("StatefulSet", "vc-films-0"), ("Service", "vc-films")):
            await home.api.delete(kind, name, home.namespace)
        await home.gone("Pod", "vc-films-0-0")
        await forgetful()
        gate.open_eyes()
        await home.gone("VectorCollection", "films")
        await home.gone("PersistentVolumeClaim", "data-vc-films-0-0")
        refused = [str(write) for write in gate.changes if write.code == 404]
        assert len(refused) <= 2, refused
