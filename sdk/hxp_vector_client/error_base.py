"""What all errors of this client have in common."""

from __future__ import annotations

from typing import Any, ClassVar


class VectorError(Exception):
    """Whatever goes wrong between a call of this client and its answer.

    Match on the class, or on `code`, which is the server's stable name and may be newer than this client:
    an unknown one arrives as a plain VectorError. `details` are JSON values for programs. `request_id` finds
    the request in the server's logs; None: it never got there. `status` is that of HTTP, where there was an
    answer over HTTP. `retry_after_s`: how long the server asks to stay away. `points_done`: in a call that
    writes in batches, how many points are stored already.
    """

    default_code: ClassVar[str] = "unknown"

    def __init__(self, message: str, /, *, code: str = "", details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.details: dict[str, Any] = details or {}
        self.request_id: str | None = None
        self.status: int | None = None
        self.retry_after_s: float | None = None
        self.points_done = 0

    def __str__(self) -> str:
        asked = f", request {self.request_id}" if self.request_id else ""
        return f"{self.message} [{self.code}{asked}]"

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are rebuilt from their arguments alone, which would lose all but the message.
        return _rebuild, (type(self), self.message, self.__dict__)


def _rebuild(kind: type[VectorError], message: str, state: dict[str, Any]) -> VectorError:
    error = kind(message)
    error.__dict__.update(state)
    return error
