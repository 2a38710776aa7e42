"""Server-sent events, out of the portions in which they come.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import from_json

from hxp_vector_client.errors import BadAnswer

# A job with its error is a few kilobytes; what never ends its event is none of ours.
_LONGEST: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ServerEvent:
    name: str
    data: bytes

    def json(self) -> Any:
        """Raises BadAnswer."""
        try:
            return from_json(self.data)
        except ValueError as error:
            raise BadAnswer(f"an event of the server is no JSON: {error}") from None


class EventReader:
    """Comments, which are signs of life, are passed over."""

    def __init__(self) -> None:
        self._held = b""

    def read(self, portion: bytes) -> Iterator[ServerEvent]:
        """The events that are whole by now. Raises BadAnswer."""
        *whole, self._held = (self._held + portion).replace(b"\r\n", b"\n").split(b"\n\n")
        if len(self._held) > _LONGEST:
            raise BadAnswer(f"an event of the server is longer than {_LONGEST} bytes")
        for block in whole:
            name, data = "message", []
            for line in block.split(b"\n"):
                field, _, value = line.partition(b":")
                value = value.removeprefix(b" ")
                if field == b"event":
                    name = value.decode("utf-8", "replace")
                elif field == b"data":
                    data.append(value)
            if data:
                yield ServerEvent(name, b"\n".join(data))
