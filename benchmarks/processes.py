"""Processes that benchmarks start, hear and end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def shard_process(folder: Path, port: int, metrics_port: int) -> Iterator[psutil.Process]:
    environment = os.environ | {
        "HANAX_NODE_NAME": "shard-0",
        "HANAX_SHARD_PORT": str(port),
        "HANAX_SHARD_METRICS_PORT": str(metrics_port),
        "HANAX_SHARD_WIRES_PORT": "0",
        "HANAX_DATA_DIR": str(folder),
        "HANAX_ROUTING_FILE": str(folder / "routing.json"),
    }
    with (folder / "shard.log").open("ab") as output:
        child = subprocess.Popen([sys.executable, "-m", "hanax.index_shard"], env=environment, stderr=output)
    try:
        yield psutil.Process(child.pid)
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(30)


@contextmanager
def local_stack(folder: Path, port: int) -> Iterator[str]:
    environment = os.environ | {
        "HANAX_DATA_DIR": str(folder),
        "HANAX_EMBEDDER_BACKEND": "hash",
        "HANAX_GATEWAY_PORT": str(port),
        "HANAX_GATEWAY_GRPC_PORT": "0",
    }
    command = str(Path(sys.executable).with_name("hana-x-vector"))
    subprocess.run([command, "up", "--detach"], env=environment, check=True, stdout=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        subprocess.run([command, "down"], env=environment, check=True, stdout=subprocess.DEVNULL)


def received(pipe: Connection, timeout_s: float, who: str) -> Any:
    """What the process at the other end sends next. Raises RuntimeError when it does not, or has ended."""
    try:
        if pipe.poll(timeout_s):
            return pipe.recv()
    except EOFError:
        pass
    raise RuntimeError(f"{who} did not answer; what it said is above")
