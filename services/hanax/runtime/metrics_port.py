"""/metrics and /health of a service that speaks gRPC, on a port of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

import hanax

# A connection on which nothing is asked, or whose answer is not read, ends after this long.
_SILENCE_S = 30.0


class MetricsPort:
    """GET /metrics (Prometheus text), /health (the process lives), /ready (200 or 503), /state (JSON)."""

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        is_ready: Callable[[], bool],
        state: Callable[[], bytes] | None = None,
    ) -> None:
        """state: what the process tells of itself; None: there is no /state."""

        class Handler(BaseHTTPRequestHandler):
            # The header Server, which tells which version runs.
            server_version = f"hana-x-vector/{hanax.__version__}"
            sys_version = ""
            timeout = _SILENCE_S

            def handle(self) -> None:
                # A probe waits a few seconds and goes; on a busy machine that is nothing to log.
                with suppress(ConnectionError, TimeoutError):
                    super().handle()

            def do_GET(self) -> None:
                if self.path == "/metrics":
                    self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
                elif self.path == "/health":
                    self._answer(200, "text/plain", b"ok\n")
                elif self.path == "/ready":
                    ready = is_ready()
                    self._answer(200 if ready else 503, "text/plain", b"ok\n" if ready else b"not yet\n")
                elif self.path == "/state" and state is not None:
                    self._answer(200, "application/json", state())
                else:
                    self._answer(404, "text/plain", b"see /metrics, /health, /ready\n")

            def _answer(self, status: int, content_type: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass  # scrapes every few seconds would drown the log

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
