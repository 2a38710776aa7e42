"""What a server of embeddings answers when it is well, in the protocol that the path names.

Its vectors are made from the text alone, so that a test knows them. A token is a word.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import xxhash
from numpy.typing import NDArray

Vector = NDArray[np.float32]

JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Request:
    """Names of headers are in small letters."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    http2: bool = False

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def texts(self) -> list[str]:
        body = self.json
        found: list[str] = body.get("input") or body.get("inputs") or body.get("texts")
        return found


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: dict(JSON))


def vector_of(text: str, dimension: int) -> Vector:
    """The unit vector of a text: float32[dimension]."""
    rng = np.random.default_rng(xxhash.xxh3_64_intdigest(text.encode()))
    vector = rng.standard_normal(dimension)
    unit: Vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    return unit


def cut_to(vector: Vector, dimensions: int) -> Vector:
    """Its first numbers, as a unit vector again."""
    part = vector[:dimensions]
    unit: Vector = (part / np.linalg.norm(part)).astype(np.float32)
    return unit


@dataclass
class Embeddings:
    """max_tokens: of a text; past it a text is refused, or cut where the request says so.

    max_texts: of a request. key: without it, 401. base64: false for a server that refuses that encoding.
    length: of the vectors; a server that does not normalise has another than 1.
    """

    dimension: int = 8
    max_tokens: int = 512
    max_texts: int = 10_000
    key: str | None = None
    base64: bool = True
    length: float = 1.0
    has_health: bool = True

    def reply(self, request: Request) -> Reply:
        if request.method == "GET":
            well = self.has_health and request.path == "/health"
            return Reply(body=b'{"status":"ok"}') if well else _failed(404, "no such page")
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.key is not None and given != self.key:
            return _failed(401, {"message": f"Incorrect API key provided: {given}"})
        path = request.path.partition("?")[0]
        if path.endswith("/v2/embed"):
            return self._cohere(request)
        if path.endswith("/api/embed"):
            return self._ollama(request)
        if path.endswith("/embed"):
            return self._tei(request)
        if path.endswith("/embeddings"):
            return self._openai(request)
        return _failed(404, "no such page")

    def _openai(self, request: Request) -> Reply:
        body = request.json
        if longest := self._too_long(request.texts):
            return _failed(
                400,
                {
                    "message": f"This model's maximum context length is {self.max_tokens} tokens, however "
                    f"you requested {longest} tokens",
                    "type": "invalid_request_error",
                },
            )
        encoding = body.get("encoding_format", "float")
        if encoding == "base64" and not self.base64:
            return _failed(422, {"message": "encoding_format: only float is supported"})
        data = [
            {
                "object": "embedding",
                "index": index,
                "embedding": base64.b64encode(row.astype("<f4").tobytes()).decode()
                if encoding == "base64"
                else row.tolist(),
            }
            for index, row in enumerate(self._rows(request.texts, body.get("dimensions")))
        ]
        tokens = _words(request.texts)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return _told({"object": "list", "data": data, "model": body["model"], "usage": usage})

    def _tei(self, request: Request) -> Reply:
        body = request.json
        if len(request.texts) > self.max_texts:
            return _failed(
                413, f"batch size {len(request.texts)} > maximum allowed batch size {self.max_texts}"
            )
        if (longest := self._too_long(request.texts)) and not body.get("truncate"):
            return _failed(
                413,
                f"Input validation error: `inputs` must have less than {self.max_tokens} tokens. "
                f"Given: {longest}",
            )
        rows = self._rows(request.texts, body.get("dimensions"))
        reply = _told([row.tolist() for row in rows])
        return Reply(reply.status, reply.body, {**JSON, "x-compute-tokens": str(_words(request.texts))})

    def _cohere(self, request: Request) -> Reply:
        body = request.json
        if (longest := self._too_long(request.texts)) and body["truncate"] == "NONE":
            return Reply(400, orjson.dumps({"message": f"too many tokens: {longest}"}))
        rows = self._rows(request.texts, body.get("output_dimension"))
        return _told(
            {
                "id": "1",
                "embeddings": {"float": [row.tolist() for row in rows]},
                "texts": request.texts,
                "meta": {"billed_units": {"input_tokens": _words(request.texts)}},
            }
        )

    def _ollama(self, request: Request) -> Reply:
        body = request.json
        if self._too_long(request.texts) and not body.get("truncate", True):
            return _failed(400, "the input length exceeds the context length")
        rows = self._rows(request.texts, body.get("dimensions"))
        tokens = _words(request.texts)
        return _told({"embeddings": [row.tolist() for row in rows], "prompt_eval_count": tokens})

    def _too_long(self, texts: list[str]) -> int:
        longest = max(_words([text]) for text in texts)
        return longest if longest > self.max_tokens else 0

    def _rows(self, texts: list[str], dimensions: int | None) -> list[Vector]:
        # A text that is cut reads like its first words.
        read = [
            " ".join(text.split()[: self.max_tokens]) if self._too_long([text]) else text for text in texts
        ]
        rows = [vector_of(text, self.dimension) for text in read]
        if dimensions is not None:
            rows = [cut_to(row, dimensions) for row in rows]
        return [row * np.float32(self.length) for row in rows]


def _words(texts: list[str]) -> int:
    return sum(len(text.split()) for text in texts)


def _told(value: object) -> Reply:
    return Reply(body=orjson.dumps(value))


def _failed(status: int, error: object) -> Reply:
    return Reply(status, orjson.dumps({"error": error}))
