"""Connections that are held: many that are idle, and busy ones beside them. None may fail."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from benchmarks.protocols.loads import Load, http_load

IDLE: Final = 1_000
BUSY: Final = 200
# Between connections that are opened: a client that opens a thousand at once is another test.
_OPENING_PAUSE_S: Final = 0.001
_ANSWER_S: Final = 10.0
_ASK: Final = b"GET /health HTTP/1.1\r\nHost: bench\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Held:
    """Connections that failed: at their begin, while they were held, or when they were asked again."""

    idle_errors: int
    busy_errors: int
    busy_requests: int

    @property
    def errors(self) -> int:
        return self.idle_errors + self.busy_errors


async def hold(url: str, path: str, bodies: Path, seconds: float) -> Held:
    """Each idle connection is asked at the begin and at the end, and not in between."""
    host = urlsplit(url)
    assert host.hostname
    opened = [await _opened(host.hostname, host.port or 80) for _ in range(IDLE)]
    busy = asyncio.create_task(asyncio.to_thread(http_load, url, path, bodies, Load(BUSY, seconds)))
    await asyncio.sleep(seconds)
    measured = await busy
    fine = await asyncio.gather(*(_answers(one) for one in opened))
    for one in opened:
        if one is not None:
            one[1].close()
    return Held(fine.count(False), measured.failed, measured.requests)


_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _opened(host: str, port: int) -> _Connection | None:
    await asyncio.sleep(_OPENING_PAUSE_S)
    try:
        connection = await asyncio.open_connection(host, port)
    except OSError:
        return None
    return connection if await _answers(connection) else None


async def _answers(connection: _Connection | None) -> bool:
    if connection is None:
        return False
    reader, writer = connection
    try:
        async with asyncio.timeout(_ANSWER_S):
            writer.write(_ASK)
            head = await reader.readuntil(b"\r\n\r\n")
            fields: dict[str, Any] = dict(
                line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:] if line
            )
            await reader.readexactly(int(fields["content-length"]))
    except (OSError, asyncio.IncompleteReadError, TimeoutError):
        return False
    return head.startswith(b"HTTP/1.1 200")
