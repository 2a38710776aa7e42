"""The embedder process.

The ports open first, so that a supervisor sees the process live and not yet ready; then the
worker thread loads and warms the model, says ready, and works on the queue. It is the same
thread throughout, because torch keeps a pool of threads for each thread that computes.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from typing import Final

import structlog

from citadel.vector.v1 import embedder_pb2_grpc
from hanax.core.errors import HanaxError
from hanax.core.settings import EmbedderSettings
from hanax.embedder.backends import Backend
from hanax.embedder.metrics import EmbedderMetrics
from hanax.embedder.service import EmbedderServicer
from hanax.embedder.text_queue import QueueLimits, TextQueue
from hanax.rpc.servers import CallObserver, RpcServer
from hanax.runtime.lifecycle import Shutdown
from hanax.runtime.logs import configure_logs
from hanax.runtime.metrics_port import MetricsPort

log = structlog.get_logger()

# A request that waits holds a thread, which costs little; more are refused.
_REQUESTS: Final = 256
# Threads that are never held by waiting requests: refusals, health checks and ListModels.
_SPARE_THREADS: Final = 16

# After the drain the worker is at most in one batch that nobody waits for.
_LAST_BATCH_S: Final = 5.0


def main() -> int:
    """Serve until told to stop. 0: stopped; 1: could not start, the log says why."""
    settings = EmbedderSettings()
    configure_logs("embedder", settings.log_level)
    shutdown = Shutdown(settings.parent_pid)
    try:
        embedder = Embedder(settings, shutdown)
    except OSError as error:
        log.error("cannot listen", error=str(error))
        return 1
    embedder.start()
    shutdown.wait()
    embedder.stop()
    return 1 if embedder.failed else 0


class Embedder:
    """Ports, worker thread and queue of one process."""

    def __init__(self, settings: EmbedderSettings, shutdown: Shutdown) -> None:
        """Raises OSError when a port is taken."""
        self.failed = False
        self._settings = settings
        self._shutdown = shutdown
        self._metrics = EmbedderMetrics()
        self._servicer = EmbedderServicer()
        self._queue: TextQueue | None = None
        host = settings.embedder_host
        self._server = RpcServer(
            f"{host}:{settings.embedder_port}",
            _REQUESTS + _SPARE_THREADS,
            time.perf_counter,
            CallObserver(self._metrics.answered),
        )
        embedder_pb2_grpc.add_EmbedderServiceServicer_to_server(self._servicer, self._server.registry)
        self._metrics_port = MetricsPort(
            host,
            settings.embedder_metrics_port,
            self._metrics.registry,
            lambda: self._servicer.is_ready,
        )
        self._worker = threading.Thread(target=self._work, name="worker", daemon=True)
        self._address = f"{host}:{self._server.port}"

    def start(self) -> None:
        self._server.start()
        self._metrics_port.start()
        log.info("listening", address=self._address, metrics_port=self._metrics_port.port)
        self._worker.start()

    def stop(self) -> None:
        """Refuse new calls, let running ones end within drain_grace_s, then stop."""
        log.info("draining", grace_s=self._settings.drain_grace_s)
        self._server.drain(self._settings.drain_grace_s)
        if self._queue is not None:
            self._queue.close()
            self._worker.join(_LAST_BATCH_S)
        self._metrics_port.stop()
        log.info("stopped")

    def _work(self) -> None:
        started = time.monotonic()
        try:
            backend = open_backend(self._settings)
            backend.warm()
        except Exception as error:
            # A HanaxError says what was expected; anything else needs its traceback in the log.
            log.error(
                "the model could not be loaded",
                model=self._settings.embedder_model,
                error=str(error),
                exc_info=not isinstance(error, HanaxError),
            )
            self.failed = True
            self._shutdown.request()
            return
        limits = QueueLimits(
            self._settings.embedder_queue_texts, _REQUESTS, self._settings.embedder_batch_tokens
        )
        queue = TextQueue(backend, limits, self._metrics, time.monotonic)
        self._queue = queue
        model = replace(backend.info, name=self._settings.embedder_name or backend.info.name)
        self._servicer.serve(model, queue)
        self._server.set_ready(True)
        log.info("ready", model=model.name, seconds=round(time.monotonic() - started, 3))
        queue.run()
        backend.close()


def open_backend(settings: EmbedderSettings) -> Backend:
    """Load what the settings name. Takes seconds; only torch is asked for when it is needed."""
    if settings.embedder_backend == "hash":
        from hanax.embedder.backends.hash_backend import HashBackend

        return HashBackend()
    from hanax.embedder.backends.model_files import find_model
    from hanax.embedder.backends.torch_backend import TorchBackend

    threads = settings.embedder_threads or _usable_cores()
    return TorchBackend(find_model(settings.embedder_model), threads)


def _usable_cores() -> int:
    # torch itself counts a core with two threads as one, and a small virtual machine has no more.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
