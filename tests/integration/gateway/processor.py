"""`python -m hanax.batch_processor` beside a gateway that keeps jobs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.gateway.stack import Stack
from tests.integration.waiting import wait_until

_PATIENCE_S = 30.0


def job_settings(folder: Path) -> dict[str, object]:
    """Of a gateway and a processor that share a database and a folder of uploads."""
    return {"database_url": f"sqlite:///{folder}/metadata.db", "jobs_dir": folder / "jobs"}


@contextmanager
def running_processor(stack: Stack, **settings: object) -> Iterator[None]:
    """For a stack whose gateway has `job_settings` of its folder. None: without that setting."""
    log = stack.folder / "batch-processor.log"
    told = {
        "gateway_address": stack.gateway.grpc_address,
        "batch_metrics_port": 0,
        "drain_grace_s": 0,
        **job_settings(stack.folder),
        **settings,
    }
    variables = {f"HANAX_{name.upper()}": str(value) for name, value in told.items() if value is not None}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "hanax.batch_processor"],
            env={**os.environ, **variables},
            stderr=file,
            stdout=file,
        )

    def is_ready() -> bool:
        assert process.poll() is None, log.read_text()
        return '"ready"' in log.read_text()

    try:
        wait_until("the batch-processor is ready", is_ready)
        yield
    finally:
        process.terminate()
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
