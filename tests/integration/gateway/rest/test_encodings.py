"""Bodies that come compressed, and answers that leave so: gzip and zstd."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx
import pytest
import zstandard

from hanax.core.limits import MAX_BODY_BYTES
from hanax.gateway.rest.decompression import MAX_PARTS
from hanax.gateway.rest.encodings import MIN_BYTES
from tests.integration.gateway.stack import Stack

PATH = "/api/v1/vectors/insert"
LONG = "many points with long metadata"


def pack(encoding: str, data: bytes) -> bytes:
    return gzip.compress(data) if encoding == "gzip" else zstandard.compress(data)


def unpack(encoding: str, data: bytes) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(data)
    return zstandard.ZstdDecompressor().decompressobj().decompress(data)


def post(stack: Stack, encoding: str, content: bytes) -> httpx.Response:
    headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
    return stack.client.post(PATH, content=content, headers=headers)


@pytest.fixture(scope="module")
def full(stack: Stack) -> Stack:
    stack.create("encoded")
    points = [{"id": n, "vector": [1, n, 0], "metadata": {"about": f"{LONG} {n}"}} for n in range(500)]
    stack.insert("encoded", points)
    return stack


def insertion(first: int, count: int = 3) -> bytes:
    points = [{"id": first + n, "vector": [1, 2, 3]} for n in range(count)]
    return json.dumps({"collection": "encoded", "vectors": points}).encode()


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_compressed_body_is_taken(full: Stack, encoding: str) -> None:
    told = full.data(post(full, encoding, pack(encoding, insertion(10_000))))
    assert told["inserted"] + told["updated"] == 3
    # Of two parts that were compressed each by itself, too; and in capital letters.
    body = insertion(11_000)
    both = pack(encoding, body[:40]) + pack(encoding, body[40:])
    assert full.data(post(full, encoding.upper(), both))["ids"] == [11_000, 11_001, 11_002]


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_body_that_is_not_what_it_says_is_refused(full: Stack, encoding: str) -> None:
    packed = pack(encoding, insertion(12_000))
    damaged = [packed[:-3], packed[: len(packed) // 2], b"no " + packed, packed + b"x", insertion(12_000)]
    for content in damaged:
        answer = post(full, encoding, content)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_encoding"), content
    assert full.data(full.post("/api/v1/vectors/get", {"collection": "encoded", "ids": [12_000]}))["missing"]


def test_another_encoding_is_refused_with_those_that_are_read(full: Stack) -> None:
    for encoding in ("br", "gzip, zstd", "deflate"):
        answer = post(full, encoding, insertion(1))
        assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_encoding")
        assert answer.headers["Accept-Encoding"] == "gzip, zstd"
        assert answer.headers["X-Request-ID"] == answer.json()["request_id"]
    assert post(full, "identity", insertion(1)).status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_bomb_is_refused_when_it_has_unpacked_to_the_limit(full: Stack, encoding: str) -> None:
    """A few KiB that unpack to a hundred times of what a body may have."""
    piece = pack(encoding, b" " * (64 * 1024 * 1024))
    answer = post(full, encoding, piece * 50)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
    assert answer.json()["error"]["details"] == {"limit_bytes": MAX_BODY_BYTES}
    # It took no memory that stays, and the next ones are served.
    assert post(full, encoding, pack(encoding, insertion(13_000))).status_code == 200


def test_a_body_of_empty_parts_is_refused(full: Stack) -> None:
    for encoding in ("gzip", "zstd"):
        answer = post(full, encoding, pack(encoding, b"") * (MAX_PARTS + 2))
        assert answer.json()["error"]["code"] == "invalid_encoding"


SCROLL: dict[str, Any] = {"collection": "encoded", "limit": 500}


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("zstd;q=0, *;q=0.3", "gzip"),
        ("*", "zstd"),
        ("identity", ""),
        ("br", ""),
        ("gzip;q=0", ""),
        ("gzip;q=0.2, identity;q=0.8", ""),
        ("gzip;q=what", ""),
        ("", ""),
    ],
)
def test_a_large_answer_is_compressed_as_the_client_likes_it_best(
    full: Stack, accepted: str, encoding: str
) -> None:
    plain = full.client.post("/api/v1/vectors/scroll", json=SCROLL, headers={"Accept-Encoding": "identity"})
    with full.client.stream(
        "POST", "/api/v1/vectors/scroll", json=SCROLL, headers={"Accept-Encoding": accepted}
    ) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers.get("Content-Encoding", "") == encoding
    body = unpack(encoding, raw) if encoding else raw
    assert json.loads(body)["data"] == plain.json()["data"]
    assert len(body) > MIN_BYTES
    if encoding:
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert len(raw) < len(body) / 2


def test_a_small_answer_is_not_compressed(full: Stack) -> None:
    headers = {"Accept-Encoding": "gzip, zstd"}
    answer = full.client.post("/api/v1/vectors/count", json={"collection": "encoded"}, headers=headers)
    assert "Content-Encoding" not in answer.headers
    assert int(answer.headers["Content-Length"]) < MIN_BYTES


def test_a_large_answer_to_get_varies_for_those_who_take_it_as_it_is(full: Stack) -> None:
    """A cache on the way must not give it to those who want it compressed."""
    answer = full.client.get("/openapi.json", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in answer.headers
    assert answer.headers["Vary"] == "Accept-Encoding"
    packed = full.client.get("/openapi.json", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.json() == answer.json()
    assert "X-Request-ID" in packed.headers
