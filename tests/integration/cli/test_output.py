"""What the commands print, on a real stack: the shapes that docs/cli.md tells, in JSON and in YAML."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
import typer
import yaml

import hanax
from hanax.cli.db.app import app as db
from hanax.cli.health.app import app as health
from hanax.cli.models.app import app as models
from hanax.cli.vector import app as vector
from tests.integration.cli.conftest import Command
from tests.integration.local_stack import LocalStack
from tests.integration.waiting import wait_until

# The first test waits for the stack.
pytestmark = pytest.mark.timeout(420)

DOCUMENT: Final = Path(__file__).parents[3] / "docs" / "cli.md"
PROGRAMS: Final = {"hana-x-db": db, "hana-x-health": health, "hana-x-models": models, "hana-x-vector": vector}
# The model of a stack without models.
MODEL: Final = "hash-384"


def documented() -> dict[str, Any]:
    blocks = re.findall(r"`(hana-x-[^`]+)`:\n\n```json\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    return {command: orjson.loads(text) for command, text in blocks}


def check_shape(told: Any, shape: Any, where: str) -> None:
    """null stands for anything that is not known; an empty object for any."""
    match shape, told:
        case (None, _) | (_, None):
            return
        case dict(), dict():
            if shape:
                assert list(told) == list(shape), where
            for name, value in shape.items():
                check_shape(told[name], value, f"{where}.{name}")
        case list(), list():
            for one in told:
                check_shape(one, shape[0], f"{where}[]")
        case bool(), bool():
            return
        case ((int() | float()), (int() | float())):
            return
        case _:
            assert type(told) is type(shape), f"{where}: {told!r}"


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What stands behind a command's name in this test."""
    folder = tmp_path_factory.mktemp("shapes")
    points = folder / "points.jsonl"
    points.write_text('{"id": 1, "vector": [1, 2]}\n{"id": 2, "vector": [1]}\n')
    return {
        "hana-x-db import": [str(points), "-c", "shapes-in", "--create", "--max-errors", "1"],
        "hana-x-db export": ["shapes", str(folder / "out.npy"), "--force"],
        "hana-x-models test": [MODEL],
        "hana-x-models benchmark": [MODEL, "--samples", "6", "--concurrency", "2"],
    }


@pytest.fixture(autouse=True, scope="module")
def shapes(stack: LocalStack) -> None:
    stack.create("shapes")
    stack.insert("shapes", 3)


@pytest.mark.parametrize("name", list(documented()))
@pytest.mark.parametrize("form", ["json", "yaml"])
def test_documents_have_the_documented_shape(
    command: Command, words: dict[str, list[str]], name: str, form: str
) -> None:
    program, *subcommand = name.split()
    done = command(PROGRAMS[program], *subcommand, *words.get(name, []), "--format", form)
    assert done.code == (1 if name == "hana-x-db import" else 0), done
    told = orjson.loads(done.out) if form == "json" else yaml.safe_load(done.out)
    check_shape(told, documented()[name], name)


def test_every_command_that_shows_something_takes_the_three_formats(command: Command) -> None:
    for program, app in PROGRAMS.items():
        for words in _commands(app):
            told = command(app, *words, "--help").out
            quiet = words[-1] in ("up", "down", "logs", "demo", "delete")
            assert quiet or "--format" in told, f"{program} {' '.join(words)}"


def _commands(app: typer.Typer) -> Iterator[list[str]]:
    for one in app.registered_commands:
        assert one.callback is not None
        yield [one.name or one.callback.__name__]
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from ([str(group.name), *rest] for rest in _commands(group.typer_instance))


class TestCollections:
    def test_created_described_listed_and_deleted(self, command: Command) -> None:
        words = (
            "--dimension",
            "3",
            "--metric",
            "dot",
            "--index",
            '{"type": "hnsw", "m": 24}',
            "--shards",
            "2",
        )
        made = command(db, "collections", "create", "mine", *words, "--format", "json").json
        assert (made["metric"], made["index"]["m"], made["shards"]) == ("dot", 24, 2)
        again = command(db, "collections", "create", "mine", *words)
        assert (again.code, "exists already" in again.err) == (1, True)
        assert command(db, "collections", "create", "mine", *words, "--if-missing").code == 0
        assert "mine" in command(db, "collections", "list").out
        unasked = command(db, "collections", "delete", "mine")
        assert (unasked.code, "--yes" in unasked.err) == (2, True)
        assert command(db, "collections", "delete", "mine", "--yes").code == 0
        assert command(db, "collections", "delete", "mine", "--yes").code == 4
        assert command(db, "collections", "delete", "mine", "--yes", "--if-exists").code == 0
        assert command(db, "collections", "describe", "mine").code == 4

    def test_a_model_tells_the_dimension(self, command: Command) -> None:
        made = command(db, "collections", "create", "texts", "--model", MODEL, "--format", "json").json
        assert (made["dimension"], made["embedding_model"]) == (384, MODEL)
        assert command(db, "collections", "create", "other", "--model", "nobody").code == 2

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["Bad Name", "--dimension", "3"], "name: "),
            (["a", "--dimension", "3", "--metric", "cosin"], "metric: "),
            (["a", "--dimension", "3", "--index", "{"], "--index: "),
            (["a"], "--dimension"),
        ],
    )
    def test_what_can_not_be_made(self, command: Command, words: list[str], said: str) -> None:
        refused = command(db, "collections", "create", *words)
        assert (refused.code, refused.out, said in refused.err) == (2, "", True)


