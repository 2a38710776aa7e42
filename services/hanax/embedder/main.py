"""The embedder process.

The ports open first, so that a supervisor sees the process live and not yet ready; then a thread
loads and warms what shall be there from the start, says ready, and goes on loading what is asked
for. The workers compute.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Final

import orjson
import structlog

from citadel.vector.v1 import embedder_pb2_grpc
from hanax.core.errors import HanaxError
from hanax.core.settings import EmbedderSettings
from hanax.embedder.backends.opening import describe, estimate_bytes, open_model
from hanax.embedder.declarations import declared_models
from hanax.embedder.gpu_metrics import add_gpu_metrics
from hanax.embedder.metrics import EmbedderMetrics
from hanax.embedder.model_loader import Opener
from hanax.embedder.model_store import ModelStore, StoreLimits
from hanax.embedder.service import EmbedderServicer
from hanax.embedder.text_queue import QueueLimits
from hanax.embedder.workers import Workers
from hanax.rpc.servers import CallObserver, RpcServer
from hanax.runtime.lifecycle import Shutdown
from hanax.runtime.logs import configure_logs
from hanax.runtime.memory import usable_memory_bytes
from hanax.runtime.metrics_port import MetricsPort

log = structlog.get_logger()

# A request that waits holds a thread, which costs little; more are refused. Each model has threads
# of its own, so that none can take those of another.
_REQUESTS: Final = 256
_REQUESTS_OF_MANY: Final = 512
_FEWEST_REQUESTS: Final = 32
# Threads that are never held by waiting requests: refusals, health checks and ListModels.
_SPARE_THREADS: Final = 16

# A loader that loads nothing ends at once.
_LOADER_END_S: Final = 0.5

# Of what the process may use, or of the GPU; the rest is for texts, batches and the libraries themselves.
_MODELS_SHARE: Final = 0.75


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
    except HanaxError as error:
        log.error("cannot serve these models", error=error.message)
        return 1
    embedder.start()
    shutdown.wait()
    embedder.stop()
    status = 1 if embedder.failed else 0
    if embedder.is_loading:
        # The interpreter's end would take the ground from under a library that loads a model.
        sys.stderr.flush()
        os._exit(status)
    return status


class Embedder:
    """Ports, models and threads of one process."""

    def __init__(self, settings: EmbedderSettings, shutdown: Shutdown) -> None:
        """Raises OSError when a port is taken, InvalidArgument for models that cannot be."""
        self.failed = False
        self._settings = settings
        self._shutdown = shutdown
        declared = declared_models(settings, settings.embedder_threads or _usable_cores())
        requests = _requests_of_each(len(declared))
        metrics = EmbedderMetrics()
        memory_bytes = add_gpu_metrics(metrics.registry) or usable_memory_bytes()
        budget_bytes = settings.embedder_memory_bytes or int(memory_bytes * _MODELS_SHARE)
        queues = QueueLimits(settings.embedder_queue_texts, requests, settings.embedder_batch_tokens)
        self._workers = Workers(time.monotonic)
        self._store = ModelStore(
            declared,
            Opener(open_model, estimate_bytes, describe),
            self._workers,
            StoreLimits(budget_bytes, queues),
            metrics,
            time.monotonic,
        )
        self._servicer = EmbedderServicer(self._store)
        host = settings.embedder_host
        self._server = RpcServer(
            f"{host}:{settings.embedder_port}",
            requests * len(declared) + _SPARE_THREADS,
            time.perf_counter,
            CallObserver(metrics.answered),
        )
        embedder_pb2_grpc.add_EmbedderServiceServicer_to_server(self._servicer, self._server.registry)
        self._metrics_port = MetricsPort(
            host,
            settings.embedder_metrics_port,
            metrics.registry,
            lambda: self._servicer.is_ready,
            lambda: orjson.dumps(self._store.state()),
        )
        self._loader = threading.Thread(target=self._load, name="loader", daemon=True)
        self._address = f"{host}:{self._server.port}"

    @property
    def is_loading(self) -> bool:
        """A model is being loaded, which nothing can interrupt."""
        return self._loader.is_alive()

    def start(self) -> None:
        self._server.start()
        self._metrics_port.start()
        log.info("listening", address=self._address, metrics_port=self._metrics_port.port)
        self._workers.start()
        self._loader.start()

    def stop(self) -> None:
        """Refuse new calls, let running ones end within drain_grace_s, then stop."""
        log.info("draining", grace_s=self._settings.drain_grace_s)
        self._server.drain(self._settings.drain_grace_s)
        self._store.close()
        self._workers.close()
        self._loader.join(_LOADER_END_S)
        self._metrics_port.stop()
        log.info("stopped")

    def _load(self) -> None:
        started = time.monotonic()
        if not self._store.load_at_start():
            self.failed = not self._shutdown.due()
            self._shutdown.request()
            return
        self._servicer.serve()
        self._server.set_ready(True)
        loaded = [model.name for model in self._store.models() if model.leased is not None]
        log.info("ready", models=loaded, seconds=round(time.monotonic() - started, 3))
        self._store.load_what_is_asked_for()


def _requests_of_each(models: int) -> int:
    """Requests of one model that may be in progress at once."""
    return _REQUESTS if models == 1 else max(_FEWEST_REQUESTS, min(_REQUESTS, _REQUESTS_OF_MANY // models))


def _usable_cores() -> int:
    # torch itself counts a core with two threads as one, and a small virtual machine has no more.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
