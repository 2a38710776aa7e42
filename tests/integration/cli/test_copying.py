"""Collections of other databases, copied with ids, metadata and vectors."""

from __future__ import annotations

import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from hanax.cli.db.app import app
from tests.databases import PostgresqlServer
from tests.integration.cli.conftest import Command
from tests.integration.cli.test_files import by_id, lines
from tests.integration.waiting import wait_until
from tests.qdrant_double import QdrantDouble

# The first test waits for the stack.
pytestmark = pytest.mark.timeout(420)

# More than two pages, and no multiple of one.
COUNT = 700
_START_S = 120.0


def vectors(dimension: int, count: int = COUNT) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(7).standard_normal((count, dimension), "f4")


def copied(command: Command, collection: str) -> dict[str, Any]:
    return by_id(lines(command(app, "export", collection, "-").out))


class TestQdrant:
    def test_a_collection_is_copied_page_by_page(self, command: Command) -> None:
        rows = vectors(4)
        points = [
            {
                "id": number if number % 2 else str(uuid.UUID(int=number)),
                "vector": rows[number].tolist(),
                "payload": {"city": {"name": "Zürich"}, "n": number} if number % 3 else None,
            }
            for number in range(COUNT)
        ]
        with QdrantDouble("cities", {"size": 4, "distance": "Euclid"}, points) as qdrant:
            words = ("--from", "qdrant", "--source-collection", "cities", "-c", "from-qdrant", "--create")
            done = command(app, "import", qdrant.url, *words, "--format", "json")
        assert done.code == 0, done.err
        told = done.json
        assert (told["inserted"], told["source_count"], told["target_count"]) == (COUNT, COUNT, COUNT)
        assert sum(qdrant.pages) == COUNT
        assert max(qdrant.pages) < COUNT / 2, "bounded memory"
        found = copied(command, "from-qdrant")
        for point in points:
            expected = {"id": point["id"], "vector": point["vector"]}
            if point["payload"]:
                expected["metadata"] = point["payload"]
            assert found[repr(point["id"])] == expected
        assert (
            command(app, "collections", "describe", "from-qdrant", "--format", "json").json["metric"]
            == "euclidean"
        )

    def test_of_several_vectors_one_is_named(self, command: Command) -> None:
        both = {"image": {"size": 2, "distance": "Dot"}, "title": {"size": 3, "distance": "Cosine"}}
        points = [{"id": 1, "vector": {"image": [1.0, 2.0], "title": [1.0, 0.0, 0.0]}, "payload": {}}]
        with QdrantDouble("named", both, points) as qdrant:
            words = ("import", qdrant.url, "--from", "qdrant", "--source-collection", "named", "-c", "titles")
            unnamed = command(app, *words, "--create")
            assert (unnamed.code, "it has: image, title" in unnamed.err) == (2, True)
            assert command(app, *words, "--create", "--source-vector", "title").code == 0
        assert copied(command, "titles")["1"]["vector"] == [1.0, 0.0, 0.0]

    def test_refusals_are_told(self, command: Command, tmp_path: Path) -> None:
        key = tmp_path / "key"
        key.write_text("s3cret\n")
        with QdrantDouble("locked", {"size": 2, "distance": "Dot"}, []) as qdrant:
            qdrant.key = "s3cret"
            words = ("import", qdrant.url, "--from", "qdrant", "-c", "locked-copy", "--create")
            without = command(app, *words, "--source-collection", "locked")
            assert (without.code, "--source-key-file" in without.err) == (6, True)
            other = command(app, *words, "--source-collection", "nobody", "--source-key-file", str(key))
            assert (other.code, "there is no collection 'nobody'" in other.err) == (4, True)
            assert (
                command(app, *words, "--source-collection", "locked", "--source-key-file", str(key)).code == 0
            )

    def test_a_copy_that_broke_off_goes_on(self, command: Command) -> None:
        points = [{"id": number, "vector": [1.0, float(number)], "payload": None} for number in range(COUNT)]
        with QdrantDouble("broken", {"size": 2, "distance": "Dot"}, points) as qdrant:
            words = (
                "import",
                qdrant.url,
                "--from",
                "qdrant",
                "--source-collection",
                "broken",
                "-c",
                "mended",
            )
            qdrant.fails_after = 2
            stopped = command(app, *words, "--create", "--batch-size", "100")
            assert stopped.code == 5
            assert "Qdrant" in stopped.err
            assert "500" in stopped.err
            skip = stopped.err.rstrip().rpartition("--skip ")[2]
            assert int(skip) % 100 == 0
            qdrant.fails_after = None
            told = command(app, *words, "--skip", skip, "--format", "json").json
        assert (told["source_count"], told["target_count"]) == (COUNT, COUNT)


