"""Searches over gRPC, by several processes, each with some of the channels: one would be the bottleneck."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.index.datasets import K
from benchmarks.protocols.loads import Load, Measured, first_count

_PROCESSES: Final = 2
_CALL_S: Final = 10.0
# Time for all processes to be there before the first call.
_START_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class GrpcTarget:
    address: str
    collection: str
    ef_search: int | None


def grpc_load(target: GrpcTarget, queries: NDArray[np.float32], load: Load) -> Measured:
    """Each connection has one call at a time, and every call another query."""
    processes = min(_PROCESSES, load.connections)
    shares = [load.connections // processes + (n < load.connections % processes) for n in range(processes)]
    begin = time.time() + _START_S
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        jobs = [
            pool.submit(_work, target, queries, Load(share, load.seconds), first_count(), begin)
            for share in shares
        ]
        found = [job.result() for job in jobs]
    latencies = np.concatenate([latencies for latencies, _ in found])
    p50, p95, p99 = np.percentile(latencies, (50, 95, 99)) * 1e3
    failed = sum(failed for _, failed in found)
    return Measured(len(latencies) + failed, load.seconds, failed, float(p50), float(p95), float(p99))


def _work(
    target: GrpcTarget, queries: NDArray[np.float32], load: Load, count: int, begin: float
) -> tuple[Sequence[float], int]:
    """Seconds of every call that was answered, and how many failed."""
    import uvloop

    return uvloop.run(_calls(target, queries, load, count, begin))


async def _calls(
    target: GrpcTarget, queries: NDArray[np.float32], load: Load, count: int, begin: float
) -> tuple[Sequence[float], int]:
    from grpc import aio

    from citadel.vector.v1 import columns_pb2, searches_pb2, vector_pb2_grpc

    latencies: list[float] = []
    failed = 0
    asked = count

    async def calls() -> None:
        nonlocal failed, asked
        # A connection of its own, as other clients have.
        async with aio.insecure_channel(
            target.address, options=(("grpc.use_local_subchannel_pool", 1),)
        ) as channel:
            stub: Any = vector_pb2_grpc.VectorServiceStub(channel)
            await channel.channel_ready()
            await asyncio.sleep(max(0.0, begin - time.time()))
            until = time.perf_counter() + load.seconds
            while (began := time.perf_counter()) < until:
                asked += 1
                query = queries[asked % len(queries)].copy()
                # Another query each time, and so near that it has the same neighbours.
                query[0] += np.float32(1e-9 * (asked % 10_000_000))
                request = searches_pb2.SearchVectorsRequest(
                    collection=target.collection,
                    vector=columns_pb2.Vector(float32_le=query.astype("<f4").tobytes()),
                    limit=K,
                    fields=columns_pb2.PointFields(metadata=True),
                    options=searches_pb2.SearchOptions(ef_search=target.ef_search),
                )
                try:
                    answer = await stub.SearchVectors(request, timeout=_CALL_S)
                except aio.AioRpcError:
                    failed += 1
                    continue
                if len(answer.points.metadata) != K:
                    failed += 1
                    continue
                latencies.append(time.perf_counter() - began)

    await asyncio.gather(*(calls() for _ in range(load.connections)))
    return latencies, failed
