"""The REST API behind one gateway."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import httpx

Answer = dict[str, Any]


class Failed(Exception):
    """The API's no; `code` as docs and clients know it, empty when nothing answered."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code or 'no answer'}: {message}")
        self.code = code


class Gateway:
    """Use as a context. May be shared by threads. key: of the API; empty: none is shown."""

    def __init__(self, address: str, key: str = "") -> None:
        self.url = f"http://{address}"
        self._http = httpx.Client(
            base_url=f"{self.url}/api/v1",
            headers={"X-API-Key": key} if key else None,
            timeout=60.0,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def post(self, path: str, body: Answer) -> Answer:
        """`data` of the answer. Raises Failed."""
        return self._call("POST", path, body)

    def get(self, path: str) -> Answer:
        return self._call("GET", path, None)

    def delete(self, path: str) -> Answer:
        return self._call("DELETE", path, None)

    def _call(self, method: str, path: str, body: Answer | None) -> Answer:
        try:
            answer = self._http.request(method, path, json=body)
        except httpx.TransportError as error:
            raise Failed("", repr(error)) from error
        envelope: Answer = answer.json()
        if not envelope["success"]:
            raise Failed(envelope["error"]["code"], envelope["error"]["message"])
        data: Answer = envelope["data"]
        return data
