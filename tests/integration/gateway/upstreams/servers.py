"""Upstream servers for tests and benchmarks: real sockets in a thread of their own, which fail on command.

with running_upstream() as server:
    server.behave(behaviours.status(500))      # every request from now on
    server.script(behaviours.reset)            # the next one; then as told last
    server.kill(); server.restart()            # connections refused; back on the same port
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections import deque
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from hanax.core.model_routes import ModelEndpoint, ModelProtocol, ModelRoute
from tests.integration.gateway.upstreams import behaviours, http1, http2
from tests.integration.gateway.upstreams.behaviours import Behaviour
from tests.integration.gateway.upstreams.replies import Embeddings, Reply, Request

T = TypeVar("T")

# Requests that a server remembers; those before them are only counted.
_KEPT = 10_000
_CONTROL_S = 30.0


class UpstreamServer:
    """One port of 127.0.0.1 that answers OpenAI's, TEI's, Cohere's and Ollama's requests.

    served: POST requests so far. requests: the last of them. now, at_once: those that it works on, and the
    most that there were.
    With `tls` it speaks HTTP/2 to those who ask for it.
    """

    def __init__(self, answers: Embeddings, tls: ssl.SSLContext | None = None) -> None:
        self.answers = answers
        self.requests: deque[Request] = deque(maxlen=_KEPT)
        self.served = 0
        self.at_once = 0
        self.now = 0
        self._tls = tls
        self._behaviour: Behaviour = behaviours.well
        self._next: deque[Behaviour] = deque()
        self._serving: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}
        self._listening: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="upstream", daemon=True)
        self._thread.start()
        self.port = 0
        self.restart()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def base(self, protocol: ModelProtocol) -> str:
        """The URL that a model's route names for a protocol."""
        return f"{self.url}/v1" if protocol == "openai" else self.url

    def behave(self, behaviour: Behaviour) -> None:
        """Do so at every request that no script is for."""
        self._behaviour = behaviour

    def script(self, *steps: Behaviour) -> None:
        """Do so at the next requests, one each."""
        self._next.extend(steps)

    def kill(self) -> None:
        """Refuse connections, and reset those that there are."""
        self._run(self._stop())

    def restart(self) -> None:
        """Listen, on the same port as before."""
        self._run(self._start())

    def close(self) -> None:
        self.kill()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CONTROL_S)
        self._loop.close()

    def _run(self, step: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(step, self._loop).result(_CONTROL_S)

    async def _start(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self._listening = await asyncio.start_server(self._connected, sock=listener, ssl=self._tls)

    async def _stop(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        for task, writer in self._serving.items():
            http1.reset_connection(writer)
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving[task] = writer
        secured = writer.get_extra_info("ssl_object")
        serve = http2.serve if secured and secured.selected_alpn_protocol() == "h2" else http1.serve
        try:
            # A client that goes away is nothing that a server fails at, nor is its own end.
            with contextlib.suppress(OSError, EOFError, ExceptionGroup, asyncio.CancelledError):
                await serve(reader, writer, self._treated)
        finally:
            writer.close()
            del self._serving[task]

    def _treated(self, request: Request) -> tuple[Behaviour, Reply]:
        reply = self.answers.reply(request)
        if request.method != "POST":
            return behaviours.well, reply
        self.served += 1
        self.requests.append(request)
        behaviour = self._next.popleft() if self._next else self._behaviour

        async def counted(exchange: behaviours.Exchange) -> None:
            self.now += 1
            self.at_once = max(self.at_once, self.now)
            try:
                await behaviour(exchange)
            finally:
                self.now -= 1

        return counted, reply


@contextlib.contextmanager
def running_upstream(
    answers: Embeddings | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[UpstreamServer]:
    server = UpstreamServer(answers or Embeddings(), tls)
    try:
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def running_upstreams(number: int) -> Iterator[list[UpstreamServer]]:
    """Servers of one model."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(running_upstream()) for _ in range(number)]


def route_to(*servers: UpstreamServer, protocol: ModelProtocol = "openai", **fields: Any) -> ModelRoute:
    """A model that `servers` serve. `fields`: of the route."""
    answers = servers[0].answers
    return ModelRoute(
        **{
            "name": "outside",
            "dimension": answers.dimension,
            "max_tokens": answers.max_tokens,
            "endpoints": tuple(ModelEndpoint(address=server.base(protocol)) for server in servers),
            "protocol": protocol,
            **fields,
        }
    )
