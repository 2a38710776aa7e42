"""The local stack as users start it, and its jobs as users order them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import httpx
import orjson

from hanax.core.routing import RoutingTable
from hanax.local.layout import Layout
from hanax.local.state import read_state

# Oftener, the asking would take from what is measured.
_POLL_S: Final = 1.0
_LONGEST_JOB_S: Final = 3_600.0


class BenchStack:
    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        state = read_state(layout.state_file)
        assert state is not None
        self.address_of = {service.name: service.address for service in state.services}
        self._client = httpx.Client(base_url=state.api_url, timeout=120, trust_env=False)

    def call(self, method: str, path: str, **options: Any) -> Any:
        answer = self._client.request(method, f"/api/v1{path}", **options)
        answer.raise_for_status()
        return answer.json()["data"]

    def create(self, name: str, dimension: int, model: str | None = None) -> None:
        spec = {"name": name, "dimension": dimension, "shards": 1, "embedding_model": model}
        self.call("POST", "/collections", json=spec)

    def routing(self) -> RoutingTable:
        return RoutingTable.model_validate_json(self._layout.routing_file.read_bytes())

    def job_s(self, spec: dict[str, Any], name: str, data: bytes) -> float:
        """Order a job; the seconds from its begin to its end, all of its items done."""
        files = {"job": (None, orjson.dumps(spec)), "file": (name, data)}
        job_id = self.call("POST", "/jobs", files=files)["job_id"]
        ends = time.monotonic() + _LONGEST_JOB_S
        while time.monotonic() < ends:
            job = self.call("GET", f"/jobs/{job_id}")
            if job["state"] not in ("queued", "running"):
                break
            time.sleep(_POLL_S)
        if job["state"] != "succeeded":
            raise RuntimeError(f"the job ended as {job['state']}: {job['error']}")
        return _instant(job["ended_at"]) - _instant(job["began_at"])


@contextmanager
def running(**settings: str) -> Iterator[BenchStack]:
    """With HANAX_<settings>, on a folder of its own, until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        told = {"DATA_DIR": folder, "GATEWAY_PORT": "0", "GATEWAY_GRPC_PORT": "0", **settings}
        environment = os.environ | {f"HANAX_{name}": value for name, value in told.items()}
        command = str(Path(sys.executable).with_name("hana-x-vector"))
        subprocess.run([command, "up", "--detach"], env=environment, check=True, stdout=subprocess.DEVNULL)
        try:
            yield BenchStack(Layout.at(Path(folder)))
        finally:
            subprocess.run([command, "down"], env=environment, check=True, stdout=subprocess.DEVNULL)


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
