"""A threaded gRPC server with health, named errors and a graceful end.

Threads, because they cost half the CPU of grpc.aio per request here and because the engine's
kernels and torch release the GIL. Requests that no thread can take at once wait in a queue of
bounded length; past it the caller is told so.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from hanax.core.errors import Cancelled, HanaxError, Internal
from hanax.core.limits import MAX_MESSAGE_BYTES
from hanax.rpc.errors import status_from_error

log = structlog.get_logger()

# Calls in progress and waiting, per thread; more are refused with RESOURCE_EXHAUSTED.
_CALLS_PER_THREAD = 16


@dataclass(frozen=True)
class CallObserver:
    """Told of every finished call: method, canonical status, seconds."""

    finished: Callable[[str, str, float], None]


class _NamedErrors(grpc.ServerInterceptor):
    """Turn what a handler raises into the status that its error code stands for."""

    def __init__(self, observer: CallObserver | None, clock: Callable[[], float]) -> None:
        self._observer = observer
        self._clock = clock

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler = continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        method = handler_call_details.method.rsplit("/", 1)[-1]
        inner = handler.unary_unary

        def call(request: Any, context: grpc.ServicerContext) -> Any:
            started = self._clock()
            outcome = "ok"
            try:
                return inner(request, context)
            except HanaxError as error:
                outcome = error.code
                context.abort_with_status(status_from_error(error))
            except Exception as error:
                if not context.is_active():
                    # The caller went away: nobody is left to answer.
                    outcome = Cancelled.code
                    raise
                outcome = Internal.code
                log.exception("call failed", method=method)
                context.abort_with_status(
                    status_from_error(Internal(f"{type(error).__name__} in {method}; see the log"))
                )
            finally:
                if self._observer is not None:
                    self._observer.finished(method, outcome, self._clock() - started)

        return grpc.unary_unary_rpc_method_handler(
            call,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


class RpcServer:
    """Owns the threads and the port. Start it, set it ready, and drain it at the end."""

    def __init__(
        self,
        address: str,
        threads: int,
        clock: Callable[[], float],
        observer: CallObserver | None = None,
    ) -> None:
        self._server = grpc.server(
            ThreadPoolExecutor(threads, thread_name_prefix="rpc"),
            interceptors=[_NamedErrors(observer, clock)],
            options=(
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                ("grpc.so_reuseport", 0),
            ),
            maximum_concurrent_rpcs=threads * _CALLS_PER_THREAD,
        )
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self.set_ready(False)
        try:
            self.port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address}: {error}") from None

    @property
    def registry(self) -> grpc.Server:
        """What the generated `add_..._to_server` functions take."""
        return self._server

    def start(self) -> None:
        self._server.start()

    def set_ready(self, ready: bool) -> None:
        """What the health service answers from now on."""
        status = health_pb2.HealthCheckResponse.ServingStatus
        self._health.set("", status.SERVING if ready else status.NOT_SERVING)

    def drain(self, grace_s: float) -> None:
        """Refuse new calls, let running ones end, cut them after `grace_s`."""
        self.set_ready(False)
        self._server.stop(grace_s).wait()
