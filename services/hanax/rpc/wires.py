"""Wires, the client's side: connections to a server on which one question at a time is asked.

To ask over gRPC costs client and server as much as looking for what is near; a wire costs a fraction of that.
Nobody waits for a wire: where none is free, a question goes over gRPC, and one more wire is opened meanwhile,
up to a few. So it does where the server has no wires, cannot be reached there, or ends one amid a question,
which is asked again then: only reads are asked so.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import grpc
from google.protobuf.message import Message

from hanax.core.errors import Internal, MethodNotAllowed
from hanax.rpc.errors import CallFailed, decode_error
from hanax.rpc.frames import ANSWERED, MAX_QUESTION_BYTES, question_frame
from hanax.rpc.wire import Wire, WireLost

if TYPE_CHECKING:
    from grpc import aio

Question = TypeVar("Question", bound=Message)
Answer = TypeVar("Answer", bound=Message)

# Questions to a server come together where there are many, so that few are under way at once.
MAX_WIRES: Final = 4
_OPEN_TIMEOUT_S: Final = 2.0
# A server that restarts is found again after the first pause; one that has no wires is not asked often.
_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 30.0

_HOST: Final = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):[0-9]{1,5}")

# Where wires to an address end: the server's port, 0 where it has none. Raises grpc.RpcError.
PortOf = Callable[[str], Awaitable[int]]


class WiresTo:
    """The wires to one server, in one event loop."""

    def __init__(self, address: str, port_of: PortOf) -> None:
        """address: as of channels. Over TLS there are no wires."""
        found = _HOST.fullmatch(address)
        self._host = (found[1] or found[2]) if found else None
        self._address = address
        self._port_of = port_of
        self._wires: set[Wire] = set()
        self._free: list[Wire] = []
        self._opening: asyncio.Task[None] | None = None
        self._pause_s = _FIRST_PAUSE_S
        self._next_at = 0.0

    @property
    def free(self) -> int:
        """Wires that nobody uses."""
        return len(self._free)

    def take(self) -> Wire | None:
        """A wire that nobody else uses, for `give_back`. None: ask over gRPC; one is opened if it may be."""
        if self._free:
            return self._free.pop()
        if self._host is not None and self._opening is None and len(self._wires) < MAX_WIRES:
            loop = asyncio.get_running_loop()
            if loop.time() >= self._next_at:
                self._opening = loop.create_task(self._open(self._host))
        return None

    def give_back(self, wire: Wire) -> None:
        if self._host is None or not wire.is_open:
            wire.close()
        else:
            self._free.append(wire)
            self._pause_s = _FIRST_PAUSE_S

    def close(self) -> None:
        """What is asked is answered still."""
        self._host = None
        if self._opening is not None:
            self._opening.cancel()
        for wire in self._free:
            wire.close()

    async def _open(self, host: str) -> None:
        loop = asyncio.get_running_loop()
        wire = Wire(self._forget)
        try:
            async with asyncio.timeout(_OPEN_TIMEOUT_S):
                if port := await self._port_of(self._address):
                    await loop.create_connection(lambda: wire, host, port)
        except (OSError, grpc.RpcError):
            pass  # Over gRPC it is told what is wrong, if anything is.
        finally:
            self._opening = None
        if wire.is_open:
            self._wires.add(wire)
            self._free.append(wire)
        else:
            self._pause()

    def _forget(self, wire: Wire) -> None:
        """It has ended. A server that has enough of them ends them at once."""
        self._wires.discard(wire)
        if wire in self._free:
            self._free.remove(wire)
        self._pause()

    def _pause(self) -> None:
        self._next_at = asyncio.get_running_loop().time() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)


class Wires:
    """By address, closed together."""

    def __init__(self, port_of: PortOf) -> None:
        self._port_of = port_of
        self._to: dict[str, WiresTo] = {}

    def get(self, address: str) -> WiresTo:
        found = self._to.get(address)
        if found is None:
            found = self._to[address] = WiresTo(address, self._port_of)
        return found

    def retain(self, addresses: Collection[str]) -> None:
        """Close the wires to all other addresses."""
        for address in set(self._to) - set(addresses):
            self._to.pop(address).close()

    def close(self) -> None:
        self.retain(())


class WiredMethod(Generic[Question, Answer]):
    """A stub's method that is asked on a wire where one is free. Called, and failing, as the stub's."""

    def __init__(
        self,
        name: str,
        decode: Callable[[bytes], Answer],
        wires: WiresTo,
        over_grpc: aio.UnaryUnaryMultiCallable[Question, Answer],
    ) -> None:
        self._name = name.encode()
        self._decode = decode
        self._wires = wires
        self._over_grpc = over_grpc

    async def __call__(self, question: Question, *, timeout: float) -> Answer:
        wire = self._wires.take()
        if wire is None:
            return await self._over_grpc(question, timeout=timeout)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        try:
            frame = question_frame(self._name, question.SerializeToString())
            answer = await wire.ask(frame, timeout) if len(frame) <= MAX_QUESTION_BYTES else b""
        except WireLost:
            answer = b""
        finally:
            self._wires.give_back(wire)
        if answer.startswith(ANSWERED):
            return self._decode(answer[1:])
        if answer:
            error = decode_error(answer[1:]) or Internal("a wire answered what is no error of ours")
            if not isinstance(error, MethodNotAllowed):
                raise CallFailed(error)
        return await self._over_grpc(question, timeout=max(0.0, deadline - loop.time()))
