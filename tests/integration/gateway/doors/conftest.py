"""A gateway with all that a mistake can be about, and its three doors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
import pytest

from hanax.core.model_routes import ModelRoute
from tests.integration.gateway.doors.drivers import Door, Graphql, Grpc, Rest
from tests.integration.gateway.guard.conftest import Guarded, guarded, guarded_settings
from tests.integration.gateway.stack import Stack, running_shards
from tests.integration.gateway.vector_service.client import channel_to

LIBRARY: Final = "00000000-0000-4000-8000-000000000001"
EMPTY_LIBRARY: Final = "00000000-0000-4000-8000-000000000002"
DOCUMENT: Final = "00000000-0000-4000-8000-000000000003"
CHUNK: Final = "00000000-0000-4000-8000-000000000004"
ABSENT: Final = "00000000-0000-4000-8000-0000000000ff"
# Nothing is late here, however busy the machine is.
_PATIENT: Final = {"request_timeout_s": 60, "database_timeout_s": 30, "create_timeout_s": 120}
# So slow that a test sees no token come.
_SPENT: Final = {"requests_per_s": 0.001, "burst": 1}


@dataclass
class House:
    """keys: by who asks. job: one that was cancelled."""

    guard: Guarded
    doors: dict[str, Door]
    keys: dict[str, str]
    job: str

    @property
    def stack(self) -> Stack:
        return self.guard.stack

    def all_that_is_stored(self) -> Any:
        """What no mistake changes."""
        declared = {path.name: path.read_bytes() for path in (self.stack.folder / "catalog").iterdir()}
        lists = [
            self.stack.client.get(f"/api/v1/{path}").json()
            for path in (
                "jobs",
                "libraries",
                f"libraries/{LIBRARY}/documents",
                f"documents/{DOCUMENT}/chunks",
            )
        ]
        points = self.stack.post("/api/v1/vectors/scroll", {"collection": "docs"}).json()["data"]
        return declared, lists[0]["data"], lists[1:], points


@contextmanager
def doors_of(stack: Stack) -> Iterator[dict[str, Door]]:
    with channel_to(stack) as channel, httpx.Client(base_url=stack.gateway.url, timeout=60.0) as client:
        yield {"REST": Rest(client), "gRPC": Grpc(channel), "GraphQL": Graphql(client)}


def _model(name: str, **more: Any) -> ModelRoute:
    """Nobody asks it for anything: what is told here is told before."""
    return ModelRoute(
        name=name, dimension=384, max_tokens=512, endpoints=("127.0.0.1:9",), external=True, **more
    )


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("doors")
    models = (_model("now"), _model("later", pattern="bulk_only"))
    with (
        running_shards(folder, models, **guarded_settings(folder), **_PATIENT) as stack,
        guarded(stack) as guard,
        doors_of(stack) as doors,
    ):
        _furnish(stack)
        keys = {
            "admin": guard.admin_key,
            "nobody": "",
            "reader": guard.key("read", on="docs"),
            "tenant": guard.key("read", "write", on="docs", filter={"tenant": "acme"}),
            "spent": guard.key("read", rate=_SPENT),
        }
        guard.caller(keys["spent"]).client.get("/api/v1/collections")
        reembed = {"kind": "reembed", "collection": "docs", "target": "made", "model": "later"}
        stack.data(stack.post("/api/v1/jobs", reembed))
        job = stack.data(
            stack.post("/api/v1/jobs", {"kind": "bulk_insert", "collection": "docs", "items": [{"id": 9}]})
        )["job_id"]
        stack.data(stack.client.delete(f"/api/v1/jobs/{job}"))
        yield House(guard, doors, keys, job)


def _furnish(stack: Stack) -> None:
    stack.create("docs")
    points = [{"id": number, "vector": [1, number, 0], "metadata": {"n": number}} for number in range(3)]
    stack.insert("docs", points)
    stack.create("texts", dimension=384, embedding_model="now")
    stack.create("queued", dimension=384, embedding_model="later")
    stack.create("dot", metric="dot")
    stack.data(stack.client.put("/api/v1/aliases/papers", json={"collection": "docs"}))
    for id, more in ((LIBRARY, {"index": {"type": "brute_force"}}), (EMPTY_LIBRARY, {})):
        body = {"id": id, "name": id, "dimension": 3, "model": None, **more}
        assert stack.post("/api/v1/libraries", body).status_code == 201
    chunk = {"id": CHUNK, "text": "a", "embedding": [1, 0, 0]}
    told = stack.post(f"/api/v1/libraries/{LIBRARY}/documents", {"id": DOCUMENT, "chunks": [chunk]})
    assert told.status_code == 201, told.text
