"""Searches by every protocol and over chroma's, turn about."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import psutil

from benchmarks.index.datasets import K
from benchmarks.protocols.chroma_server import ChromaServer
from benchmarks.protocols.grpc_load import GrpcTarget, grpc_load
from benchmarks.protocols.hanax_stack import COLLECTION, SEARCH_PATH, HanaxStack
from benchmarks.protocols.loads import Load, Measured, http_load
from benchmarks.protocols.points import Points, write_templates

CONNECTIONS: Final = (1, 16, 64)

_GRAPHQL_PATH: Final = "/graphql"
_GRAPHQL: Final = (
    "query($v: Vector!, $e: Int) {"
    " searchVectors(input: {collection: $c, vector: $v, limit: $k, efSearch: $e})"
    " { results { id score metadata createdAt updatedAt } } }"
)


@dataclass(frozen=True)
class Contestant:
    """servers: whose CPU time is counted; gateways: of them, ours that face the client."""

    name: str
    run: Callable[[Load], Measured]
    servers: Sequence[psutil.Process]
    gateways: Sequence[psutil.Process]


def contestants_of(
    hanax: HanaxStack, chroma: ChromaServer, points: Points, ef_search: int
) -> list[Contestant]:
    queries = points.data.queries
    rest = hanax.bodies(points, ef_search)
    graphql = hanax.folder / "graphql-bodies"
    query = _GRAPHQL.replace("$c", f'\\"{COLLECTION}\\"').replace("$k", str(K))
    before = b'{"query":"%s","variables":{"e":%d,"v":' % (query.encode(), ef_search)
    write_templates(graphql, queries, before, b"}}")
    grpc = GrpcTarget(hanax.grpc_address, COLLECTION, ef_search)

    def ours(name: str, run: Callable[[Load], Measured]) -> Contestant:
        return Contestant(name, run, hanax.processes, hanax.gateways)

    return [
        ours("rest", lambda load: http_load(hanax.url, SEARCH_PATH, rest, load)),
        ours("grpc", lambda load: grpc_load(grpc, queries, load)),
        ours("graphql", lambda load: http_load(hanax.url, _GRAPHQL_PATH, graphql, load)),
        Contestant(
            "chroma",
            lambda load: http_load(chroma.url, chroma.path, chroma.bodies, load),
            chroma.processes,
            (),
        ),
    ]


def measure(contestants: Sequence[Contestant], rounds: int, seconds: float) -> Iterator[dict[str, Any]]:
    """Rounds of all contestants at all numbers of connections, each in an order of its own."""
    order = random.Random(8)
    for contestant in contestants:
        contestant.run(Load(max(CONNECTIONS), min(seconds, 2.0)))
    for number in range(rounds):
        for connections in CONNECTIONS:
            for contestant in order.sample(contestants, len(contestants)):
                load = Load(connections, seconds)
                yield {"round": number, "connections": connections, **_measured(contestant, load)}


def _measured(contestant: Contestant, load: Load) -> dict[str, Any]:
    before = _cpu_s(contestant.servers), _cpu_s(contestant.gateways)
    found = contestant.run(load)
    after = _cpu_s(contestant.servers), _cpu_s(contestant.gateways)
    cpu_ms, gateway_ms = ((b - a) / found.requests * 1e3 for a, b in zip(before, after, strict=True))
    told = {"protocol": contestant.name, **asdict(found), "per_s": found.per_s, "cpu_ms": cpu_ms}
    return told | ({"gateway_cpu_ms": gateway_ms} if contestant.gateways else {})


def _cpu_s(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)
