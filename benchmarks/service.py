"""`make bench-service`: what a shard and the gateway cost.

100,000 vectors of 384 floats with metadata, durable when acknowledged: ingest through the shard's
gRPC and through the gateway's REST, memory of the shard, time to reopen, exact search beside
numpy's matrix-vector product, and the gateway's own share of a search at concurrency 8.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import orjson
from numpy.typing import NDArray

from benchmarks import report
from benchmarks.processes import free_port, local_stack, shard_process
from citadel.vector.v1 import shard_pb2 as pb
from citadel.vector.v1.shard_pb2_grpc import ShardServiceStub
from hanax.core.distances import Metric
from hanax.core.ids import encode_id
from hanax.core.limits import SLOTS
from hanax.core.routing import CollectionRoute, NodeRoute, RoutingTable, ShardRoute
from hanax.core.specs import CollectionSpec
from hanax.engine.shard import Background, Schema, Shard, ShardOptions
from hanax.rpc.channels import CHANNEL_OPTIONS
from hanax.runtime.routing_file import write_routing_file

POINTS = 100_000
DIMENSION = 384
BATCH = 500
WRITERS = 4
K = 10
EXACT_BLOCK = 10
COLLECTION = "bench"


def make_data() -> tuple[NDArray[np.float32], list[bytes]]:
    random = np.random.default_rng(7)
    vectors = random.standard_normal((POINTS, DIMENSION), dtype=np.float32)
    metadata = [
        orjson.dumps(
            {
                "title": f"document number {number}",
                "year": 1990 + number % 35,
                "language": ("en", "de", "fr")[number % 3],
                "tags": [f"t{number % 11}", f"t{number % 7}"],
                "rating": round(number % 50 / 10, 1),
            }
        )
        for number in range(POINTS)
    ]
    return vectors, metadata


# --- one shard over gRPC ---------------------------------------------------------------------


def shard_call(stub: ShardServiceStub, ref: pb.ShardRef) -> pb.DescribeResponse:
    """Wait until the shard answers."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return stub.Describe(pb.DescribeRequest(ref=ref), timeout=1)
        except grpc.RpcError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def measure_shard(vectors: NDArray[np.float32], metadata: list[bytes]) -> dict[str, float]:
    """Ingest over gRPC, memory above an empty shard, time to reopen."""
    ref = pb.ShardRef(collection=COLLECTION, uid="bench-uid", shard=0)
    requests = [
        pb.UpsertRequest(
            ref=ref,
            ids=[encode_id(f"doc-{number}") for number in range(first, first + BATCH)],
            vectors=[
                pb.VectorColumn(
                    name="default",
                    dimension=DIMENSION,
                    float32_le=vectors[first : first + BATCH].tobytes(),
                )
            ],
            metadata=metadata[first : first + BATCH],
        )
        for first in range(0, POINTS, BATCH)
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port, metrics_port = free_port(), free_port()
        table = RoutingTable(
            revision=1,
            nodes=(NodeRoute(name="shard-0", address=f"127.0.0.1:{port}"),),
            collections=(
                CollectionRoute(
                    uid="bench-uid",
                    spec=CollectionSpec(name=COLLECTION, dimension=DIMENSION),
                    shards=(ShardRoute(shard=0, first_slot=0, last_slot=SLOTS - 1, replicas=("shard-0",)),),
                ),
            ),
        )
        write_routing_file(folder / "routing.json", table)
        with (
            grpc.insecure_channel(f"127.0.0.1:{port}", options=CHANNEL_OPTIONS) as channel,
            ThreadPoolExecutor(WRITERS) as writers,
        ):
            stub = ShardServiceStub(channel)
            with shard_process(folder, port, metrics_port) as process:
                shard_call(stub, ref)
                search_all(stub, ref, vectors)
                empty = process.memory_info().rss
                started = time.perf_counter()
                list(writers.map(lambda request: stub.Upsert(request, timeout=60), requests))
                ingest_s = time.perf_counter() - started
                wait_until_sealed(stub, ref)
                search_all(stub, ref, vectors)
                loaded = process.memory_info().rss
            started = time.perf_counter()
            with shard_process(folder, port, metrics_port):
                points = shard_call(stub, ref).points
                reopen_s = time.perf_counter() - started
            assert points == POINTS, points
    raw = vectors.nbytes + sum(map(len, metadata))
    return {
        "ingest_grpc_vps": POINTS / ingest_s,
        "memory_ratio": (loaded - empty) / raw,
        "reopen_s": reopen_s,
        "empty_rss_mib": empty / 2**20,
        "loaded_rss_mib": loaded / 2**20,
        "raw_mib": raw / 2**20,
    }


def search_all(stub: ShardServiceStub, ref: pb.ShardRef, vectors: NDArray[np.float32]) -> None:
    """Touch every page that searches touch, so that memory is counted in use, not at rest."""
    for row in range(20):
        stub.Search(
            pb.SearchRequest(
                ref=ref,
                vector_name="default",
                dimension=DIMENSION,
                queries_float32_le=vectors[row].tobytes(),
                limit=1000,
                projection=pb.Projection(metadata=True),
            )
        )


def wait_until_sealed(stub: ShardServiceStub, ref: pb.ShardRef) -> None:
    """Until background sealing and merging have nothing left to do."""
    before: tuple[int, int] | None = None
    while True:
        answer = stub.Describe(pb.DescribeRequest(ref=ref))
        now = (answer.segments, answer.growing_rows)
        if now == before:
            return
        before = now
        time.sleep(1)


# --- exact search beside numpy ---------------------------------------------------------------


def measure_exact(vectors: NDArray[np.float32], metadata: list[bytes]) -> dict[str, float]:
    """One query at a time through the engine's public call, interleaved with sgemv."""
    with tempfile.TemporaryDirectory() as name:
        background = Background(1)
        shard = Shard.open(
            Path(name) / "shard",
            Schema.single(DIMENSION, Metric.COSINE),
            ShardOptions(),
            background,
            time.time_ns,
        )
        for first in range(0, POINTS, BATCH):
            shard.upsert(
                [encode_id(f"doc-{number}") for number in range(first, first + BATCH)],
                {"default": vectors[first : first + BATCH]},
                metadata[first : first + BATCH],
            )
        shard.compact()
        random = np.random.default_rng(11)
        queries = random.standard_normal((100, DIMENSION), dtype=np.float32)
        calls: dict[str, Callable[[NDArray[np.float32]], object]] = {
            "engine": lambda query: shard.search(query[None], K),
            "sgemv": lambda query: vectors @ query,
        }
        times: dict[str, list[float]] = {key: [] for key in calls}
        # Turn about in blocks: after a call BLAS's threads spin for a while on a core the other needs.
        for first in range(0, len(queries), EXACT_BLOCK):
            for key, call in calls.items():
                time.sleep(0.02)
                for query in queries[first : first + EXACT_BLOCK]:
                    started = time.perf_counter()
                    call(query)
                    times[key].append(time.perf_counter() - started)
        shard.close()
        background.close()
    return {key: statistics.median(found) * 1e3 for key, found in times.items()}


def exact_in_processes() -> dict[str, Any]:
    """Run `measure_exact` with BLAS on one thread and on all: its threads are fixed at import."""
    found = {}
    for threads in (1, os.cpu_count() or 1):
        environment = os.environ | {"OPENBLAS_NUM_THREADS": str(threads)}
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.service", "exact"],
            env=environment,
            capture_output=True,
            check=True,
        )
        found[f"blas_threads_{threads}"] = orjson.loads(done.stdout.splitlines()[-1])
    return found


