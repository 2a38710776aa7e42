"""Jobs that are refused: by name, before anything is kept, and nothing is left behind."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.integration.gateway.jobs.conftest import JOBS, UPLOAD_BYTES, JobStack
from tests.integration.gateway.stack import running_stack
from tests.integration.waiting import wait_until

INSERT = {"kind": "bulk_insert", "collection": "docs"}
EMBED = {"kind": "bulk_embed", "model": "tiny"}
ITEM = {"vector": [1, 2, 3]}
LINE = b'{"vector":[1,2,3]}\n'


@pytest.fixture
def unchanged(job_stack: JobStack) -> Iterator[JobStack]:
    """Fails when a job was taken, or a file was left."""
    yield job_stack
    assert job_stack.jobs() == []
    assert job_stack.files == []


@pytest.mark.parametrize(
    ("spec", "status", "code", "words"),
    [
        ([], 422, "invalid_argument", "expected an object, got an empty list"),
        ({}, 422, "invalid_argument", "kind: expected one of bulk_embed, bulk_insert, reembed"),
        ({"kind": "bulk_delete"}, 422, "invalid_argument", "'bulk_delete'"),
        ({"kind": 7}, 422, "invalid_argument", "the number 7"),
        ({"kind": "bulk_insert", "items": [ITEM]}, 422, "invalid_argument", "collection"),
        (INSERT, 422, "invalid_argument", "items: expected 1 or more"),
        ({**INSERT, "items": []}, 422, "invalid_argument", "at least one"),
        ({**INSERT, "items": {}}, 422, "invalid_argument", "items: expected a list"),
        ({**INSERT, "items": [ITEM] * 2_001}, 422, "invalid_argument", "upload a file"),
        ({**INSERT, "items": [ITEM, 7]}, 422, "invalid_argument", "items[1]: expected an object"),
        ({**INSERT, "items": [ITEM], "format": "jsonl"}, 422, "invalid_argument", "format"),
        ({**INSERT, "items": [ITEM], "colection": "x"}, 422, "invalid_argument", "colection"),
        ({**INSERT, "items": [ITEM], "priority": 10}, 422, "invalid_argument", "priority"),
        ({**INSERT, "items": [ITEM], "batch_size": 0}, 422, "invalid_argument", "batch_size"),
        ({**INSERT, "items": [ITEM], "mode": "replace"}, 422, "invalid_argument", "mode"),
        ({**INSERT, "items": [ITEM], "vector_field": "a\x00b"}, 422, "invalid_argument", "vector_field"),
        ({**INSERT, "items": [ITEM], "collection": "none"}, 404, "collection_not_found", "'none'"),
        ({**EMBED, "items": [{}], "collection": "none"}, 404, "collection_not_found", "'none'"),
        ({**EMBED, "items": [{}], "model": "none"}, 404, "model_not_found", "'none'"),
        ({**EMBED, "items": [{}], "dimensions": 4}, 422, "invalid_argument", "dimensions"),
        (
            {**EMBED, "items": [{}], "collection": "docs", "normalize": False},
            422,
            "invalid_argument",
            "normalize",
        ),
        ({**EMBED, "items": [{}], "rows": "points"}, 422, "invalid_argument", "points need a collection"),
        ({**EMBED, "items": [{}], "collection": "docs", "model": "wide"}, 409, "model_conflict", "8 numbers"),
        ({**EMBED, "items": [{}], "collection": "texts", "model": "wide"}, 409, "model_conflict", "'tiny'"),
        (
            {"kind": "bulk_embed", "items": [{}], "collection": "docs"},
            409,
            "failed_precondition",
            "no embedding model",
        ),
        (
            {"kind": "reembed", "collection": "none", "target": "new", "model": "wide"},
            404,
            "collection_not_found",
            "'none'",
        ),
        (
            {"kind": "reembed", "collection": "texts", "target": "docs", "model": "wide"},
            409,
            "collection_exists",
            "target",
        ),
        (
            {"kind": "reembed", "collection": "texts", "target": "papers", "model": "wide"},
            409,
            "collection_exists",
            "alias",
        ),
        (
            {"kind": "reembed", "collection": "texts", "target": "new", "model": "wide", "alias": "docs"},
            409,
            "collection_exists",
            "alias",
        ),
        (
            {"kind": "reembed", "collection": "texts", "target": "new", "model": "none"},
            404,
            "model_not_found",
            "'none'",
        ),
        (
            {"kind": "reembed", "collection": "texts", "target": "New!", "model": "wide"},
            422,
            "invalid_argument",
            "target",
        ),
        (
            {"kind": "reembed", "collection": "texts", "target": "new", "model": "wide", "items": [{}]},
            422,
            "invalid_argument",
            "items",
        ),
    ],
)
def test_a_job_that_can_not_be_done_is_refused(
    unchanged: JobStack, spec: object, status: int, code: str, words: str
) -> None:
    answer = unchanged.stack.post(JOBS, spec)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code), error
    assert words in error["message"]


@pytest.mark.parametrize(
    ("spec", "name", "data", "code", "words"),
    [
        (INSERT, "rows.txt", LINE, "invalid_upload", "expected one of jsonl, csv"),
        (INSERT, "", LINE, "invalid_upload", "format"),
        (EMBED, "rows.npy", b"\x93NUMPY\x01\x00", "invalid_upload", "bulk_insert"),
        ({**INSERT, "format": "xml"}, "rows.xml", LINE, "invalid_argument", "format"),
        ({**INSERT, "items": [ITEM]}, "rows.jsonl", LINE, "invalid_argument", "items"),
        ({**INSERT, "collection": "none"}, "rows.jsonl", LINE, "collection_not_found", "'none'"),
        (
            {"kind": "reembed", "collection": "texts", "target": "new", "model": "wide"},
            "rows.jsonl",
            LINE,
            "invalid_argument",
            "no file",
        ),
    ],
)
def test_an_upload_that_does_not_go_with_its_job_is_refused(
    unchanged: JobStack, spec: dict[str, Any], name: str, data: bytes, code: str, words: str
) -> None:
    error = unchanged.upload(spec, name, data).json()["error"]
    assert (error["code"], words in error["message"]) == (code, True), error


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("rows.jsonl", b"", "empty"),
        ("rows.jsonl", b"PAR1" + b"x" * 8_000, "a Parquet file"),
        ("rows.csv", b"\x93NUMPY" + b"x" * 100, "a .npy file"),
        ("rows.csv", b"\x1f\x8b" + b"x" * 100, "gzip"),
        ("rows.parquet", LINE * 1_000, "parquet"),
        ("rows.npy", LINE, "npy"),
        ("rows.fvecs", LINE * 100, "fvecs"),
    ],
)
def test_a_file_that_begins_like_another_format_is_refused(
    unchanged: JobStack, name: str, data: bytes, words: str
) -> None:
    answer = unchanged.upload(INSERT, name, data)
    error = answer.json()["error"]
    assert (answer.status_code, words in error["message"]) == (422, True), error


def test_a_file_past_the_limit_is_refused_when_it_is_declared_and_when_it_is_not(unchanged: JobStack) -> None:
    data = LINE * (2 * UPLOAD_BYTES // len(LINE) + 60_000)
    declared = unchanged.upload(INSERT, "rows.jsonl", data)
    assert (declared.status_code, declared.json()["error"]["code"]) == (413, "body_too_large")

    def chunks() -> Iterator[bytes]:
        yield from (form("job", orjson.dumps(INSERT)), form_head("file", "rows.jsonl"))
        for at in range(0, len(data), 65_536):
            yield data[at : at + 65_536]
        yield b"\r\n--b--\r\n"

    told = unchanged.stack.client.post(JOBS, content=chunks(), headers={"content-type": FORM})
    error = told.json()["error"]
    assert (told.status_code, error["code"]) == (413, "body_too_large")
    assert error["details"]["limit_bytes"] == UPLOAD_BYTES
    # What is no upload keeps its own limit.
    assert unchanged.stack.client.post(JOBS, content=b" " * (33 << 20)).status_code == 413


FORM = "multipart/form-data; boundary=b"


def form(name: str, data: bytes) -> bytes:
    return form_head(name) + data + b"\r\n"


def form_head(name: str, file_name: str | None = None) -> bytes:
    file = f'; filename="{file_name}"' if file_name is not None else ""
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode()


_JOB = form("job", orjson.dumps(INSERT))
_FILE = form_head("file", "rows.jsonl") + LINE + b"\r\n"
_END = b"--b--\r\n"


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("multipart/form-data", _JOB + _FILE + _END, "boundary"),
        (FORM, b"", "job is missing"),
        (FORM, b"nothing of the kind", "multipart/form-data"),
        (FORM, _END, "job is missing"),
        (FORM, _FILE + _JOB + _END, "in this order"),
        (FORM, _JOB + _END, "file is missing"),
        (FORM, _JOB + _FILE, "last boundary"),
        (FORM, _JOB + _FILE[:-3], "last boundary"),
        (FORM, _JOB + _FILE + form("more", b"x") + _END, "last one"),
        (FORM, b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n" + _END, "Content-Disposition"),
        (FORM, form("job", b"{") + _FILE + _END, "not JSON"),
        (FORM, form("job", b"[" * 70_000) + _FILE + _END, "65536 bytes"),
    ],
)
def test_a_form_that_is_none_is_refused(unchanged: JobStack, kind: str, body: bytes, words: str) -> None:
    answer = unchanged.stack.client.post(JOBS, content=body, headers={"content-type": kind})
    assert answer.status_code in (400, 413, 422)
    assert words in answer.json()["error"]["message"]


def test_a_client_that_goes_away_leaves_nothing(unchanged: JobStack) -> None:
    with closing(socket.create_connection(("127.0.0.1", unchanged.stack.gateway.port))) as client:
        head = f"POST {JOBS} HTTP/1.1\r\nhost: g\r\ncontent-type: {FORM}\r\ncontent-length: 900000\r\n\r\n"
        client.sendall(head.encode() + _JOB + form_head("file", "rows.jsonl") + LINE * 10_000)
        wait_until("a part is kept", lambda: unchanged.files)
    wait_until("it is removed", lambda: not unchanged.files)


def test_without_a_database_jobs_are_refused_and_the_rest_works(tmp_path: Path) -> None:
    with running_stack(tmp_path) as stack:
        stack.create("docs")
        assert stack.insert("docs", [{"id": 1, "vector": [1, 2, 3]}])["inserted"] == 1
        for answer in (
            stack.post(JOBS, {**INSERT, "items": [ITEM]}),
            stack.client.get(JOBS),
            stack.client.get(f"{JOBS}/x"),
            stack.client.get("/api/v1/queue"),
            stack.client.delete(f"{JOBS}/x"),
            stack.client.post(JOBS, data={"job": orjson.dumps(INSERT)}, files={"file": ("a.jsonl", LINE)}),
        ):
            error = answer.json()["error"]
            assert (answer.status_code, error["code"]) == (409, "database_not_configured")
            assert "HANAX_DATABASE_URL" in error["message"]
