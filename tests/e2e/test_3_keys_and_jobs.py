"""A release with keys and a database: every protocol by its Service, and a job of many points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest

from hxp_vector_client.errors import PermissionDenied, Unauthenticated
from tests.e2e import points
from tests.e2e.collections import collection
from tests.e2e.gateway import Failed, Gateway
from tests.e2e.kubectl import Kubectl, uid_of
from tests.e2e.releases import NAME, Release, image_values, until_ready
from tests.e2e.waiting import until

_KEYS = "vector-keys"
_NEW_KEY = "from hanax.core.api_keys import new_key, new_key_id; print(new_key(new_key_id()))"
_LOADED = "loaded"
_ITEMS = range(2_000)

Transport = Literal["rest", "graphql", "grpc"]
every_protocol = pytest.mark.parametrize("transport", ["rest", "graphql", "grpc"])


@pytest.fixture(scope="module")
def key(release: Release, kubectl: Kubectl) -> Iterator[str]:
    """Of an administrator of everything, while the release has keys, a PostgreSQL and a batch-processor."""
    admin, service = (_new_key(kubectl) for _ in range(2))
    kubectl.run(
        *("create", "secret", "generic", _KEYS),
        *(f"--from-literal=admin-key={admin}", f"--from-literal=service-key={service}"),
    )
    small = {"requests": {"cpu": "50m", "memory": "64Mi"}}
    postgresql: dict[str, Any] = {"enabled": True, "resources": small, "storage": {"persistent": False}}
    if image := release.cluster.postgresql_image:
        postgresql["image"] = image_values(image)
    more = {
        "auth": {"enabled": True, "existingSecret": _KEYS},
        "postgresql": postgresql,
        "batchProcessor": {"resources": small},
    }
    shards = _shards(release)
    try:
        release.upgrade(more=more)
        until(release.is_settled, "every pod is ready with keys and a database", 300)
        # None of this is about them.
        assert _shards(release) == shards
        yield admin
    finally:
        release.upgrade()
        until(release.is_settled, "the release is as it came", 300)
        kubectl.delete("secret", _KEYS, f"{NAME}-postgresql")


@pytest.fixture
def guarded(release: Release, key: str) -> Iterator[Gateway]:
    with release.gateway(key) as found:
        yield found


def test_without_a_database_jobs_are_refused_by_name(gateway: Gateway) -> None:
    with pytest.raises(Failed) as failed:
        gateway.get("/jobs")
    assert failed.value.code == "database_not_configured"


@every_protocol
def test_every_protocol_finds_by_the_service_what_is_there(
    films: str, key: str, release: Release, transport: Transport
) -> None:
    with release.client(transport, key) as client:
        assert client.search(films, points.vector(7), limit=1).ids == [7]
        name = f"by-{transport}"
        client.collections.create(name, points.DIMENSION)
        assert client.upsert(name, [points.vector(1), points.vector(2)], ids=[1, 2]).inserted == 2
        assert client.count(name) == 2
        client.collections.delete(name)


@every_protocol
def test_without_a_key_every_protocol_refuses(
    films: str, key: str, release: Release, transport: Transport
) -> None:
    for shown in ("", f"{key}x"):
        with release.client(transport, shown) as client, pytest.raises(Unauthenticated):
            client.count(films)


@every_protocol
def test_a_key_may_do_what_it_was_made_for(
    films: str, guarded: Gateway, release: Release, transport: Transport
) -> None:
    grants = [{"scopes": ["read"], "collections": [films]}]
    made = guarded.post("/keys", {"name": "reader", "grants": grants})
    with release.client(transport, made["key"]) as client:
        assert client.search(films, points.vector(8), limit=1).ids == [8]
        with pytest.raises(PermissionDenied):
            client.delete(films, [8])
    guarded.delete(f"/keys/{made['id']}")


def test_a_job_stores_every_point_though_its_batch_processor_is_killed(
    guarded: Gateway, release: Release, kubectl: Kubectl, tell: Callable[[str], None]
) -> None:
    kubectl.apply(collection(_LOADED, placement="shared", storage=None, deletionPolicy="Delete"))
    until_ready(kubectl, "vectorcollection", _LOADED)
    items = [{"id": n, "vector": points.vector(n), "metadata": {"square": n * n}} for n in _ITEMS]
    spec = {"kind": "bulk_insert", "collection": _LOADED, "batch_size": 20, "items": items}
    job = guarded.post("/jobs", spec)["job_id"]
    until(lambda: guarded.get(f"/jobs/{job}")["state"] != "queued", "the job begins")
    killed = [pod["metadata"]["name"] for pod in release.pods("batch-processor")]
    kubectl.run("delete", "pod", *killed, "--grace-period=0", "--force")

    def ended() -> str:
        state = str(guarded.get(f"/jobs/{job}")["state"])
        return "" if state in ("queued", "running") else state

    assert until(ended, "the job ends", 300) == "succeeded"
    points.check(guarded, _LOADED, _ITEMS)
    assert points.count(guarded, _LOADED) == len(_ITEMS)
    told = guarded.get(f"/jobs/{job}")["result"]
    tell(f"a job of {len(_ITEMS)} points, its batch-processor killed once: {told}")
    kubectl.delete("vectorcollection", _LOADED)


def _new_key(kubectl: Kubectl) -> str:
    """As docs/kubernetes.md tells."""
    return kubectl.run("exec", f"deployment/{NAME}-operator", "--", "python", "-c", _NEW_KEY).strip()


def _shards(release: Release) -> set[str]:
    return {uid_of(pod) for pod in release.pods("shard")}
