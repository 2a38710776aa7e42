"""A `chroma run` server with the points, as chromadb's own client puts them there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from benchmarks.chroma_collections import filled
from benchmarks.index.datasets import K
from benchmarks.processes import free_port
from benchmarks.protocols.points import Points, numbers, write_templates

_START_S: Final = 60.0
_END_S: Final = 30.0


@dataclass(frozen=True)
class ChromaServer:
    url: str
    path: str
    bodies: Path
    processes: Sequence[psutil.Process]

    def found(self, client: httpx.Client, query: Any) -> list[int]:
        """The rows that are answered."""
        body = b"".join((_BEFORE, numbers(query), _AFTER))
        answer = client.post(self.url + self.path, content=body, headers={"Content-Type": "application/json"})
        answer.raise_for_status()
        told = answer.json()
        assert len(told["metadatas"][0]) == len(told["distances"][0]) == K
        return [int(id_) for id_ in told["ids"][0]]


_BEFORE: Final = b'{"query_embeddings":['
_AFTER: Final = b'],"n_results":%d,"include":["metadatas","distances"]}' % K


@contextmanager
def chroma_server(points: Points, folder: Path) -> Iterator[ChromaServer]:
    port = free_port()
    command = str(Path(sys.executable).with_name("chroma"))
    with (folder / "chroma.log").open("wb") as log:
        child = subprocess.Popen(
            [command, "run", "--path", str(folder / "chroma"), "--host", "127.0.0.1", "--port", str(port)],
            stdout=log,
            stderr=log,
            cwd=folder,
            # It would write three lines for each request, where ours writes none.
            env=os.environ | {"RUST_LOG": "error"},
        )
    try:
        collection = filled(_client(port), points.data.rows, points.metadata)
        bodies = folder / "chroma-bodies"
        write_templates(bodies, points.data.queries, _BEFORE, _AFTER)
        path = f"/api/v2/tenants/default_tenant/databases/default_database/collections/{collection.id}/query"
        process = psutil.Process(child.pid)
        yield ChromaServer(
            f"http://127.0.0.1:{port}", path, bodies, [process, *process.children(recursive=True)]
        )
    finally:
        child.terminate()
        child.wait(_END_S)


def _client(port: int) -> Any:
    import chromadb

    until = time.monotonic() + _START_S
    while True:
        try:
            settings = chromadb.Settings(anonymized_telemetry=False)
            return chromadb.HttpClient(host="127.0.0.1", port=port, settings=settings)
        except ValueError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
