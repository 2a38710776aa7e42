"""A real index-shard process, its routing file, and a client of its gRPC."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc
from numpy.typing import ArrayLike

from citadel.vector.v1 import shard_pb2 as pb
from citadel.vector.v1.shard_pb2_grpc import ShardServiceStub
from hanax.core.distances import Metric
from hanax.core.errors import CollectionNotFound, HanaxError, Unavailable
from hanax.core.ids import PointId, decode_id, encode_id
from hanax.core.routing import (
    CollectionRoute,
    DeletedCollection,
    NodeRoute,
    RoutingTable,
    ShardRoute,
    spread_slots,
)
from hanax.core.specs import CollectionSpec
from hanax.rpc.errors import error_from_call
from hanax.runtime.routing_file import write_routing_file
from tests.integration.waiting import DEADLINE_S, wait_until

CALL_S = 20.0


class Routes:
    """Writes routing tables: which collections there are, and on which nodes."""

    def __init__(self, path: Path, nodes: Sequence[str] = ("shard-0",)) -> None:
        self.path = path
        self.nodes = nodes
        self.collections: dict[str, CollectionRoute] = {}
        self.deleted: list[DeletedCollection] = []
        self.revision = 0

    def put(
        self,
        name: str,
        dimension: int = 4,
        metric: Metric = Metric.EUCLIDEAN,
        uid: str | None = None,
        nodes: Sequence[str] | None = None,
    ) -> str:
        """Add a collection with one shard on each of `nodes`, or move it there. Returns its uid."""
        nodes = nodes or self.nodes[:1]
        uid = uid or f"uid-{name}"
        self.collections[name] = CollectionRoute(
            uid=uid,
            spec=CollectionSpec(name=name, dimension=dimension, metric=metric, shards=len(nodes)),
            shards=tuple(
                ShardRoute(shard=number, first_slot=first, last_slot=last, replicas=(node,))
                for number, ((first, last), node) in enumerate(
                    zip(spread_slots(len(nodes)), nodes, strict=True)
                )
            ),
        )
        return uid

    def delete(self, name: str) -> None:
        self.deleted.append(DeletedCollection(name=name, uid=self.collections.pop(name).uid))

    def write(self) -> None:
        self.revision += 1
        table = RoutingTable(
            revision=self.revision,
            nodes=tuple(NodeRoute(name=node, address="127.0.0.1:1") for node in self.nodes),
            collections=tuple(self.collections.values()),
            deleted=tuple(self.deleted),
        )
        write_routing_file(self.path, table)


class Shard:
    """Calls about one shard; a failure is raised as the error of ours that it means."""

    def __init__(self, stub: ShardServiceStub, name: str, uid: str, number: int = 0) -> None:
        self._stub = stub
        self.ref = pb.ShardRef(collection=name, uid=uid, shard=number)

    def call(self, method: str, request: Any, timeout_s: float = CALL_S) -> Any:
        request.ref.CopyFrom(self.ref)
        try:
            return getattr(self._stub, method)(request, timeout=timeout_s)
        except grpc.RpcError as failure:
            raise error_from_call(failure) from None

    def upsert(
        self,
        ids: Sequence[PointId],
        vectors: ArrayLike,
        metadata: Sequence[Mapping[str, Any]] | None = None,
    ) -> pb.UpsertResponse:
        rows = np.asarray(vectors, dtype="<f4")
        answer: pb.UpsertResponse = self.call(
            "Upsert",
            pb.UpsertRequest(
                ids=[encode_id(value) for value in ids],
                vectors=[column(rows)],
                metadata=[json.dumps(item).encode() for item in metadata or [{}] * len(ids)],
            ),
        )
        return answer

    def get(self, ids: Iterable[PointId], vectors: bool = False) -> dict[PointId, dict[str, Any]]:
        """Metadata by id of those that exist, in the order of the answer."""
        answer = self.call(
            "Get",
            pb.GetRequest(
                ids=[encode_id(value) for value in ids],
                projection=pb.Projection(metadata=True, vectors=vectors),
            ),
        )
        points = answer.points
        return {
            decode_id(id_): json.loads(blob) for id_, blob in zip(points.ids, points.metadata, strict=True)
        }

    def search(self, query: ArrayLike, limit: int = 10, **more: Any) -> list[tuple[PointId, float]]:
        row = np.asarray(query, dtype="<f4")
        request = pb.SearchRequest(
            dimension=row.shape[-1], queries_float32_le=row.tobytes(), limit=limit, **more
        )
        (hits,) = self.call("Search", request).results
        return [
            (decode_id(id_), distance) for id_, distance in zip(hits.points.ids, hits.distances, strict=True)
        ]

    def count(self, expression: object = None) -> int:
        raw = b"" if expression is None else json.dumps(expression).encode()
        return int(self.call("Count", pb.CountRequest(filter_json=raw)).count)

    def describe(self) -> pb.DescribeResponse:
        answer: pb.DescribeResponse = self.call("Describe", pb.DescribeRequest())
        return answer

    def error(self) -> HanaxError | None:
        """Why the shard can't be described, if so."""
        try:
            self.describe()
        except HanaxError as error:
            return error
        return None

    def wait_open(self) -> Shard:
        """Return when the process has followed a table that assigns the shard to it."""

        def is_open() -> bool:
            error = self.error()
            if error is not None and not isinstance(error, Unavailable | CollectionNotFound):
                raise error
            return error is None

        wait_until(f"{self.ref.collection} is open", is_open)
        return self


