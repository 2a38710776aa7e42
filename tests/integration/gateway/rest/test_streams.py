"""Points as lines of JSON: inserted while they come, and scrolled to the last one."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from hanax.core.errors import StorageFull
from hanax.gateway.insert_streams import MAX_STREAMS
from hanax.gateway.rest.lines import MAX_LINE_BYTES
from tests.integration.gateway.stack import Stack, running_stack
from tests.integration.waiting import wait_until

INSERT = "/api/v1/vectors/insert"
SCROLL = "/api/v1/vectors/scroll"
LINES = {"Content-Type": "application/x-ndjson"}


def point(id_: Any, **more: Any) -> dict[str, Any]:
    return {"id": id_, "vector": [1.0, 2.0, 3.0], **more}


def body(*lines: Any) -> bytes:
    return b"".join(line if isinstance(line, bytes) else orjson.dumps(line) + b"\n" for line in lines)


def told(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert "X-Request-ID" in answer.headers
    assert answer.headers["Server-Timing"].startswith("total;dur=")
    return [json.loads(line) for line in answer.text.splitlines()]


def send(stack: Stack, content: bytes | Iterable[bytes], **query: Any) -> list[dict[str, Any]]:
    return told(stack.client.post(INSERT, content=content, headers=LINES, params=query))


def count(stack: Stack, name: str) -> int:
    found: int = stack.data(stack.post("/api/v1/vectors/count", {"collection": name}))["count"]
    return found


_NUMBER = iter(range(1_000))


@pytest.fixture
def name(either: Stack) -> str:
    made = f"lines-{next(_NUMBER)}"
    either.create(made)
    return made


def test_points_are_stored_batch_by_batch(either: Stack, name: str) -> None:
    """The first line says where to, and each answer what is durable."""
    head = {"collection": name, "batch_points": 100}
    lines = send(either, body(head, *[point(n) for n in range(250)]))
    done = lines.pop()
    assert done == {
        "done": {
            "inserted": 250,
            "updated": 0,
            "skipped": 0,
            "truncated": 0,
            "split": 0,
            "queued": 0,
            "errors": 0,
            "lines": 251,
        }
    }
    assert sum(line["inserted"] for line in lines) == 250
    assert [line["errors"] for line in lines] == [[]] * len(lines)
    # Without a gap, from the line behind the first to the last.
    assert lines[0]["lines"][0] == 2
    assert lines[-1]["lines"][1] == 251
    for before, after in pairwise(lines):
        assert after["lines"][0] == before["lines"][1] + 1
    assert count(either, name) == 250


def test_the_query_may_say_where_to_and_how(either: Stack, name: str) -> None:
    send(either, body(point(1), point(2)), collection=name)
    *_, done = send(
        either, body(point(2), b"\n", b"  \n", point(3)), collection=name, mode="insert", batch_points=2
    )
    assert (done["done"]["inserted"], done["done"]["skipped"], done["done"]["lines"]) == (1, 1, 4)
    # Without a line feed at the end, and compressed.
    packed = gzip.compress(body(point(4)) + b'{"id": 5, "vector": [1, 2, 3]}')
    answer = either.client.post(
        INSERT, content=packed, headers={**LINES, "Content-Encoding": "gzip"}, params={"collection": name}
    )
    assert told(answer)[-1]["done"]["inserted"] == 2
    assert count(either, name) == 5


@pytest.fixture
def mine(stack: Stack) -> str:
    made = f"lines-{next(_NUMBER)}"
    stack.create(made)
    return made


BAD: list[tuple[Any, str, str]] = [
    (b"{no json\n", "invalid_json", "line 4 is not JSON"),
    (b"7\n", "invalid_argument", "line 4: expected an object"),
    (point(7, vector=[1, 2]), "dimension_mismatch", "line 4"),
    (point([]), "invalid_id", "line 4.id"),
    (point(7, metadata=5), "invalid_metadata", "line 4.metadata"),
    (point(7, colour="red"), "invalid_argument", "unknown key"),
    (b'{"id": 7, "vector": [NaN, 1, 2]}\n', "non_finite_vector", "line 4"),
    ({"id": 7, "text": "without a model"}, "failed_precondition", "line 4.text"),
]


@pytest.mark.parametrize(("bad", "code", "said"), BAD, ids=[str(n) for n in range(len(BAD))])
def test_a_line_that_is_wrong_is_named_and_the_others_are_stored(
    stack: Stack, mine: str, bad: Any, code: str, said: str
) -> None:
    lines = send(stack, body({"collection": mine}, point(1), point(2), bad, point(3)))
    (error,) = [error for line in lines[:-1] for error in line["errors"]]
    assert (error["line"], error["code"]) == (4, code)
    assert said in error["message"]
    assert (lines[-1]["done"]["inserted"], lines[-1]["done"]["errors"]) == (3, 1)
    assert count(stack, mine) == 3


@pytest.mark.parametrize(("bad", "code", "said"), BAD, ids=[str(n) for n in range(len(BAD))])
def test_or_it_ends_the_stream(stack: Stack, mine: str, bad: Any, code: str, said: str) -> None:
    head = {"collection": mine, "on_error": "stop"}
    *lines, last = send(stack, body(head, point(1), point(2), bad, point(3)))
    assert last["error"]["code"] == code
    assert said in last["error"]["message"]
    assert (last["stored"]["inserted"], last["stored"]["lines"]) == (2, 4)
    assert lines[-1]["lines"] == [2, 4]
    assert count(stack, mine) == 2


def test_every_line_that_is_wrong_is_named(either: Stack, name: str) -> None:
    rows = [point(n) if n % 3 else point(n, vector=[n]) for n in range(600)]
    lines = send(either, body({"collection": name}, *rows))
    errors = [error["line"] for line in lines[:-1] for error in line["errors"]]
    assert errors == [n + 2 for n in range(600) if n % 3 == 0]
    assert count(either, name) == 400


def test_of_a_point_that_comes_twice_the_later_one_stays(either: Stack, name: str) -> None:
    rows = [point(n % 5, metadata={"turn": n}) for n in range(23)]
    *_, done = send(either, body({"collection": name}, *rows))
    assert (done["done"]["inserted"], done["done"]["updated"], done["done"]["errors"]) == (5, 18, 0)
    found = either.data(either.post("/api/v1/vectors/get", {"collection": name, "ids": [0, 1, 2, 3, 4]}))
    assert [one["metadata"]["turn"] for one in found["vectors"]] == [20, 21, 22, 18, 19]


def test_a_point_of_another_version_is_named_and_its_neighbours_are_stored(either: Stack, name: str) -> None:
    either.insert(name, [point(n) for n in range(4)])
    rows = [point(n, if_version=9_999 if n == 2 else None) for n in range(40)]
    lines = send(either, body({"collection": name}, *rows))
    (error,) = [error for line in lines[:-1] for error in line["errors"]]
    assert (error["line"], error["code"], error["details"]["id"]) == (4, "version_conflict", 2)
    assert (lines[-1]["done"]["inserted"], lines[-1]["done"]["updated"]) == (36, 3)


def test_answers_come_while_the_client_still_sends(either: Stack, name: str) -> None:
    with socket.create_connection(("127.0.0.1", either.gateway.port), timeout=60) as connection:
        connection.sendall(
            b"POST /api/v1/vectors/insert?collection=%s HTTP/1.1\r\nHost: x\r\n"
            b"Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n" % name.encode()
        )
        file = connection.makefile("rb")

        def say(data: bytes) -> None:
            connection.sendall(b"%x\r\n%s\r\n" % (len(data), data))

        def hear() -> dict[str, Any]:
            while not (line := file.readline()).startswith(b"{"):
                assert line, "the connection was closed"
            found: dict[str, Any] = json.loads(line)
            return found

        say(body(point(1))[:9])
        say(body(point(1))[9:])
        assert hear()["lines"] == [1, 1]
        assert count(either, name) == 1
        say(body(point(2), point(3)))
        assert hear()["lines"] == [2, 3]
        say(b"")
        assert hear()["done"]["inserted"] == 3


def test_a_client_that_reads_nothing_before_it_has_sent_all_is_not_held_up(shards: Stack) -> None:
    """Lines of answers that it does not take are told as one, also where every line is wrong."""
    shards.create("unread", dimension=3)
    rows = 30_000

    def content() -> Iterator[bytes]:
        yield body({"collection": "unread", "batch_points": 5})
        for first in range(0, rows, 100):
            yield body(*[point(n) if n % 2 else {"id": n} for n in range(first, first + 100)])

    *lines, last = send(shards, content())
    assert (last["done"]["inserted"], last["done"]["errors"]) == (rows / 2, rows / 2)
    errors = sum(len(line["errors"]) + line.get("errors_left_out", 0) for line in lines)
    assert errors == rows / 2
    assert count(shards, "unread") == rows / 2


REFUSED: list[tuple[bytes, dict[str, Any], int, str]] = [
    (body({"collection": "nope"}, point(1)), {}, 404, "collection_not_found"),
    (body(point(1)), {}, 422, "invalid_argument"),
    (b"", {}, 422, "invalid_argument"),
    (body({"collection": "bad"}, point(1)), {"collection": "other"}, 422, "invalid_argument"),
    (body({"collection": "bad", "colour": 1}), {}, 422, "invalid_argument"),
    (body(point(1)), {"collection": "bad", "batch_points": "2001"}, 422, "invalid_argument"),
    (body(point(1)), {"collection": "bad", "batch_points": "many"}, 422, "invalid_argument"),
    (body(point(1)), {"collection": "bad", "mode": "merge"}, 422, "invalid_argument"),
    (body(b'{"id": "' + b"x" * (MAX_LINE_BYTES + 1)), {"collection": "bad"}, 422, "invalid_argument"),
]


@pytest.mark.parametrize(
    ("content", "query", "status", "code"), REFUSED, ids=[str(n) for n in range(len(REFUSED))]
)
def test_what_is_wrong_with_all_of_it_is_refused_as_ever(
    unwritten: Stack, content: bytes, query: dict[str, Any], status: int, code: str
) -> None:
    answer = unwritten.client.post(INSERT, content=content, headers=LINES, params=query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text


def test_so_many_streams_at_once(either: Stack, name: str) -> None:
    opened = []
    try:
        for number in range(MAX_STREAMS):
            connection = socket.create_connection(("127.0.0.1", either.gateway.port), timeout=60)
            opened.append(connection)
            connection.sendall(
                b"POST /api/v1/vectors/insert?collection=%s HTTP/1.1\r\nHost: x\r\n"
                b"Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n" % name.encode()
            )
            line = body(point(number))
            connection.sendall(b"%x\r\n%s\r\n" % (len(line), line))
            assert connection.recv(4_096).startswith(b"HTTP/1.1 200")
        refused = either.client.post(INSERT, content=body({"collection": name}, point(1)), headers=LINES)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "overloaded")
    finally:
        for connection in opened:
            connection.close()


def test_a_gateway_that_stops_says_what_is_decided(tmp_path: Path) -> None:
    with running_stack(tmp_path, drain_grace_s=30) as own:
        own.create("stopped")
        with socket.create_connection(("127.0.0.1", own.gateway.port), timeout=60) as connection:
            connection.sendall(
                b"POST /api/v1/vectors/insert?collection=stopped HTTP/1.1\r\nHost: x\r\n"
                b"Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            line = body(point(1))
            connection.sendall(b"%x\r\n%s\r\n" % (len(line), line))
            file = connection.makefile("rb")
            while not file.readline().startswith(b'{"lines":[1,1]'):
                pass
            own.gateway.process.terminate()
            while not (last := file.readline()).startswith(b"{"):
                assert last
            told = json.loads(last)
        assert (told["error"]["code"], told["stored"]["lines"]) == ("unavailable", 1)


def test_a_batch_that_fails_is_not_decided(tmp_path: Path) -> None:
    """Whoever goes on behind `lines` loses no point."""
    with running_stack(tmp_path) as own:
        own.create("failing", shards=1)
        with socket.create_connection(("127.0.0.1", own.gateway.port), timeout=60) as connection:
            connection.sendall(
                b"POST /api/v1/vectors/insert?collection=failing HTTP/1.1\r\nHost: x\r\n"
                b"Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            file = connection.makefile("rb")
            first, second = body(point(1)), body(point(2), point(3))
            connection.sendall(b"%x\r\n%s\r\n" % (len(first), first))
            while not file.readline().startswith(b'{"lines":[1,1]'):
                pass
            for node in own.nodes:
                node.faults.error, node.faults.failures_left = StorageFull("no space left"), 1_000
            connection.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(second), second))
            while not (last := file.readline()).startswith(b'{"error"'):
                assert last
        told = json.loads(last)
        assert (told["error"]["code"], told["stored"]["lines"]) == ("storage_full", 1)


@pytest.fixture
def scrolled(shards: Stack) -> str:
    name = f"lines-{next(_NUMBER)}"
    shards.create(name)
    for first in range(0, 1_500, 500):
        rows = [point(n, metadata={"n": n}) for n in range(first, first + 500)]
        shards.insert(name, rows)
    return name


def scroll(stack: Stack, **asked: Any) -> list[dict[str, Any]]:
    return told(stack.client.post(SCROLL, json=asked, headers={"Accept": "application/x-ndjson"}))


def test_all_points_are_scrolled_a_line_each(shards: Stack, scrolled: str) -> None:
    *records, last = scroll(shards, collection=scrolled)
    assert last == {"done": {"points": 1_500, "next_cursor": None}}
    assert sorted(record["id"] for record in records) == list(range(1_500))
    assert records[0].keys() >= {"id", "metadata", "collection", "created_at", "updated_at"}
    # As page by page.
    first = shards.data(shards.post(SCROLL, {"collection": scrolled, "limit": 40}))
    assert records[:40] == first["vectors"]


def test_or_as_many_as_are_wanted_and_on_from_there(shards: Stack, scrolled: str) -> None:
    order = {"field": "n", "direction": "desc"}
    *records, last = scroll(shards, collection=scrolled, limit=700, order_by=order, include_vectors=True)
    assert [record["metadata"]["n"] for record in records] == list(range(1_499, 799, -1))
    assert records[0]["embedding"] == [1.0, 2.0, 3.0]
    cursor = last["done"]["next_cursor"]
    *others, end = scroll(shards, collection=scrolled, order_by=order, cursor=cursor)
    assert [record["metadata"]["n"] for record in others] == list(range(799, -1, -1))
    assert end["done"] == {"points": 800, "next_cursor": None}
    few = {"field": "n", "operator": "lt", "value": 3}
    assert len(scroll(shards, collection=scrolled, filter=few)) == 4


def test_an_empty_collection_scrolls_to_its_end(either: Stack, name: str) -> None:
    assert scroll(either, collection=name) == [{"done": {"points": 0, "next_cursor": None}}]
    answer = either.client.post(
        SCROLL, json={"collection": "nope"}, headers={"Accept": "application/x-ndjson"}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "collection_not_found")


def test_a_client_that_does_not_read_its_lines_takes_no_place(tmp_path: Path) -> None:
    with running_stack(tmp_path, max_inflight=1) as own:
        own.create("unread", shards=1)
        # More than the buffers of a connection hold.
        for first in range(0, 800, 100):
            own.insert("unread", [point(n, metadata={"t": "x" * 20_000}) for n in range(first, first + 100)])
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.settimeout(60)
            connection.connect(("127.0.0.1", own.gateway.port))
            asked = orjson.dumps({"collection": "unread"})
            connection.sendall(
                b"POST /api/v1/vectors/scroll HTTP/1.1\r\nHost: x\r\nAccept: application/x-ndjson\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(asked), asked)
            )
            assert connection.recv(64).startswith(b"HTTP/1.1 200")

            def answered() -> bool:
                return own.post("/api/v1/vectors/count", {"collection": "unread"}).is_success

            wait_until("others are answered", answered)
            # Not because it was given up.
            read = 0
            while portion := connection.recv(1_000_000):
                read += len(portion)
                if portion.endswith(b"0\r\n\r\n"):
                    break
            assert read > 800 * 20_000