class TestQueries:
    def test_by_vector_by_point_and_all(self, command: Command) -> None:
        by_vector = command(
            db, "query", "shapes", "--vector", "[1, 2]", "--limit", "1", "--format", "json"
        ).json
        assert [one["id"] for one in by_vector] == [2]
        assert 0.99 < by_vector[0]["score"] <= 1.001
        like = command(db, "query", "shapes", "--like", "2", "-n", "1", "--vectors", "--format", "json").json
        assert (like[0]["id"], like[0]["vector"]) == (1, pytest.approx([1.0, 1.0]))
        everything = command(db, "query", "shapes", "--format", "json").json
        assert len(everything) == 3
        assert "score" not in everything[0]

    @pytest.mark.parametrize(
        ("words", "code", "said"),
        [
            (["shapes", "--vector", "[1"], 2, "--vector: expected a JSON list"),
            (["shapes", "--vector", "[1]"], 2, "takes 2 numbers, got 1"),
            (["shapes", "--vector", "@/no/file"], 2, "can't be read"),
            (["shapes", "--filter", "{"], 2, "--filter: expected JSON"),
            (["shapes", "text", "--like", "1"], 2, "expected one of"),
            (["shapes", "--like", "77"], 4, "77"),
            (["shapes", "--exact"], 2, "--exact"),
            (["nobody"], 4, "nobody"),
        ],
    )
    def test_what_can_not_be_asked(self, command: Command, words: list[str], code: int, said: str) -> None:
        refused = command(db, "query", *words)
        assert (refused.code, refused.out, said in refused.err) == (code, "", True), refused

    def test_texts_are_embedded(self, command: Command, tmp_path: Path) -> None:
        command(db, "collections", "create", "told", "--model", MODEL)
        rows = tmp_path / "t.jsonl"
        rows.write_text('{"id": "a", "text": "red apples"}\n{"id": "b", "text": "blue whales"}\n')
        assert command(db, "import", str(rows), "-c", "told").code == 0
        found = command(db, "query", "told", "red apples", "-n", "1", "--format", "json").json
        assert (found[0]["id"], found[0]["metadata"]) == ("a", {"text": "red apples"})


def test_a_shard_that_hangs_is_found(command: Command, stack: LocalStack) -> None:
    pid = stack.pids()["shard-1"]
    os.kill(pid, signal.SIGSTOP)
    try:

        def found() -> bool:
            ended = command(health, "check", "--service", "shard-1", "--format", "json")
            return ended.code == 1 and "unhealthy" in {one["status"] for one in ended.json["checks"]}

        wait_until("shard-1 is unhealthy", found)
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until("it is well again", lambda: command(health, "check").code == 0)


def test_versions_are_those_of_the_processes(command: Command) -> None:
    rows = command(vector, "version", "--format", "json").json
    assert [row["component"] for row in rows[:2]] == ["client", "gateway"]
    assert {row["component"] for row in rows} >= {"embedder", "shard-0", "shard-1", "batch-processor"}
    assert {row["version"] for row in rows} == {hanax.__version__}
    assert command(vector, "version", "--client").out == f"hana-x-vector {hanax.__version__}\n"


def test_models_by_type(command: Command) -> None:
    def names(kind: str) -> list[str]:
        listed = command(models, "list", "--type", kind, "--format", "json").json
        return [one["model"] for one in listed]

    assert names("all") == names("local") == names("real_time") == [MODEL]
    assert names("external") == names("bulk_only") == []
    for words in (("test", "nobody"), ("benchmark", "nobody")):
        refused = command(models, *words)
        assert (refused.code, f"there is: {MODEL}" in refused.err) == (4, True)


def test_the_shell_completes_names(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from hanax.cli.names import collection_names, service_names

    class Context:
        params: Final[dict[str, Any]] = {}

    assert "shapes" in collection_names(Context(), "sha")  # type: ignore[arg-type]
    assert "shard-0" in service_names("sh")
    monkeypatch.setenv("HANAX_API_URL", "http://127.0.0.1:9")
    assert collection_names(Context(), "") == []  # type: ignore[arg-type]


def test_init_may_be_repeated(command: Command) -> None:
    told = command(db, "init", "--format", "json").json
    assert (told["changed"], told["revision_before"]) == (False, told["revision"])
    away = command(db, "init", "--database", "postgresql://me:secret@127.0.0.1:9/none")
    assert away.code == 5
    assert "secret" not in away.err
