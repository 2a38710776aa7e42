"""A gateway with libraries and two cross-encoders, for the tests that leave it as they found it."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from hanax.core.model_routes import ModelRoute
from tests.integration.gateway.stack import Stack, running_stack


@dataclass
class CrossEncoder:
    """A server of TEI's and Cohere's rerank: a text's score is how often it has the query's first word.

    statuses: what the next requests are answered with, one each; then 200.
    """

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        self.asked.append(body)
        if self.statuses and (status := self.statuses.pop(0)) != 200:
            return status, {"error": "told to fail"}
        word = body["query"].split()[0]
        texts = body["texts"] if path == "/rerank" else body["documents"]
        scores = [float(text.split().count(word)) for text in texts]
        order = sorted(range(len(texts)), key=lambda row: -scores[row])
        if path == "/rerank":
            return 200, [{"index": row, "score": scores[row]} for row in order]
        return 200, {"results": [{"index": row, "relevance_score": scores[row]} for row in order]}


@contextmanager
def _served(encoder: CrossEncoder) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = encoder.answer(self.path, body)
            raw = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:
            """Not to the test's output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    encoder.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="package")
def cross_encoder() -> Iterator[CrossEncoder]:
    encoder = CrossEncoder()
    with _served(encoder):
        yield encoder


@pytest.fixture(scope="package")
def library_stack(
    tmp_path_factory: pytest.TempPathFactory, hash_model: ModelRoute, cross_encoder: CrossEncoder
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("libraries")
    models = [
        {"name": "by-tei", "urls": [cross_encoder.url], "max_texts": 2},
        {"name": "by-cohere", "urls": [cross_encoder.url], "protocol": "cohere"},
        {"name": "away", "urls": ["http://127.0.0.1:9"]},
    ]
    settings = {
        "database_url": f"sqlite:///{folder / 'metadata.db'}",
        "database_timeout_s": 30,
        "rerank_models": json.dumps(models),
    }
    with running_stack(folder, (hash_model,), **settings) as running:
        yield running


class Api:
    """Requests to one library's gateway, each of which has to end as told."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def ask(self, method: str, path: str, body: Any = None, status: int = 200, **headers: str) -> Any:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.client.request(method, path, json=body, headers=sent)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def refused(self, method: str, path: str, body: Any, status: int, **headers: str) -> dict[str, Any]:
        """The error, which has the form of these routes."""
        told = self.ask(method, path, body, status, **headers)
        assert set(told) == {"error"}
        error: dict[str, Any] = told["error"]
        assert (
            {"type", "message", "path", "code"}
            <= set(error)
            <= {
                "type",
                "message",
                "path",
                "code",
                "details",
            }
        )
        assert error["path"] == path.partition("?")[0]
        return error

    def library(self, **body: Any) -> str:
        made = self.ask("POST", "/api/v1/libraries", {"name": uuid.uuid4().hex, **body}, 201)
        id: str = made["id"]
        return id

    def vectors(self, **body: Any) -> str:
        """A library for vectors of 3 numbers, that can be queried."""
        return self.library(model=None, dimension=3, index={"type": "brute_force"}, **body)

    def document(self, library: str, **body: Any) -> dict[str, Any]:
        made: dict[str, Any] = self.ask("POST", f"/api/v1/libraries/{library}/documents", body, 201)
        return made

    def chunks(self, document: str, query: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("GET", f"/api/v1/documents/{document}/chunks{query}")["chunks"]
        return found

    def query(self, library: str, **body: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("POST", f"/api/v1/libraries/{library}/query", body)
        return found

    def points(self, library: str) -> int:
        collection = "library-" + library.replace("-", "")
        answer = self.ask("POST", "/api/v1/vectors/count", {"collection": collection})
        return int(answer["data"]["count"])


@pytest.fixture
def api(library_stack: Stack) -> Api:
    return Api(library_stack.client)
