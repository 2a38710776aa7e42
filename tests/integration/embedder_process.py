"""An embedder in a process of its own, and what tests ask of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from citadel.vector.v1 import embedder_pb2, embedder_pb2_grpc
from hanax.core.errors import HanaxError
from hanax.rpc.errors import error_from_call

MODEL = "all-MiniLM-L6-v2"
# A model is exported when it is first served on a machine.
START_S = 240.0
# Where others compute on the same cores, a request of long texts takes a minute.
CALL_S = 180.0


class EmbedderProcess:
    """`python -m hanax.embedder` on free ports; its log is read as it is written."""

    def __init__(self, **settings: str) -> None:
        variables = {
            "HANAX_EMBEDDER_PORT": "0",
            "HANAX_EMBEDDER_METRICS_PORT": "0",
            # On a GPU nothing would take long enough to be interrupted.
            "CUDA_VISIBLE_DEVICES": "",
            **{f"HANAX_{name.upper()}": value for name, value in settings.items()},
        }
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "hanax.embedder"],
            env={**os.environ, **variables},
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        listening = self.logged("listening")
        self.address: str = listening["address"]
        self.metrics_port: int = listening["metrics_port"]
        self.channel = grpc.insecure_channel(self.address)
        self.stub = embedder_pb2_grpc.EmbedderServiceStub(self.channel)
        self.health = health_pb2_grpc.HealthStub(self.channel)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._changed:
                self.lines.append(json.loads(line))
                self._changed.notify_all()

    def logged(self, event: str) -> dict[str, Any]:
        """The log line of this event, once it is there."""

        def found() -> dict[str, Any] | None:
            return next((line for line in self.lines if line["event"] == event), None)

        with self._changed:
            line = self._changed.wait_for(found, START_S)
        assert line is not None, f"no {event!r} in {self.lines}"
        return line

    def is_serving(self) -> bool:
        answer = self.health.Check(health_pb2.HealthCheckRequest(), timeout=CALL_S)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def lists_models(self) -> bool:
        try:
            self.stub.ListModels(embedder_pb2.ListModelsRequest(), timeout=CALL_S)
        except grpc.RpcError as failure:
            return error_from_call(failure).code != "unavailable"
        return True

    def embed(self, *texts: str, model: str = MODEL, timeout_s: float = CALL_S, **options: Any) -> Any:
        """`options`: further fields of the request."""
        request = embedder_pb2.EmbedRequest(model=model, texts=texts, **{"normalize": True, **options})
        return self.stub.Embed(request, timeout=timeout_s)

    def listed(self) -> dict[str, Any]:
        """Of ListModels, by name."""
        answer = self.stub.ListModels(embedder_pb2.ListModelsRequest(), timeout=CALL_S)
        return {model.name: model for model in answer.models}

    def http(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}{path}") as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metric(self, name: str, labels: str = "") -> float:
        """Sum of the samples of this name, over all labels or those that have `labels` in them."""
        _, text = self.http("/metrics")
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
        return sum(
            float(value) for series, value in lines if series.split("{")[0] == name and labels in series
        )

    def end(self) -> int:
        """Exit status; ended by force if it still runs."""
        self.channel.close()
        if self.process.poll() is None:
            self.process.kill()
        status = self.process.wait()
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        return status


def error_of(call: Callable[[], Any]) -> HanaxError:
    with pytest.raises(grpc.RpcError) as found:
        call()
    return error_from_call(found.value)


def vectors(answer: Any) -> npt.NDArray[np.float32]:
    return np.frombuffer(answer.float32_le, "<f4").reshape(-1, answer.dimension)