def column(rows: np.ndarray[Any, Any], name: str = "default") -> pb.VectorColumn:
    return pb.VectorColumn(name=name, dimension=rows.shape[1], float32_le=rows.astype("<f4").tobytes())


class IndexShardProcess:
    """`with` starts it, waits until it is ready, and kills what is left of it."""

    def __init__(self, folder: Path, routing_file: Path, node: str = "shard-0", **settings: object) -> None:
        self.data = folder / node
        self.node = node
        self._log = folder / f"{node}.log"
        self._settings = {
            "HANAX_NODE_NAME": node,
            "HANAX_SHARD_PORT": "0",
            "HANAX_SHARD_METRICS_PORT": "0",
            "HANAX_SHARD_WIRES_PORT": "0",
            "HANAX_ROUTING_FILE": str(routing_file),
            "HANAX_DATA_DIR": str(self.data),
            **{f"HANAX_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self._clients = ExitStack()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, without waiting for it."""
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hanax.index_shard"],
                env={**os.environ, **self._settings},
                stdout=log,
                stderr=log,
            )

    def connect(self) -> None:
        """Wait until it listens and is ready."""
        serving = wait_until("the process serves", self.serving)
        self.address = f"127.0.0.1:{serving['port']}"
        self.metrics = f"http://127.0.0.1:{serving['metrics_port']}"
        self._clients = ExitStack()
        channel = self._clients.enter_context(grpc.insecure_channel(self.address))
        self.stub = ShardServiceStub(channel)
        self.health = health_pb2_grpc.HealthStub(channel)
        wait_until("the process is ready", self.is_ready)

    def is_ready(self) -> bool:
        answer = self.health.Check(health_pb2.HealthCheckRequest(), timeout=CALL_S)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def shard(self, name: str, uid: str | None = None, number: int = 0) -> Shard:
        return Shard(self.stub, name, uid or f"uid-{name}", number)

    def page(self, path: str) -> str:
        with urllib.request.urlopen(self.metrics + path, timeout=CALL_S) as answer:
            return str(answer.read().decode())

    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines() if line.endswith("}")]

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send the signal and return the exit status."""
        assert self.process is not None
        self._clients.close()
        self.process.send_signal(number)
        status = self.process.wait(DEADLINE_S)
        self.process = None
        return status

    def restart(self, number: int = signal.SIGTERM) -> None:
        self.end(number)
        self.start()
        self.connect()

    def __enter__(self) -> IndexShardProcess:
        self.start()
        try:
            self.connect()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._clients.close()
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def serving(self) -> dict[str, Any] | None:
        """What it logged of its ports, once it listens."""
        assert self.process is not None
        assert self.process.poll() is None, self._log.read_text()
        return next((entry for entry in self.logged() if entry["event"] == "serving"), None)
