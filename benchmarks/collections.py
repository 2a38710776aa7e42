"""`make bench-collections`: what many small collections cost one index-shard.

2,000 collections of 100 points of 128 floats with metadata: the memory of the process, and how long it takes
from its start until every one of them is open, after it was stopped and after it was killed.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np
import orjson
import psutil

from benchmarks import report
from benchmarks.processes import free_port, shard_process
from citadel.vector.v1 import shard_pb2 as pb
from citadel.vector.v1.shard_pb2_grpc import ShardServiceStub
from hanax.core.ids import encode_id
from hanax.core.limits import SLOTS
from hanax.core.node_state import NodeState
from hanax.core.routing import CollectionRoute, NodeRoute, RoutingTable, ShardRoute
from hanax.core.specs import CollectionSpec
from hanax.rpc.channels import CHANNEL_OPTIONS
from hanax.runtime.routing_file import write_routing_file

POINTS: Final = 100
DIMENSION: Final = 128
K: Final = 10
_WRITERS: Final = 4
_OPEN_S: Final = 300.0
_LOOK_S: Final = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--collections", type=int, default=2_000)
    count = parser.parse_args().collections
    about = {"hardware": report.hardware(), "versions": report.versions("numpy", "numba", "grpcio")}
    port, metrics_port = free_port(), free_port()
    names = [f"c{number:04}" for number in range(count)]
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_routing_file(folder / "routing.json", _table(names, port))
        with shard_process(folder, port, metrics_port):
            _await_open(metrics_port, count)
            _fill(names, port)
        for how in ("stopped", "killed") * 3:
            begun = time.perf_counter()
            with shard_process(folder, port, metrics_port) as process:
                _await_open(metrics_port, count)
                opened_s = time.perf_counter() - begun
                at_rest = process.memory_info().rss
                _search(names, port)
                runs.append({"opened_s": opened_s, "at_rest_mib": at_rest / 2**20, **_cost(process)})
                print(orjson.dumps(runs[-1]).decode(), flush=True)
                if how == "killed":
                    process.kill()
                runs[-1]["then"] = how
    report.save(
        "collections",
        {
            "reopened_s": statistics.median(run["opened_s"] for run in runs),
            "memory_mib": max(run["memory_mib"] for run in runs),
        },
        runs,
        collections=count,
        points_of_each=POINTS,
        **about,
    )


def _table(names: list[str], port: int) -> RoutingTable:
    every_slot = ShardRoute(shard=0, first_slot=0, last_slot=SLOTS - 1, replicas=("shard-0",))
    return RoutingTable(
        revision=1,
        nodes=(NodeRoute(name="shard-0", address=f"127.0.0.1:{port}"),),
        collections=tuple(
            CollectionRoute(
                uid=f"uid-{name}", spec=CollectionSpec(name=name, dimension=DIMENSION), shards=(every_slot,)
            )
            for name in names
        ),
    )


def _await_open(metrics_port: int, count: int) -> None:
    ends = time.monotonic() + _OPEN_S
    while time.monotonic() < ends:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/state", timeout=5) as answer:
                told = NodeState.model_validate_json(answer.read())
        except OSError:
            time.sleep(_LOOK_S)
            continue
        if sum(replica.state == "open" for replica in told.replicas) == count:
            return
        time.sleep(_LOOK_S)
    raise RuntimeError(f"{count} collections are not open after {_OPEN_S:g} s")


@contextmanager
def _stub(port: int) -> Iterator[ShardServiceStub]:
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=CHANNEL_OPTIONS) as channel:
        yield ShardServiceStub(channel)


def _fill(names: list[str], port: int) -> None:
    random = np.random.default_rng(1)
    ids = [encode_id(number) for number in range(POINTS)]
    metadata = [orjson.dumps({"number": number, "word": f"word{number % 7}"}) for number in range(POINTS)]
    with _stub(port) as stub, ThreadPoolExecutor(_WRITERS) as writers:

        def fill(name: str, vectors: bytes) -> None:
            column = pb.VectorColumn(name="default", dimension=DIMENSION, float32_le=vectors)
            ref = pb.ShardRef(collection=name, uid=f"uid-{name}", shard=0)
            stub.Upsert(pb.UpsertRequest(ref=ref, ids=ids, vectors=[column], metadata=metadata), timeout=60)

        rows = (random.standard_normal((POINTS, DIMENSION), np.float32).tobytes() for _ in names)
        list(writers.map(fill, names, rows))


def _search(names: list[str], port: int) -> None:
    """One search of each: memory is counted in use, not at rest alone."""
    query = np.ones(DIMENSION, np.float32).tobytes()
    with _stub(port) as stub:
        for name in names:
            answer = stub.Search(
                pb.SearchRequest(
                    ref=pb.ShardRef(collection=name, uid=f"uid-{name}", shard=0),
                    vector_name="default",
                    dimension=DIMENSION,
                    queries_float32_le=query,
                    limit=K,
                    projection=pb.Projection(metadata=True),
                ),
                timeout=60,
            )
            assert len(answer.results[0].points.ids) == K, answer


def _cost(process: psutil.Process) -> dict[str, Any]:
    spent = process.cpu_times()
    return {
        "memory_mib": process.memory_info().rss / 2**20,
        "files": process.num_fds(),
        "cpu_s": spent.user + spent.system,
    }


if __name__ == "__main__":
    main()
