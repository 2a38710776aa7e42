"""Our embedder as a user meets it: a process of its own, asked through gRPC."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, NamedTuple

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc
from numpy.typing import NDArray

from citadel.vector.v1 import embedder_pb2 as pb
from citadel.vector.v1.embedder_pb2_grpc import EmbedderServiceStub
from hanax.rpc.channels import CHANNEL_OPTIONS

# The first start exports the model.
_START_S: Final = 600.0
_CALL_S: Final = 120.0
_END_S: Final = 30.0


class Answered(NamedTuple):
    """vectors: float32[n, dimension], in the order of the texts; latencies_s: of each request."""

    seconds: float
    vectors: NDArray[np.float32]
    latencies_s: list[float]


class Served:
    def __init__(self, name: str, model: str, address: str) -> None:
        self.name = name
        self._model = model
        self._stub = EmbedderServiceStub(grpc.insecure_channel(address, options=CHANNEL_OPTIONS))

    def embed(self, texts: Sequence[str], at_once: int, texts_per_request: int) -> Answered:
        """All texts, in requests of so many of them, so many of which are on their way at once."""
        parts = [texts[at : at + texts_per_request] for at in range(0, len(texts), texts_per_request)]
        begun = time.perf_counter()
        with ThreadPoolExecutor(at_once) as pool:
            answers = list(pool.map(self._ask, parts))
        seconds = time.perf_counter() - begun
        return Answered(
            seconds, np.concatenate([rows for rows, _ in answers]), [spent for _, spent in answers]
        )

    def _ask(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], float]:
        begun = time.perf_counter()
        request = pb.EmbedRequest(model=self._model, texts=texts, normalize=True)
        answer: pb.EmbedResponse = self._stub.Embed(request, timeout=_CALL_S)
        rows = np.frombuffer(answer.float32_le, "<f4").reshape(len(texts), answer.dimension)
        return rows, time.perf_counter() - begun


@contextmanager
def started(name: str, model: str, settings: dict[str, str]) -> Iterator[Served]:
    """An embedder with HANAX_<settings>, ready, until the block ends. Raises RuntimeError when it is not."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {"EMBEDDER_MODEL": model, "EMBEDDER_PORT": str(port), "EMBEDDER_METRICS_PORT": "0"} | settings
    process = subprocess.Popen(
        [sys.executable, "-m", "hanax.embedder"],
        env=os.environ | {f"HANAX_{key}": value for key, value in variables.items()},
        stdout=subprocess.DEVNULL,
    )
    try:
        address = f"127.0.0.1:{port}"
        _await_ready(name, process, address)
        yield Served(name, model, address)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_ready(name: str, process: subprocess.Popen[bytes], address: str) -> None:
    ends = time.monotonic() + _START_S
    with grpc.insecure_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        while process.poll() is None and time.monotonic() < ends:
            try:
                told = health.Check(health_pb2.HealthCheckRequest(), timeout=1.0, wait_for_ready=True)
            except grpc.RpcError:
                continue
            if told.status == health_pb2.HealthCheckResponse.SERVING:
                return
            time.sleep(0.05)
    raise RuntimeError(f"the embedder of {name} is not ready; its log is above")
