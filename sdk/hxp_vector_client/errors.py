"""Every error that a caller of this client can meet.

VectorError
├── the server's refusals     generated: see server_errors, whose tree is that of the server
├── ConnectionFailed          (Unavailable) no connection, or it broke before the answer was there
├── TimedOut                  (DeadlineExceeded) no answer within the time of the call
├── BadAnswer                 what came back is no answer of this API: another server, or a proxy's page
├── ClientClosed              the client is used after it was closed
├── NotSupported              the transport cannot do this; others can
├── TextsQueued               the model takes texts as jobs only: see `job`
└── MissingExtra              a library is not installed that comes with an extra of this package
"""

from __future__ import annotations

from typing import Any, Final

from hxp_vector_client import server_errors
from hxp_vector_client.error_base import VectorError
from hxp_vector_client.server_errors import *  # noqa: F403
from hxp_vector_client.server_errors import BY_CODE, DeadlineExceeded, Unavailable


class ConnectionFailed(Unavailable):
    """`sent`: the request may have reached the server before the connection was lost."""

    default_code = "connection_failed"

    def __init__(
        self, message: str, /, *, code: str = "", details: dict[str, Any] | None = None, sent: bool = True
    ) -> None:
        super().__init__(message, code=code, details=details)
        self.sent = sent


class TimedOut(DeadlineExceeded):
    default_code = "timed_out"


class BadAnswer(VectorError):
    default_code = "bad_answer"


class ClientClosed(VectorError):
    default_code = "client_closed"


class NotSupported(VectorError):
    default_code = "not_supported"


class TextsQueued(VectorError):
    """`job`: that embeds them; see jobs.wait and jobs.download."""

    default_code = "texts_queued"

    def __init__(self, job: Any, /) -> None:
        name = getattr(job, "job_id", job)
        super().__init__(f"the model queues its texts: the job {name} embeds them")
        self.job = job


class MissingExtra(VectorError):
    default_code = "missing_extra"


OWN: Final = (
    "BadAnswer",
    "ClientClosed",
    "ConnectionFailed",
    "MissingExtra",
    "NotSupported",
    "TextsQueued",
    "TimedOut",
)

__all__ = [  # noqa: PLE0604
    *OWN,
    "VectorError",
    "error_from_code",
    *server_errors.__all__,
]


def error_from_code(code: str, message: str, details: dict[str, Any] | None = None) -> VectorError:
    """The server's error of that code; a plain VectorError for one that this client does not know."""
    return BY_CODE.get(code, VectorError)(message, code=code, details=details)