@pytest.fixture(scope="module")
def chroma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("chroma")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    program = Path(sys.executable).with_name("chroma")
    command = [str(program), "run", "--path", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            return httpx.get(f"{url}/api/v2/heartbeat", trust_env=False).is_success
        except httpx.TransportError:
            return False

    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            wait_until("Chroma answers", answers, _START_S)
            yield url
        finally:
            process.terminate()


class TestChroma:
    def test_a_collection_is_copied(self, command: Command, chroma: str) -> None:
        rows = vectors(6)
        root = f"{chroma}/api/v2/tenants/default_tenant/databases/default_database/collections"
        with httpx.Client(trust_env=False, timeout=60) as client:
            configuration = {"hnsw": {"space": "ip"}}
            made = client.post(
                root, json={"name": "notes", "configuration": configuration}
            ).raise_for_status()
            for begin in range(0, COUNT, 100):
                part = range(begin, begin + 100)
                body = {
                    "ids": [f"n{number}" for number in part],
                    "embeddings": [rows[number].tolist() for number in part],
                    "documents": [f"Note {number}" if number % 2 else None for number in part],
                    "metadatas": [{"n": number, "ok": True} if number % 5 else None for number in part],
                }
                client.post(f"{root}/{made.json()['id']}/add", json=body).raise_for_status()
        words = ("--from", "chroma", "--source-collection", "notes", "-c", "from-chroma", "--create")
        done = command(app, "import", chroma, *words, "--format", "json")
        assert done.code == 0, done.err
        told = done.json
        assert (told["inserted"], told["source_count"], told["target_count"]) == (COUNT, COUNT, COUNT)
        described = command(app, "collections", "describe", "from-chroma", "--format", "json").json
        assert (described["metric"], described["dimension"]) == ("dot", 6)
        found = copied(command, "from-chroma")
        for number in range(COUNT):
            metadata: dict[str, Any] = {"n": number, "ok": True} if number % 5 else {}
            if number % 2:
                metadata["text"] = f"Note {number}"
            expected = {"id": f"n{number}", "vector": rows[number].tolist()}
            assert found[f"'n{number}'"] == (expected | {"metadata": metadata} if metadata else expected)
        again = command(app, "import", chroma, *words, "--skip", "650", "--format", "json").json
        assert (again["rows"], again["updated"]) == (50, 50)

    def test_a_collection_that_is_not_there(self, command: Command, chroma: str) -> None:
        done = command(app, "import", chroma, "--from", "chroma", "--source-collection", "nobody", "-c", "x")
        assert (done.code, "there is no collection 'nobody'" in done.err) == (4, True)


@pytest.fixture(scope="module")
def database(postgresql: PostgresqlServer) -> Iterator[str]:
    url = postgresql.create()
    _execute(postgresql, url, "CREATE EXTENSION vector; CREATE SCHEMA shop")
    rows = vectors(3)
    values = ", ".join(
        f"({number}, '{rows[number].tolist()}', 'Item {number}', {number / 4}, '2031-01-02T03:04:05Z', "
        f'\'{{"colour": "red", "sizes": [1, 2]}}\', \'\\x00\')'
        for number in range(COUNT)
    )
    statements = f"""
        CREATE TABLE shop."Items" (id bigint PRIMARY KEY, emb vector(3), title text, price numeric,
                                   added timestamptz, metadata jsonb, raw bytea);
        INSERT INTO shop."Items" VALUES {values};
        INSERT INTO shop."Items" VALUES (100000, NULL, 'without a vector');
        CREATE INDEX ON shop."Items" USING hnsw (emb vector_cosine_ops);
        CREATE TABLE halves (key uuid PRIMARY KEY, emb halfvec(2));
        INSERT INTO halves VALUES ('00000000-0000-0000-0000-000000000007', '[0.5, 2]');
        CREATE TABLE keyless (emb vector(2));
    """
    _execute(postgresql, url, statements)
    yield url
    postgresql.drop(url)


def _execute(server: PostgresqlServer, url: str, statements: str) -> None:
    psql = [str(server.programs / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", url]
    subprocess.run(psql, input=statements.encode(), check=True, timeout=_START_S)


class TestPgvector:
    def test_a_table_is_copied(self, command: Command, database: str) -> None:
        words = ("--from", "pgvector", "--source-collection", "shop.Items", "-c", "from-pg", "--create")
        bytes_too = command(app, "import", database, *words)
        assert (bytes_too.code, "--leave-out raw" in bytes_too.err) == (1, True)
        done = command(app, "import", database, *words, "--leave-out", "raw", "--format", "json")
        assert done.code == 0, done.err
        told = done.json
        assert (told["inserted"], told["source_count"], told["target_count"]) == (COUNT, COUNT, COUNT)
        assert "postgres@" not in told["source"], "who one is there is nobody's business"
        found, rows = copied(command, "from-pg"), vectors(3)
        for number in range(COUNT):
            metadata = {
                "title": f"Item {number}",
                "price": number / 4,
                "added": "2031-01-02T03:04:05+00:00",
                "colour": "red",
                "sizes": [1, 2],
            }
            expected = {"id": number, "vector": rows[number].tolist(), "metadata": metadata}
            assert found[str(number)] == expected
        described = command(app, "collections", "describe", "from-pg", "--format", "json").json
        assert (described["metric"], described["dimension"]) == ("cosine", 3)

    def test_halves_and_uuids(self, command: Command, database: str) -> None:
        words = ("--from", "pgvector", "--source-collection", "halves", "-c", "halves", "--create")
        assert command(app, "import", database, *words).code == 0
        [found] = copied(command, "halves").values()
        assert found == {"id": "00000000-0000-0000-0000-000000000007", "vector": [0.5, 2.0]}

    @pytest.mark.parametrize(
        ("table", "code", "said"),
        [
            ("keyless", 2, "has no primary key"),
            ("nobody", 4, "there is no table 'nobody'"),
            ("a b;c", 4, "no table"),
        ],
    )
    def test_tables_that_can_not_be_copied(
        self, command: Command, database: str, table: str, code: int, said: str
    ) -> None:
        words = ("--from", "pgvector", "--source-collection", table, "-c", "none", "--create")
        done = command(app, "import", database, *words)
        assert (done.code, said in done.err) == (code, True), done.err
