"""Wires, the server's side: a thread for each connection, which reads a question, answers it and sends that.

A question is answered by the thread that it woke: nobody hands it on. A wire that is not asked costs a thread
that sleeps. As many questions at once are worked on as there are places; others wait, on wires of a bounded
number. Whoever finds no wire asks over gRPC.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Final

import structlog
from google.protobuf.message import DecodeError, Message

from hanax.core.errors import HanaxError, Internal, InvalidArgument, MethodNotAllowed
from hanax.rpc.errors import encode_error
from hanax.rpc.frames import ANSWERED, FAILED, LENGTH, MAX_QUESTION_BYTES, answer_frame, split_question
from hanax.rpc.servers import CallObserver

log = structlog.get_logger()

# Each takes a thread; a gateway opens a few.
MAX_WIRES: Final = 128
# A peer that does not read its answer for so long has hung.
_SEND_TIMEOUT_S: Final = 30
_RECEIVED_AT_ONCE: Final = 64 * 1024


@dataclass(frozen=True)
class WireMethod:
    """decode: may raise DecodeError. answer: may raise a HanaxError."""

    decode: Callable[[bytes], Any]
    answer: Callable[[Any], Message]


class WireServer:
    """Listens from the start; answers from `start` to `drain`."""

    def __init__(
        self,
        host: str,
        port: int,
        places: int,
        clock: Callable[[], float],
        observer: CallObserver,
    ) -> None:
        """places: questions that are worked on at once. port: 0 for any. Raises OSError."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._listener = socket.create_server((host, port), family=family, backlog=MAX_WIRES)
        except OSError as error:
            raise OSError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
        self.port: int = self._listener.getsockname()[1]
        self._places: SimpleQueue[None] = SimpleQueue()
        for _ in range(places):
            self._places.put(None)
        self._clock = clock
        self._observer = observer
        self._methods: Mapping[bytes, WireMethod] = {}
        self._changed = threading.Condition()
        self._wires: dict[socket.socket, threading.Thread] = {}
        self._ending = False

    @property
    def open(self) -> int:
        """Wires that there are."""
        return len(self._wires)

    def start(self, methods: Mapping[str, WireMethod]) -> None:
        """methods: by their names."""
        self._methods = {name.encode(): method for name, method in methods.items()}
        threading.Thread(target=self._accept, name="wires", daemon=True).start()

    def drain(self, grace_s: float) -> None:
        """Take no more questions, let those that are worked on end, cut them after `grace_s`."""
        with self._changed:
            self._ending = True
            wires = list(self._wires)
        # Wakes who waits in accept(), which close() would not.
        _shut(self._listener, socket.SHUT_RDWR)
        self._listener.close()
        for wire in wires:
            _shut(wire, socket.SHUT_RD)
        with self._changed:
            ended = self._changed.wait_for(lambda: not self._wires, grace_s)
            wires = [] if ended else list(self._wires)
        for wire in wires:
            _shut(wire, socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                wire, _ = self._listener.accept()
            except OSError:
                if self._ending:
                    return
                # No more files, say: those that wait are taken when there are some.
                time.sleep(0.1)
                continue
            with self._changed:
                if self._ending or len(self._wires) >= MAX_WIRES:
                    wire.close()
                    continue
                thread = threading.Thread(target=self._serve, args=(wire,), name="wire", daemon=True)
                self._wires[wire] = thread
            thread.start()

    def _serve(self, wire: socket.socket) -> None:
        try:
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _SEND_TIMEOUT_S, 0))
            while (question := _receive(wire)) is not None:
                wire.sendall(self._answer(*split_question(question)))
        except OSError:
            pass  # Whoever asked has gone, and asks elsewhere.
        finally:
            with self._changed:
                self._wires.pop(wire, None)
                self._changed.notify_all()
            wire.close()

    def _answer(self, name: bytes, message: bytes) -> bytes:
        method = self._methods.get(name)
        if method is None:
            return _failed(MethodNotAllowed(f"no method {name.decode('latin-1')!r} on a wire"))
        self._places.get()
        try:
            return self._work(name.decode(), method, message)
        finally:
            self._places.put(None)

    def _work(self, name: str, method: WireMethod, message: bytes) -> bytes:
        started = self._clock()
        outcome = "ok"
        try:
            return answer_frame(ANSWERED, method.answer(method.decode(message)).SerializeToString())
        except HanaxError as error:
            outcome = error.code
            return _failed(error)
        except DecodeError:
            outcome = InvalidArgument.code
            return _failed(InvalidArgument(f"{name}: the message can not be read"))
        except Exception as error:
            outcome = Internal.code
            log.exception("call failed", method=name)
            return _failed(Internal(f"{type(error).__name__} in {name}; see the log"))
        finally:
            self._observer.finished(name, outcome, self._clock() - started)


def _failed(error: HanaxError) -> bytes:
    return answer_frame(FAILED, encode_error(error).SerializeToString())


def _receive(wire: socket.socket) -> bytes | None:
    """The next frame without its length; None at the end, and for one that is too long. Raises OSError."""
    data = wire.recv(_RECEIVED_AT_ONCE)
    while len(data) < LENGTH.size:
        more = wire.recv(_RECEIVED_AT_ONCE) if data else b""
        if not more:
            return None
        data += more
    (size,) = LENGTH.unpack_from(data)
    if size > MAX_QUESTION_BYTES:
        return None
    if len(data) == LENGTH.size + size:
        return data[LENGTH.size :]
    parts, missing = [data[LENGTH.size :]], LENGTH.size + size - len(data)
    while missing > 0:
        part = wire.recv(_RECEIVED_AT_ONCE)
        if not part:
            return None
        parts.append(part)
        missing -= len(part)
    # More than was announced: the peer does not wait for its answers.
    return b"".join(parts) if missing == 0 else None


def _shut(wire: socket.socket, how: int) -> None:
    # It may have ended by itself.
    with contextlib.suppress(OSError):
        wire.shutdown(how)