# --- the whole stack over REST ---------------------------------------------------------------


def insert_bodies(vectors: NDArray[np.float32], metadata: list[bytes]) -> list[bytes]:
    return [
        orjson.dumps(
            {
                "collection": COLLECTION,
                "vectors": [
                    {"id": f"doc-{row}", "vector": vectors[row], "metadata": orjson.Fragment(metadata[row])}
                    for row in range(first, first + BATCH)
                ],
            },
            option=orjson.OPT_SERIALIZE_NUMPY,
        )
        for first in range(0, POINTS, BATCH)
    ]


def measure_rest(vectors: NDArray[np.float32], metadata: list[bytes]) -> dict[str, float]:
    bodies = insert_bodies(vectors, metadata)
    with tempfile.TemporaryDirectory() as name:
        port = free_port()
        with local_stack(Path(name), port) as url:
            with httpx.Client(base_url=url, timeout=60) as client, ThreadPoolExecutor(WRITERS) as writers:
                spec = {"name": COLLECTION, "dimension": DIMENSION, "shards": 2}
                client.post("/api/v1/collections", json=spec).raise_for_status()

                def insert(body: bytes) -> None:
                    client.post(
                        "/api/v1/vectors/insert", content=body, headers={"Content-Type": "application/json"}
                    ).raise_for_status()

                started = time.perf_counter()
                list(writers.map(insert, bodies))
                ingest_s = time.perf_counter() - started
                count = client.post("/api/v1/vectors/count", json={"collection": COLLECTION}).json()
                assert count["data"]["count"] == POINTS, count
                time.sleep(3)  # sealing ends; not part of what is measured
            searches = asyncio.run(search_load(port, vectors))
    return {"ingest_rest_vps": POINTS / ingest_s, **searches}


