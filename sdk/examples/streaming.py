"""Many points from a generator, with a progress bar, and all of them read back, asynchronously.

python streaming.py http://127.0.0.1:8000
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import numpy as np

from hxp_vector_client import AsyncVectorClient, Batches, NewPoint, progress_bar


async def points(count: int) -> AsyncIterator[NewPoint]:
    rng = np.random.default_rng(2)
    for number in range(count):
        yield {"id": number, "vector": rng.standard_normal(32), "metadata": {"number": number}}


async def main(url: str) -> None:
    async with AsyncVectorClient(url) as client:
        await client.collections.create("sdk-streaming", 32)
        bulk = client.options(batches=Batches(points=500, parallel=4), timeout_s=60)
        with progress_bar("storing") as progress:
            tally = await bulk.stream("sdk-streaming", points(5_000), total=5_000, progress=progress)
        print("stored", tally.inserted)

        total = 0.0
        async for point in client.scroll("sdk-streaming", page_size=1_000, include_vectors=True):
            if point.vector is not None:
                total += float(np.linalg.norm(point.vector))
        print("mean length", round(total / tally.points, 2))
        await client.collections.delete("sdk-streaming")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"))
