"""A scrape of gateways that share a port tells of each of them, and who did not answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from hanax.gateway.exposition import OWN_PATH, Exposition


def _registry(searches: int) -> CollectorRegistry:
    registry = CollectorRegistry()
    counter = Counter("vector_db_requests_total", "Answered requests", ("method",), registry=registry)
    counter.labels("search").inc(searches)
    seconds = Histogram("vector_db_seconds", "How long", buckets=(0.1, 1.0), registry=registry)
    seconds.observe(0.5)
    return registry


@contextmanager
def _other(registry: CollectorRegistry) -> Iterator[int]:
    """A gateway that tells of itself; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == OWN_PATH else 404)
            self.end_headers()
            self.wfile.write(generate_latest(registry))

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


async def test_a_gateway_that_is_alone_tells_of_itself() -> None:
    registry = _registry(3)
    exposition = Exposition(registry, ())
    assert await exposition.all() == exposition.own() == generate_latest(registry)


async def test_every_series_has_its_worker_and_its_family_is_told_once() -> None:
    with _other(_registry(5)) as port:
        text = (await Exposition(_registry(3), (1, port)).all()).decode().splitlines()
    assert 'vector_db_requests_total{method="search",worker="1"} 3.0' in text
    assert f'vector_db_requests_total{{method="search",worker="{port}"}} 5.0' in text
    assert f'vector_db_seconds_bucket{{le="1.0",worker="{port}"}} 1.0' in text
    assert text.count("# TYPE vector_db_requests_total counter") == 1
    assert text.count("# TYPE vector_db_seconds histogram") == 1
    assert f'vector_db_gateway_worker_up{{worker="{port}"}} 1.0' in text


async def test_a_worker_that_does_not_answer_is_told() -> None:
    with _other(_registry(5)) as port:
        pass
    text = (await Exposition(_registry(3), (1, port)).all()).decode().splitlines()
    assert f'vector_db_gateway_worker_up{{worker="{port}"}} 0.0' in text
    assert 'vector_db_gateway_worker_up{worker="1"} 1.0' in text
    assert 'vector_db_requests_total{method="search",worker="1"} 3.0' in text
