"""multipart/form-data with the parts `job` and `file`, in this order: the file is handed on while it arrives.

Nothing is held but the part `job`, and what one message of the body brought.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from hanax.core.errors import BodyTooLarge, Cancelled, DeadlineExceeded, InvalidArgument
from hanax.gateway.bodies import BODY_TIMEOUT_S

# A spec has some dozens of fields.
MAX_JOB_PART_BYTES: Final = 65_536
_MAX_HEADERS: Final = 16
_MAX_HEADER_BYTES: Final = 4_096


@dataclass(slots=True)
class _Part:
    name: str
    file_name: str
    data: deque[bytes] = field(default_factory=deque)
    ended: bool = False


class JobForm:
    """Reads the body of one request, once: `job`, then `file`."""

    def __init__(self, request: Request) -> None:
        """Raises InvalidArgument where Content-Type names no boundary."""
        _, options = parse_options_header(request.headers.get("content-type"))
        boundary = options.get(b"boundary", b"")
        if not boundary:
            raise InvalidArgument("Content-Type: expected multipart/form-data with a boundary")
        self._body = request.stream()
        # Those that nobody has asked for yet; the last one may still be filled.
        self._parts: deque[_Part] = deque()
        self._filled = _Part("", "")
        self._header = b""
        self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._ended = False
        self._bad_part = ""
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
                max_header_count=_MAX_HEADERS,
                max_header_size=_MAX_HEADER_BYTES,
            )
        except FormParserError as error:
            raise InvalidArgument(f"Content-Type: {error}") from None

    async def job(self) -> bytes:
        """The part `job`, whole. Raises InvalidArgument, and BodyTooLarge for one that is no spec."""
        part = await self._next_part("job")
        data = bytearray()
        async for portion in self._portions(part):
            data += portion
            if len(data) > MAX_JOB_PART_BYTES:
                raise BodyTooLarge(
                    f"the part job has at most {MAX_JOB_PART_BYTES} bytes", limit_bytes=MAX_JOB_PART_BYTES
                )
        return bytes(data)

    async def file(self) -> tuple[str, AsyncIterator[bytes]]:
        """The name of the part `file` as the client calls it, and its bytes as they arrive.

        The iterator raises InvalidArgument where the body ends before its last boundary, or has more parts.
        """
        part = await self._next_part("file")
        return part.file_name, self._whole_file(part)

    async def _whole_file(self, part: _Part) -> AsyncIterator[bytes]:
        async for portion in self._portions(part):
            yield portion
        while not self._ended and not self._parts:
            if not await self._more():
                raise _cut_off()
        if self._parts:
            raise InvalidArgument("the part file is the last one; expected the parts job and file")

    async def _next_part(self, name: str) -> _Part:
        while not self._parts:
            if self._ended or not await self._more():
                raise InvalidArgument(f"the part {name} is missing; expected the parts job and file")
        part = self._parts.popleft()
        if part.name != name:
            raise InvalidArgument(f"expected the parts job and file, in this order; got {part.name[:60]!r}")
        return part

    async def _portions(self, part: _Part) -> AsyncIterator[bytes]:
        while True:
            while part.data:
                yield part.data.popleft()
            if part.ended:
                return
            if not await self._more():
                raise _cut_off()

    async def _more(self) -> bool:
        """Take the next message of the body; False: there is none. Raises InvalidArgument."""
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                data = await anext(self._body, b"")
        except TimeoutError:
            raise DeadlineExceeded(f"nothing of the body arrived for {BODY_TIMEOUT_S:g} s") from None
        except ClientDisconnect:
            raise Cancelled("the client went away before its body had arrived") from None
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise InvalidArgument(f"the body is not multipart/form-data: {error}") from None
        if self._bad_part:
            raise InvalidArgument(self._bad_part)
        return bool(data)

    def _on_part_begin(self) -> None:
        self._headers = {}

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def _on_headers_finished(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition"))
        if kind != b"form-data" or b"name" not in options:
            self._bad_part = "a part has no Content-Disposition: form-data with a name"
        name, file_name = options.get(b"name", b""), options.get(b"filename", b"")
        self._parts.append(_Part(name.decode(errors="replace"), file_name.decode(errors="replace")))
        self._filled = self._parts[-1]

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._filled.data.append(data[start:end])

    def _on_part_end(self) -> None:
        self._filled.ended = True

    def _on_end(self) -> None:
        self._ended = True


def _cut_off() -> InvalidArgument:
    return InvalidArgument("the body ends before its last boundary")
