"""The client has what REST has: a table of the committed routes and the calls that do what they do.

Each call is made, and what it would send is compared with the route. There are no exceptions but routes that
another one holds: one point is a list of one, and what OpenAI's clients send is said in this API's own words.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hxp_vector_client import VectorClient, VectorError
from hxp_vector_client.columns import Carried
from hxp_vector_client.operations import ALL
from hxp_vector_client.requests import Request

DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "openapi.json"

Act = Callable[[VectorClient], Any]

CALLS: dict[str, Act] = {
    "POST /api/v1/embeddings/generate": lambda client: client.embed("text", model="m"),
    "POST /v1/rerank": lambda client: client.rerank("q", ["d"], model="m"),
    "GET /external/status": lambda client: client.models.status(),
    "POST /api/v1/vectors/insert": lambda client: client.upsert("c", [[1.0]]),
    "POST /api/v1/vectors/scroll": lambda client: list(client.scroll("c")),
    "POST /api/v1/vectors/get": lambda client: client.get("c", [1]),
    "POST /api/v1/vectors/count": lambda client: client.count("c"),
    "POST /api/v1/vectors/delete": lambda client: client.delete("c", [1]),
    "POST /api/v1/vectors/metadata": lambda client: client.set_metadata("c", [1], merge={"a": 1}),
    "POST /api/v1/vectors/search": lambda client: client.search("c", [1.0]),
    "POST /api/v1/vectors/search/batch": lambda client: client.search_batch("c", [[1.0]]),
    "POST /api/v1/vectors/search/groups": lambda client: client.search_groups("c", "f", [1.0]),
    "POST /api/v1/vectors/recommend": lambda client: client.recommend("c", positive=[1]),
    "POST /api/v1/vectors/facet": lambda client: client.facet("c", "f"),
    "POST /api/v1/vectors/distinct": lambda client: list(client.distinct("c", "f")),
    "POST /api/v1/collections": lambda client: client.collections.create("c", 1),
    "GET /api/v1/collections": lambda client: client.collections.list(),
    "GET /api/v1/collections/{name}": lambda client: client.collections.get("c"),
    "PATCH /api/v1/collections/{name}": lambda client: client.collections.update("c", target_recall=0.9),
    "DELETE /api/v1/collections/{name}": lambda client: client.collections.delete("c"),
    "GET /api/v1/aliases": lambda client: client.aliases.list(),
    "GET /api/v1/aliases/{alias}": lambda client: client.aliases.get("a"),
    "POST /api/v1/aliases/switch": lambda client: client.aliases.switch({"a": "c"}),
    "POST /api/v1/jobs": lambda client: client.jobs.submit("bulk_embed", items=[{"text": "t"}]),
    "GET /api/v1/jobs": lambda client: client.jobs.list(),
    "GET /api/v1/jobs/{job_id}": lambda client: client.jobs.get("j"),
    "GET /api/v1/jobs/{job_id}/items": lambda client: list(client.jobs.failed_items("j")),
    "GET /api/v1/jobs/{job_id}/events": lambda client: list(client.jobs.watch("j")),
    "GET /api/v1/jobs/{job_id}/result": lambda client: list(client.jobs.result("j")),
    "POST /api/v1/jobs/{job_id}/pause": lambda client: client.jobs.pause("j"),
    "POST /api/v1/jobs/{job_id}/resume": lambda client: client.jobs.resume("j"),
    "POST /api/v1/jobs/{job_id}/retry": lambda client: client.jobs.retry("j"),
    "DELETE /api/v1/jobs/{job_id}": lambda client: client.jobs.cancel("j"),
    "GET /api/v1/queue": lambda client: client.jobs.queue(),
    "POST /api/v1/libraries": lambda client: client.libraries.create("l"),
    "GET /api/v1/libraries": lambda client: list(client.libraries.list()),
    "GET /api/v1/libraries/{library_id}": lambda client: client.libraries.get("l"),
    "PATCH /api/v1/libraries/{library_id}": lambda client: client.libraries.update("l"),
    "DELETE /api/v1/libraries/{library_id}": lambda client: client.libraries.delete("l"),
    "POST /api/v1/libraries/{library_id}/index": lambda client: client.libraries.build_index("l"),
    "GET /api/v1/libraries/{library_id}/index": lambda client: client.libraries.index("l"),
    "POST /api/v1/libraries/{library_id}/query": lambda client: client.libraries.query("l", "text"),
    "POST /api/v1/libraries/{library_id}/documents": lambda client: client.documents.create("l", text="t"),
    "GET /api/v1/libraries/{library_id}/documents": lambda client: list(client.documents.list("l")),
    "GET /api/v1/documents/{document_id}": lambda client: client.documents.get("d"),
    "PATCH /api/v1/documents/{document_id}": lambda client: client.documents.update("d"),
    "DELETE /api/v1/documents/{document_id}": lambda client: client.documents.delete("d"),
    "GET /api/v1/documents/{document_id}/chunks": lambda client: list(client.documents.chunks("d")),
    "POST /api/v1/documents/{document_id}/chunks": lambda client: client.documents.add_chunks("d", []),
    "GET /api/v1/chunks/{chunk_id}": lambda client: client.chunks.get("k"),
    "PATCH /api/v1/chunks/{chunk_id}": lambda client: client.chunks.update("k", text="t"),
    "DELETE /api/v1/chunks/{chunk_id}": lambda client: client.chunks.delete("k"),
    "POST /api/v1/keys": lambda client: client.keys.create("k", [{"scopes": ["read"]}]),
    "GET /api/v1/keys": lambda client: list(client.keys.list()),
    "GET /api/v1/keys/{key_id}": lambda client: client.keys.get("k"),
    "DELETE /api/v1/keys/{key_id}": lambda client: client.keys.revoke("k"),
    "POST /api/v1/keys/{key_id}/rotate": lambda client: client.keys.rotate("k"),
    "GET /api/v1/operations": lambda client: list(client.operations()),
    "GET /cache/stats": lambda client: client.cache_stats(),
    "POST /cache/warm": lambda client: client.warm_cache(),
    "DELETE /cache": lambda client: client.clear_cache(),
    "GET /metrics": lambda client: client.metrics(),
    "GET /health": lambda client: client.health(),
    "GET /health/database": lambda client: client.database_health(),
    "GET /ready": lambda client: client.ready(),
}
# By another route, that does the same and more.
HELD: dict[str, tuple[str, Act]] = {
    "GET /api/v1/vectors/{collection}/{id}": (
        "POST /api/v1/vectors/get",
        lambda client: client.get_one("c", 1),
    ),
    "DELETE /api/v1/vectors/{collection}/{id}": (
        "POST /api/v1/vectors/delete",
        lambda client: client.delete("c", [1]),
    ),
    "PATCH /api/v1/vectors/{collection}/{id}/metadata": (
        "POST /api/v1/vectors/metadata",
        lambda client: client.set_metadata("c", [1], merge={"a": 1}),
    ),
    "PUT /api/v1/vectors/{collection}/{id}/metadata": (
        "POST /api/v1/vectors/metadata",
        lambda client: client.set_metadata("c", [1], replace={"a": 1}),
    ),
    "PUT /api/v1/aliases/{alias}": (
        "POST /api/v1/aliases/switch",
        lambda client: client.aliases.set("a", "c"),
    ),
    "DELETE /api/v1/aliases/{alias}": (
        "POST /api/v1/aliases/switch",
        lambda client: client.aliases.delete("a"),
    ),
    "POST /external/{model}/embed": (
        "POST /api/v1/embeddings/generate",
        lambda client: client.embed("text", model="m"),
    ),
    "POST /v1/embeddings": (
        "POST /api/v1/embeddings/generate",
        lambda client: client.embed("text", model="m"),
    ),
    "GET /v1/models": ("GET /external/status", lambda client: client.models.status()),
    "GET /v1/models/{name}": ("GET /external/status", lambda client: client.models.status()),
}


class Sent(VectorError):
    """In place of an answer."""


class Recorder:
    """A transport that goes nowhere, and says where it would have gone."""

    name = "rest"
    keyed = True
    carried = Carried(points=10, bytes=10**6, bytes_per_number=4)

    def send(self, request: Request, timeout_s: float) -> Any:
        raise Sent(f"{request.operation.method} {request.operation.path}")

    def download(self, request: Request, timeout_s: float) -> Iterator[bytes]:
        yield self.send(request, timeout_s)

    def changes(self, request: Request, timeout_s: float) -> Iterator[Any]:
        yield self.send(request, timeout_s)

    def close(self) -> None:
        """There is nothing to close."""


def sent_by(act: Act) -> str:
    with VectorClient(transport=Recorder()) as client, pytest.raises(Sent) as sent:
        act(client)
    return sent.value.message


def test_every_route_has_its_call() -> None:
    document = json.loads(DOCUMENT.read_text())
    routes = {f"{verb.upper()} {path}" for path, verbs in document["paths"].items() for verb in verbs}
    assert routes == CALLS.keys() | HELD.keys()


def test_every_operation_of_the_client_has_its_route() -> None:
    assert {f"{one.method} {one.path}" for one in ALL} == CALLS.keys()


@pytest.mark.parametrize("route", CALLS)
def test_a_call_sends_what_the_table_says(route: str) -> None:
    assert sent_by(CALLS[route]) == route


@pytest.mark.parametrize("route", HELD)
def test_a_route_that_another_holds_is_asked_there(route: str) -> None:
    other, act = HELD[route]
    assert sent_by(act) == other
