"""bulk_insert of a .npy file, beside the same vectors sent to the same shard directly, turn about."""

from __future__ import annotations

import io
import os
import statistics
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import grpc
import numpy as np
from numpy.typing import NDArray

from benchmarks.batch import stack as stacks
from benchmarks.service import wait_until_sealed
from citadel.vector.v1 import shard_pb2 as pb
from citadel.vector.v1.shard_pb2_grpc import ShardServiceStub
from hanax.core.ids import encode_id
from hanax.rpc.channels import CHANNEL_OPTIONS

DIMENSION: Final = 384
# In pairs: once the shard alone goes first, once the job. Whoever is second has the harder time of it.
PAIRS: Final = 4
# As `benchmarks.service` sends them; a job is told to send as many at once.
BATCH: Final = 500
WRITERS: Final = 4
# An index that is built on all cores while the slower way is still writing would be counted for that alone.
_UNSEALED: Final = {
    "SEGMENT_MAX_ROWS": "1000000",
    "SEGMENT_MAX_BYTES": str(2**30),
    "LOG_MAX_BYTES": str(2**30),
}


def measure(points: int) -> dict[str, Any]:
    """points: in each round, each way."""
    vectors = np.random.default_rng(7).standard_normal((points, DIMENSION), dtype=np.float32)
    file = io.BytesIO()
    np.save(file, vectors)
    run: dict[str, Any] = {"what": "bulk_insert", "points": points, "rounds": []}
    with stacks.running(EMBEDDER_BACKEND="hash", SHARDS="1", **_UNSEALED) as stack:
        for number in range(2 * PAIRS):
            direct, job = f"direct-{number}", f"job-{number}"
            stack.create(direct, DIMENSION)
            stack.create(job, DIMENSION)
            spec = {"kind": "bulk_insert", "collection": job, "batch_size": BATCH}
            ways: dict[str, Callable[[], float]] = {
                "shard": partial(_send, stack, direct, vectors),
                "job": partial(stack.job_s, spec, "vectors.npy", file.getvalue()),
            }
            order = list(ways) if number % 2 == 0 else list(ways)[::-1]
            seconds: dict[str, float] = {}
            for way in order:
                seconds[way] = ways[way]()
                _settle(stack, direct if way == "shard" else job)
            for name in (direct, job):
                stored = stack.call("POST", "/vectors/count", json={"collection": name})["count"]
                if stored != points:
                    raise RuntimeError(f"{stored} points are stored of {points}")
                stack.call("DELETE", f"/collections/{name}")
            told = {f"{way}_points_per_s": points / seconds[way] for way in ways}
            told["ratio"] = seconds["shard"] / seconds["job"]
            print(
                f"  bulk_insert {told['job_points_per_s']:,.0f}/s, {told['ratio']:.3f} of the shard",
                flush=True,
            )
            run["rounds"].append(told)
    ratios = [one["ratio"] for one in run["rounds"]]
    run["ratio"] = statistics.median(
        statistics.geometric_mean(pair) for pair in zip(ratios[::2], ratios[1::2], strict=True)
    )
    return run


def _settle(stack: stacks.BenchStack, collection: str) -> None:
    """Wait until what the shard took is sealed and on disk: that work is none of the next way's."""
    ref = pb.ShardRef(collection=collection, uid=stack.routing().collection_by_name[collection].uid, shard=0)
    with grpc.insecure_channel(stack.address_of["shard-0"], options=CHANNEL_OPTIONS) as channel:
        wait_until_sealed(ShardServiceStub(channel), ref)
    os.sync()


def _send(stack: stacks.BenchStack, collection: str, vectors: NDArray[np.float32]) -> float:
    """Seconds until all are durable, sent to the collection's one shard."""
    route = stack.routing().collection_by_name[collection]
    ref = pb.ShardRef(collection=collection, uid=route.uid, shard=0)
    ids = [encode_id(str(uuid.uuid4())) for _ in range(len(vectors))]
    requests = [
        pb.UpsertRequest(
            ref=ref,
            ids=ids[first : first + BATCH],
            vectors=[
                pb.VectorColumn(
                    name="default", dimension=DIMENSION, float32_le=vectors[first : first + BATCH].tobytes()
                )
            ],
            metadata=[b"{}"] * len(ids[first : first + BATCH]),
        )
        for first in range(0, len(vectors), BATCH)
    ]
    address = stack.address_of["shard-0"]
    with (
        grpc.insecure_channel(address, options=CHANNEL_OPTIONS) as channel,
        ThreadPoolExecutor(WRITERS) as pool,
    ):
        stub = ShardServiceStub(channel)
        started = time.perf_counter()
        list(pool.map(lambda request: stub.Upsert(request, timeout=60), requests))
        return time.perf_counter() - started
