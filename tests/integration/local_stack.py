"""The real command on a data directory of its own, with the model-free embedder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from hanax.local.layout import Layout
from hanax.local.state import StackState, read_state
from tests.integration.waiting import DEADLINE_S, wait_until

# As long as the command itself waits, and longer: five processes on a busy machine.
_UP_S = 240.0
COMMAND = (sys.executable, "-c", "from hanax.cli.vector import main; main()")


class LocalStack:
    """`hana-x-vector` for one data directory. Use `end` when done."""

    def __init__(self, data_dir: Path, **environment: str) -> None:
        self.layout = Layout.at(data_dir)
        kept = {key: value for key, value in os.environ.items() if not key.startswith("HANAX_")}
        self._environment = {
            **kept,
            "HANAX_DATA_DIR": str(data_dir),
            "HANAX_GATEWAY_PORT": "0",
            "HANAX_GATEWAY_GRPC_PORT": "0",
            "HANAX_EMBEDDER_BACKEND": "hash",
            "HANAX_DRAIN_GRACE_S": "2",
            **environment,
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; standard output and error are apart."""
        return self.execute((*COMMAND, *arguments))

    def execute(
        self, command: Sequence[str], within_s: float = DEADLINE_S
    ) -> subprocess.CompletedProcess[str]:
        """Run another program with the same settings."""
        return subprocess.run(
            command,
            env={**self._environment, "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    @contextmanager
    def begin(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Start a command that stays; what it prints goes to one pipe. Killed at the end."""
        with subprocess.Popen(
            (*COMMAND, *arguments),
            env={**self._environment, "COLUMNS": "200", "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def up(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        done = self.execute((*COMMAND, "up", "--detach", *arguments), _UP_S)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def status(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.run("status", "--format", "json").stdout)
        return told

    def state(self) -> StackState:
        """What the supervisor wrote last."""
        return wait_until("stack.json", lambda: read_state(self.layout.state_file))

    def pids(self) -> dict[str, int]:
        """Of the services that have a process, and of the supervisor."""
        state = self.state()
        services = {one.name: one.process.pid for one in state.services if one.process is not None}
        return {"supervisor": state.supervisor.pid, **services}

    def ready(self) -> StackState:
        def look() -> StackState | None:
            state = self.state()
            return state if state.ready else None

        return wait_until("the stack is ready", look)

    def call(self, method: str, path: str, body: object = None) -> Any:
        """`data` of the answer of the API."""
        answer = httpx.request(method, self.state().api_url + path, json=body, timeout=30, trust_env=False)
        envelope = answer.json()
        assert envelope["success"], envelope
        return envelope["data"]

    def create(self, name: str, shards: int = 2) -> None:
        self.call("POST", "/api/v1/collections", {"name": name, "dimension": 2, "shards": shards})

    def insert(self, name: str, count: int) -> None:
        points = [{"id": number, "vector": [1.0, number]} for number in range(count)]
        self.call("POST", "/api/v1/vectors/insert", {"collection": name, "vectors": points})

    def count(self, name: str) -> int:
        return int(self.call("POST", "/api/v1/vectors/count", {"collection": name})["count"])

    def end(self) -> None:
        """Stop whatever still runs."""
        self.run("down")
        state = read_state(self.layout.state_file)
        for one in state.services if state is not None else []:
            process = one.process.find() if one.process is not None else None
            if process is not None:
                process.kill()


def all_gone(pids: dict[str, int]) -> bool:
    """Whether none of the processes runs any more."""

    def lives(pid: int) -> bool:
        try:
            return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    return not any(map(lives, pids.values()))
