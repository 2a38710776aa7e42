"""The local stack with the points: two gateway workers, and one shard for all points."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import orjson
import psutil

from benchmarks.index.datasets import K
from benchmarks.processes import free_port, local_stack
from benchmarks.protocols.points import Points, numbers, write_templates
from hanax.local.layout import Layout
from hanax.local.state import read_state

GATEWAY_WORKERS: Final = 2
COLLECTION: Final = "points"
SEARCH_PATH: Final = "/api/v1/vectors/search"
_BATCH: Final = 1_000
_SETTLE_S: Final = 600.0
# Longer than a shard waits before it merges small segments.
_QUIET_S: Final = 15.0
# The last of them is tried however little is found with the others.
_EFFORTS: Final = (16, 24, 32, 48, 64, 96, 128, 192, 256)


@dataclass(frozen=True)
class HanaxStack:
    """gateways, shards: their processes. grpc_address: of the gateway."""

    url: str
    grpc_address: str
    folder: Path
    gateways: Sequence[psutil.Process]
    shards: Sequence[psutil.Process]

    @property
    def processes(self) -> Sequence[psutil.Process]:
        """All that work on a search."""
        return [*self.gateways, *self.shards]

    def found(self, client: httpx.Client, query: Any, ef_search: int | None) -> list[int]:
        """The rows that are answered."""
        before, after = _around(ef_search)
        answer = client.post(
            self.url + SEARCH_PATH,
            content=before + numbers(query) + after,
            headers={"Content-Type": "application/json", "Cache-Control": "no-store"},
        )
        answer.raise_for_status()
        hits = answer.json()["data"]["results"]
        assert len(hits) == K
        assert all(hit["metadata"] for hit in hits)
        return [hit["id"] for hit in hits]

    def bodies(self, points: Points, ef_search: int | None) -> Path:
        path = self.folder / "hanax-bodies"
        write_templates(path, points.data.queries, *_around(ef_search))
        return path


def efforts() -> Sequence[int]:
    """ef_search, ascending."""
    return _EFFORTS


def _around(ef_search: int | None) -> tuple[bytes, bytes]:
    effort = b"" if ef_search is None else b',"ef_search":%d' % ef_search
    return b'{"collection":"%s","vector":' % COLLECTION.encode(), b',"limit":%d%s}' % (K, effort)


@contextmanager
def hanax_stack(points: Points, folder: Path) -> Iterator[HanaxStack]:
    os.environ["HANAX_GATEWAY_WORKERS"] = str(GATEWAY_WORKERS)
    data = folder / "hanax"
    with local_stack(data, free_port()) as url:
        _fill(url, points)
        state = read_state(Layout.at(data).state_file)
        assert state is not None
        running = {one.name: psutil.Process(one.process.pid) for one in state.services if one.process}
        yield HanaxStack(
            url,
            f"127.0.0.1:{state.ports['gateway-grpc']}",
            folder,
            [process for name, process in running.items() if name.startswith("gateway")],
            [process for name, process in running.items() if name.startswith("shard")],
        )


def _fill(url: str, points: Points) -> None:
    rows = points.data.rows
    with httpx.Client(base_url=url, timeout=60.0) as client:
        spec = {
            "name": COLLECTION,
            "dimension": points.data.dimension,
            "metric": "cosine",
            "index": {"type": "hnsw"},
        }
        client.post("/api/v1/collections", json=spec).raise_for_status()
        for first in range(0, len(rows), _BATCH):
            chosen = range(first, min(first + _BATCH, len(rows)))
            given = [{"id": row, "vector": rows[row], "metadata": points.metadata[row]} for row in chosen]
            body = orjson.dumps(
                {"collection": COLLECTION, "vectors": given}, option=orjson.OPT_SERIALIZE_NUMPY
            )
            client.post(
                "/api/v1/vectors/insert", content=body, headers={"Content-Type": "application/json"}
            ).raise_for_status()
        _await_index(client)


def _await_index(client: httpx.Client) -> None:
    """Until what is large enough is in segments with an index, and no more are merged."""
    until = time.monotonic() + _SETTLE_S
    seen: object = None
    since = time.monotonic()
    while seen is None or time.monotonic() - since < _QUIET_S:
        described = client.get(f"/api/v1/collections/{COLLECTION}").json()["data"]
        totals = described["index_totals"]
        segments = [index["segment"] for index in described["shard_states"][0]["indexes"] or ()]
        now = (segments, totals["unsealed_points"]) if totals and totals["settled"] else None
        if now != seen:
            seen, since = now, time.monotonic()
        if time.monotonic() > until:
            raise RuntimeError(f"the index of {COLLECTION} is not built after {_SETTLE_S:g} s")
        time.sleep(0.5)
