"""A server of many embedding models that speaks as OpenAI's does, as slow as it is told.

`python -m benchmarks.cache.upstream PORT DELAYS`: DELAYS are seconds by model, as JSON. `GET /count` tells
how many requests were answered.
"""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import httpx
import numpy as np
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.processes import free_port

DIMENSION: Final = 64
_START_S: Final = 30.0


class Upstream:
    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.url = f"http://127.0.0.1:{port}/v1"
        self._port = port
        self._process = process

    def count(self) -> int:
        """Requests that were answered. Raises httpx.TransportError when it is dead."""
        return int(httpx.get(f"http://127.0.0.1:{self._port}/count").text)

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


@contextmanager
def running(delay_s_by_model: Mapping[str, float]) -> Iterator[Upstream]:
    port = free_port()
    delays = orjson.dumps(dict(delay_s_by_model)).decode()
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.cache.upstream", str(port), delays])
    upstream = Upstream(port, process)
    try:
        ends = time.monotonic() + _START_S
        while True:
            try:
                upstream.count()
                break
            except httpx.TransportError:
                if process.poll() is not None or time.monotonic() > ends:
                    raise
                time.sleep(0.05)
        yield upstream
    finally:
        process.kill()
        process.wait()


def _app(delay_s_by_model: Mapping[str, float]) -> Starlette:
    vector = np.full(DIMENSION, DIMENSION**-0.5, np.float32).tobytes()
    told = base64.b64encode(vector).decode()
    answered = 0

    async def embed(request: Request) -> Response:
        nonlocal answered
        asked = orjson.loads(await request.body())
        await asyncio.sleep(delay_s_by_model[asked["model"]])
        answered += 1
        rows = [{"index": index, "embedding": told} for index in range(len(asked["input"]))]
        told_all = orjson.dumps({"data": rows, "usage": {"total_tokens": len(rows)}})
        return Response(told_all, media_type="application/json")

    async def count(_: Request) -> Response:
        return Response(str(answered))

    async def well(_: Request) -> Response:
        return Response("ok")

    return Starlette(
        routes=[
            Route("/v1/embeddings", embed, methods=["POST"]),
            Route("/count", count),
            Route("/health", well),
        ]
    )


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    _port, _delays = sys.argv[1:]
    uvicorn.run(_app(orjson.loads(_delays)), host="127.0.0.1", port=int(_port), log_level="error")
