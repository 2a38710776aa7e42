"""Operators that are tested: as a process, or inside the test where many short lives are needed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from unittest import mock

from hanax_operator.main import serve
from hanax_operator.release import Release
from hanax_operator.settings import OperatorSettings
from tests.operator.gate import Gate
from tests.operator.kubeconfigs import kubeconfig

# Longer than a slow machine stands still: an operator that can't renew its lease ends.
LEASE_S: Final = 30
PROBE_S: Final = 1
STOP_S: Final = 20.0


class OperatorProcess:
    """`python -m hanax_operator`. `variables` are HANAX_OPERATOR_* without the prefix."""

    def __init__(self, gate: Gate, folder: Path, variables: Mapping[str, Any]) -> None:
        self._folder = folder
        self._variables = environment(gate, folder, variables)
        self.process: asyncio.subprocess.Process | None = None

    @property
    def log(self) -> str:
        return self._log_file.read_text(errors="replace")

    @property
    def _log_file(self) -> Path:
        return self._folder / "operator.log"

    async def start(self) -> None:
        with self._log_file.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "hanax_operator",
                env={**os.environ, **self._variables},
                stdout=log,
                stderr=log,
            )

    async def end(self, sign: signal.Signals = signal.SIGTERM) -> int:
        """Its exit status; killed where it does not end."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(sign)
        try:
            return await asyncio.wait_for(self.process.wait(), STOP_S)
        except TimeoutError:
            self.process.kill()
            return await self.process.wait()


@asynccontextmanager
async def inside(gate: Gate, folder: Path, variables: Mapping[str, Any]) -> AsyncIterator[asyncio.Task[None]]:
    """An operator in this process, until the block ends."""
    with mock.patch.dict(os.environ, environment(gate, folder, variables)):
        release, settings = Release(), OperatorSettings()
        stop = asyncio.Event()
        task = asyncio.create_task(serve(release, settings, stop))
        try:
            yield task
        finally:
            stop.set()
            await asyncio.wait((task,), timeout=STOP_S)
            if not task.done():
                task.cancel()
                await asyncio.wait((task,))
            # An operator whose gate fell ends with what it was denied.
            if not task.cancelled() and (error := task.exception()) is not None and not gate.fallen.is_set():
                raise error


def environment(gate: Gate, folder: Path, variables: Mapping[str, Any]) -> dict[str, str]:
    file = folder / f"kubeconfig-{gate.url.rpartition(':')[2]}"
    file.write_text(kubeconfig(gate.url))
    known = {
        "METRICS_PORT": 0,
        "WEBHOOK_PORT": 0,
        "LEASE_S": LEASE_S,
        "PROBE_S": PROBE_S,
        "IDENTITY": "operator-0",
    }
    told = {f"HANAX_OPERATOR_{name}": str(value) for name, value in {**known, **variables}.items()}
    return {"KUBECONFIG": str(file), "NO_PROXY": "127.0.0.1,localhost", **told}
