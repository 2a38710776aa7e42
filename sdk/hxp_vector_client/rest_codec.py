"""Requests and answers as REST writes them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import httpx
import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json, to_json

from hxp_vector_client import operations
from hxp_vector_client.errors import (
    BadAnswer,
    ConnectionFailed,
    InvalidArgument,
    TimedOut,
    VectorError,
    error_from_code,
)
from hxp_vector_client.requests import Request

# What is longer of a page that some other server answers tells no more.
_SHOWN: Final = 200

# Fields of a body that hold a vector, and those that hold parts with such fields.
_VECTORS: Final = ("vector", "embedding")
_PARTS: Final = ("vectors", "queries", "chunks")


def json_bytes(body: object) -> bytes:
    """Raises InvalidArgument for what JSON has not."""
    try:
        return to_json(body, fallback=_listed)
    except (ValueError, TypeError) as error:
        raise InvalidArgument(f"can not be written as JSON: {error}") from None


def packed(body: Mapping[str, Any]) -> dict[str, Any]:
    """A body whose vectors are base64 of little-endian float32: a third of the bytes, at once.

    Arrays in metadata stay lists, and so do examples, among which text is an id.
    """
    shown = dict(body)
    for name in _VECTORS:
        if isinstance(shown.get(name), np.ndarray):
            shown[name] = _text(shown[name])
    for name in _PARTS:
        if name in shown:
            shown[name] = [packed(part) for part in shown[name]]
    return shown


def body_of(request: Request) -> bytes | None:
    """Raises InvalidArgument."""
    if request.columns is not None:
        return json_bytes(packed({**(request.body or {}), "vectors": request.columns.points()}))
    if request.body is None:
        return None
    # Rows of a job are whatever their file would hold.
    return json_bytes(request.body if request.operation is operations.SUBMIT_JOB else packed(request.body))


def form_part(request: Request) -> bytes:
    """The job that goes with a file."""
    return json_bytes(request.body)


def path_of(request: Request) -> str:
    """The path with its parts filled in, and the query. Raises InvalidArgument."""
    path = request.operation.path
    for name, value in request.path.items():
        if value in ("", ".", ".."):
            # It would be another path.
            raise InvalidArgument(f"{name}: expected a name, got {value!r}")
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    if not request.query:
        return path
    given = {name: value for name, value in request.query.items() if value is not None}
    return f"{path}?{httpx.QueryParams(given)}" if given else path


def headers_of(request: Request, keyed: bool) -> dict[str, str]:
    headers = dict(request.headers)
    if request.key and keyed:
        headers["Idempotency-Key"] = request.key
    if request.if_match is not None:
        headers["If-Match"] = f'"{request.if_match}"'
    return headers


def read_answer(status: int, headers: Mapping[str, str], content: bytes, enveloped: bool) -> Any:
    """The data of a success. Raises the error that the answer names, or BadAnswer."""
    if 200 <= status < 300 and not content:
        return None
    try:
        answer = from_json(content)
        if 200 <= status < 300:
            return answer["data"] if enveloped else answer
        error = _refusal(answer)
    except (ValueError, KeyError, TypeError):
        shown = content[:_SHOWN].decode("utf-8", "replace")
        error = BadAnswer(f"the server answered {status} with what is no answer of this API: {shown!r}")
    error.status = status
    error.request_id = headers.get("x-request-id")
    error.retry_after_s = seconds(headers.get("retry-after"))
    raise error


def translate(error: httpx.TransportError, url: str) -> VectorError:
    """A failure of the connection, by its name here."""
    if isinstance(error, httpx.PoolTimeout):
        return TimedOut("all connections of this client are in use")
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError | httpx.UnsupportedProtocol):
        return ConnectionFailed(f"{url} does not answer: {_told(error)}", sent=False)
    if isinstance(error, httpx.TimeoutException):
        return TimedOut(f"{url} did not answer in time")
    return ConnectionFailed(f"the connection to {url} broke: {_told(error)}")


def seconds(text: str | None) -> float | None:
    """Of a Retry-After."""
    try:
        return None if text is None else max(0.0, float(text))
    except ValueError:
        # The other form is a date, which this API does not send.
        return None


def _refusal(answer: Any) -> VectorError:
    told = answer["error"]
    return error_from_code(told["code"], told["message"], told.get("details"))


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__


def _text(vector: NDArray[np.float32]) -> str:
    return base64.b64encode(vector.astype("<f4", copy=False).tobytes()).decode("ascii")


def _listed(value: object) -> object:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no value of JSON")
