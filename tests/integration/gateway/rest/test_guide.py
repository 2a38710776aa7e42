"""The commands of docs/rest.md do what it says."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.integration.gateway.stack import Stack

GUIDE = Path(__file__).parents[4] / "docs" / "rest.md"


@pytest.fixture(scope="module")
def blocks() -> list[tuple[str, str]]:
    """Language and text of each, in order."""
    return re.findall(r"```(sh|json)\n(.*?)```", GUIDE.read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def docs(shards: Stack) -> Stack:
    shards.create("docs")
    shards.insert("docs", [{"id": 100, "vector": [1, 2, 3]}])
    return shards


def run(stack: Stack, blocks: list[tuple[str, str]], said: str, folder: Path) -> list[str]:
    """Lines of what the command with `said` in it answers."""
    (command,) = [text for kind, text in blocks if kind == "sh" and said in text]
    command = command.replace("localhost:8000", f"127.0.0.1:{stack.gateway.port}")
    done = subprocess.run(["bash", "-ec", command], cwd=folder, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().splitlines()


def written(blocks: list[tuple[str, str]], said: str) -> str:
    (text,) = [text for kind, text in blocks if kind == "json" and said in text]
    return text


def test_problems(docs: Stack, blocks: list[tuple[str, str]], tmp_path: Path) -> None:
    (line,) = run(docs, blocks, "problem+json", tmp_path)
    shown = json.loads(written(blocks, "urn:hana-x-vector:error"))
    found = json.loads(line)
    assert found | {"request_id": ""} == shown | {"request_id": ""}


def test_compressed_bodies(docs: Stack, blocks: list[tuple[str, str]], tmp_path: Path) -> None:
    body = {"collection": "docs", "vectors": [{"id": 5, "vector": [1, 2, 3]}]}
    (tmp_path / "points.json").write_text(json.dumps(body))
    (line,) = run(docs, blocks, "gzip -c points.json", tmp_path)
    assert json.loads(line)["data"]["ids"] == [5]


def test_streams(docs: Stack, blocks: list[tuple[str, str]], tmp_path: Path) -> None:
    lines = run(docs, blocks, "Content-Type: application/x-ndjson", tmp_path)
    assert lines == written(blocks, '{"lines"').splitlines()
    *records, last = map(json.loads, run(docs, blocks, "Accept: application/x-ndjson", tmp_path))
    assert {1, 100} <= {record["id"] for record in records}
    assert last == {"done": {"points": len(records), "next_cursor": None}}


def test_keys(docs: Stack, blocks: list[tuple[str, str]], tmp_path: Path) -> None:
    first, replayed, second = run(docs, blocks, "Idempotency-Key", tmp_path)
    assert replayed.lower() == "idempotent-replayed: true"
    assert json.loads(first) == json.loads(second)


def test_tags(docs: Stack, blocks: list[tuple[str, str]], tmp_path: Path) -> None:
    status, changed = run(docs, blocks, "If-None-Match", tmp_path)
    assert status.startswith("HTTP/1.1 304")
    assert json.loads(changed)["data"]["target_recall"] == 0.99
