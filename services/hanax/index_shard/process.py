"""The index-shard process: what it is made of, and the order in which that starts and ends.

Ready means: the first routing table has been applied as far as it can be; on one machine also that there is
none yet. It ends on SIGTERM: new calls are refused, running ones get HANAX_DRAIN_GRACE_S, shards are closed.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog

from citadel.vector.v1.shard_pb2_grpc import add_ShardServiceServicer_to_server
from hanax.core.errors import HanaxError
from hanax.core.settings import ShardSettings
from hanax.core.specs import CollectionSpec
from hanax.engine.schema import Schema
from hanax.engine.shard.background import Background
from hanax.engine.shard.options import ShardOptions
from hanax.engine.shard.shard import Shard
from hanax.index_shard.folders import DataFolder
from hanax.index_shard.metrics import Metrics
from hanax.index_shard.node_states import NodeStates
from hanax.index_shard.replicas import Replicas
from hanax.index_shard.service import ShardService
from hanax.index_shard.wired import wire_methods
from hanax.rpc.servers import CallObserver, RpcServer
from hanax.rpc.wire_servers import WireServer
from hanax.runtime.allocator import return_freed_memory
from hanax.runtime.collector import spare_what_is_there
from hanax.runtime.files import allow_many_files
from hanax.runtime.lifecycle import Shutdown
from hanax.runtime.logs import configure_logs
from hanax.runtime.memory import usable_memory_bytes
from hanax.runtime.metrics_port import MetricsPort
from hanax.runtime.routing_source import routing_source

log = structlog.get_logger()

# A kernel that returns needs the GIL back. Beside a thread that computes in Python it waits a
# whole switch interval for it: 5 ms by default, as long as an exact search of 100,000 rows. And a thread
# that searches small segments lets go of the GIL for microseconds, again and again: every time those
# that wait for it start waiting anew, unless the interval is shorter than a search.
_SWITCH_INTERVAL_S: Final = 0.0002

# One may merge, which takes long, while the other seals what writers wait for.
_MAINTENANCE_THREADS: Final = 2

# What builds of indexes may take of the memory: the rest is for searches, writes and mapped files.
_INDEX_MEMORY_PART: Final = 4


class IndexShard:
    """A running index-shard: everything that is started, in one place."""

    def __init__(self, settings: ShardSettings) -> None:
        """Raises FailedPrecondition or OSError when the data directory or a port is taken."""
        self._grace_s = settings.drain_grace_s
        self._ready = threading.Event()
        self._ending = False
        self._metrics = Metrics()
        self._server = RpcServer(
            f"{settings.shard_host}:{settings.shard_port}",
            settings.shard_threads,
            time.monotonic,
            CallObserver(self._metrics.answered),
        )
        self._wires = WireServer(
            settings.shard_host,
            settings.shard_wires_port,
            settings.shard_threads,
            time.monotonic,
            CallObserver(self._metrics.answered),
        )
        self._metrics_port = MetricsPort(
            settings.shard_host,
            settings.shard_metrics_port,
            self._metrics.registry,
            self._ready.is_set,
            self._state,
        )
        self._folder = DataFolder(settings.data_dir)
        self._background = Background(_MAINTENANCE_THREADS)
        options = ShardOptions(
            settings.segment_max_rows,
            settings.segment_max_bytes,
            settings.log_max_bytes,
            index_memory_bytes=settings.index_memory_bytes or usable_memory_bytes() // _INDEX_MEMORY_PART,
            build_threads=settings.index_build_threads or len(os.sched_getaffinity(0)),
        )

        def open_shard(folder: Path, spec: CollectionSpec) -> Shard:
            schema = Schema.single(spec.dimension, spec.metric)
            indexed = replace(options, indexing=spec.indexing, payload_indexes=spec.payload_indexes)
            return Shard.open(folder, schema, indexed, self._background, _now_us)

        self._replicas = Replicas(settings.node_name, self._folder, open_shard, self._settled)
        self._states = NodeStates(settings.node_name, self._replicas, time.monotonic)
        self._routing = routing_source(settings, self._replicas.follow)
        # In a cluster somebody always writes a table: without one there was no answer yet.
        self._needs_table = bool(settings.routing_configmap)
        self._metrics.follow(self._replicas.all)
        self._service = ShardService(self._replicas, self._metrics, self._routing.look, self._wires.port)
        add_ShardServiceServicer_to_server(self._service, self._server.registry)

    def start(self) -> None:
        self._server.start()
        self._wires.start(wire_methods(self._service))
        self._metrics_port.start()
        self._routing.start()
        log.info("serving", port=self._server.port, metrics_port=self._metrics_port.port)
        if self._replicas.revision is None and not self._needs_table:
            self._set_ready()

    def stop(self) -> None:
        self._routing.stop()
        self._ending = True
        self._ready.clear()
        draining = threading.Thread(target=self._wires.drain, args=(self._grace_s,), daemon=True)
        draining.start()
        self._server.drain(self._grace_s)
        draining.join()
        self._replicas.close()
        self._background.close()
        self._folder.close()
        self._metrics_port.stop()

    def _state(self) -> bytes:
        return self._states.body()

    def _settled(self) -> None:
        self._metrics.keep({replica.route.spec.name for replica in self._replicas.all()})
        self._set_ready()

    def _set_ready(self) -> None:
        if not self._ready.is_set() and not self._ending:
            self._server.set_ready(True)
            self._ready.set()
            log.info("ready")


def run(settings: ShardSettings) -> int:
    """Serve until told to end. Returns the process's exit status."""
    configure_logs("index-shard", settings.log_level)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    return_freed_memory()
    allow_many_files()
    shutdown = Shutdown(settings.parent_pid)
    try:
        process = IndexShard(settings)
    except (HanaxError, OSError) as error:
        log.error("not started", error=str(error))
        return 1
    process.start()
    spare_what_is_there()
    shutdown.wait()
    log.info("ending")
    process.stop()
    log.info("ended")
    return 0


def _now_us() -> int:
    return time.time_ns() // 1_000