async def search_load(
    port: int, vectors: NDArray[np.float32], concurrency: int = 8, each: int = 250
) -> dict[str, float]:
    """Searches over plain sockets, so that the client takes as little of the machine as it can."""
    total_ms: list[float] = []
    gateway_ms: list[float] = []

    async def worker(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for turn in range(each):
            body = orjson.dumps(
                {"collection": COLLECTION, "vector": vectors[number * each + turn], "limit": K},
                option=orjson.OPT_SERIALIZE_NUMPY,
            )
            head = (
                f"POST /api/v1/vectors/search HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            started = time.perf_counter()
            writer.write(head.encode() + body)
            headers = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
            fields = dict(line.split(": ", 1) for line in headers[1:] if line)
            answer = orjson.loads(await reader.readexactly(int(fields["content-length"])))
            elapsed = time.perf_counter() - started
            assert len(answer["data"]["results"]) == K, answer
            if turn >= 20:
                total_ms.append(elapsed * 1e3)
                gateway_ms.append(server_timing(fields["server-timing"])["gateway"])
        writer.close()
        await writer.wait_closed()

    started = time.perf_counter()
    await asyncio.gather(*(worker(number) for number in range(concurrency)))
    elapsed = time.perf_counter() - started
    return {
        "gateway_share_p50_ms": float(np.percentile(gateway_ms, 50)),
        "gateway_share_p99_ms": float(np.percentile(gateway_ms, 99)),
        "rest_search_p50_ms": float(np.percentile(total_ms, 50)),
        "rest_search_p99_ms": float(np.percentile(total_ms, 99)),
        "rest_search_qps": concurrency * each / elapsed,
    }


def server_timing(header: str) -> dict[str, float]:
    found = {}
    for part in header.split(","):
        name, _, duration = part.strip().partition(";dur=")
        found[name] = float(duration)
    return found


# --- together --------------------------------------------------------------------------------


def main(repeats: int = 5) -> None:
    about = {
        "hardware": report.hardware(),
        "versions": report.versions("numpy", "numba", "grpcio", "fastapi", "uvicorn", "orjson"),
    }
    vectors, metadata = make_data()
    runs: list[dict[str, Any]] = []
    for turn in range(repeats):
        run = {"shard": measure_shard(vectors, metadata), "exact": exact_in_processes()}
        run["rest"] = measure_rest(vectors, metadata)
        print(f"run {turn + 1}: {orjson.dumps(run).decode()}")
        runs.append(run)

    def median(*path: str) -> float:
        return float(statistics.median(run[path[0]][path[1]] for run in runs))

    # The engine beside both, against sgemv with the number of threads that serves it best.
    exact = statistics.median(
        statistics.median(found["engine"] for found in run["exact"].values())
        / min(found["sgemv"] for found in run["exact"].values())
        for run in runs
    )
    report.save(
        "service",
        {
            "ingest_grpc_vps": median("shard", "ingest_grpc_vps"),
            "ingest_rest_vps": median("rest", "ingest_rest_vps"),
            "memory_ratio": median("shard", "memory_ratio"),
            "reopen_s": median("shard", "reopen_s"),
            "exact_vs_sgemv": exact,
            "gateway_share_p99_ms": median("rest", "gateway_share_p99_ms"),
        },
        runs,
        **about,
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["exact"]:
        print(orjson.dumps(measure_exact(*make_data())).decode())
    else:
        main()
