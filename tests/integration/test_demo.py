"""The demo, on a part of its corpus so that it takes seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import cache
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from hanax.cli.connection import Access
from hanax.cli.demo.corpus import Document, build_corpus, fingerprint_of
from hanax.cli.demo.indexing import Target, index_corpus
from hanax.cli.demo.questions import QUESTIONS
from hanax.cli.demo.run import run_demo
from hanax.core.errors import FailedPrecondition
from hanax.core.settings import LocalSettings
from hxp_vector_client import AsyncVectorClient
from tests.integration.local_stack import LocalStack

# Longer than a shard takes to be restarted on a busy machine.
PATIENCE_S = 60.0

# Where the best answers are, and what is near to them.
MODULES = {
    *("bisect", "copy", "difflib", "functools", "hashlib", "itertools", "os.path", "shutil", "tarfile"),
    *("time", "zlib"),
}


@cache
def whole_corpus() -> list[Document]:
    """Made once: the sources of the whole library are parsed for it."""
    return build_corpus()


def corpus_of(modules: Collection[str]) -> list[Document]:
    return [document for document in whole_corpus() if document.module in modules]


@pytest.mark.timeout(300)  # a model on a busy machine
def test_questions_are_answered_by_meaning(tmp_path_factory: pytest.TempPathFactory) -> None:
    stack = LocalStack(tmp_path_factory.mktemp("demo"), HANAX_EMBEDDER_BACKEND="torch")
    try:
        stack.up()
        status, first = demonstrated(stack, MODULES)
        assert status == 0, first
        assert "indexed in" in first
        for question in QUESTIONS:
            assert f"{question.text}?" in first
            assert any(best in first for best in question.best)
        assert "hashlib.py:" in first
        assert f"{stack.state().api_url}/docs" in first

        status, second = demonstrated(stack, MODULES)
        assert status == 0, second
        assert "all indexed by an earlier run" in second
        assert _answers(second) == _answers(first)

        status, third = demonstrated(stack, MODULES - {"shutil"})
        assert status == 1, third
        assert "Not answered: how do I copy a folder with everything in it?" in third
        assert "shutil.copytree is not among the first 10" in third
        assert "checksum? (" not in third

        assert stack.run("status").returncode == 0, "a stack that ran before still runs"
    finally:
        stack.end()


def test_a_stack_that_it_starts_it_stops(tmp_path_factory: pytest.TempPathFactory) -> None:
    stack = LocalStack(tmp_path_factory.mktemp("demo"))
    try:
        done = stack.run("demo")
        assert done.returncode == 1
        assert "needs the model all-MiniLM-L6-v2; this stack serves hash-384" in done.stderr
        assert "gateway: ready" in done.stdout
        assert stack.run("status").returncode == 3
    finally:
        stack.end()


def demonstrated(stack: LocalStack, modules: set[str]) -> tuple[int, str]:
    """The status, and what was printed, of the demo on this part of its corpus."""
    printed = StringIO()
    settings = LocalSettings(data_dir=stack.layout.root)
    status = run_demo(settings, lambda: corpus_of(modules), Console(file=printed, width=150))
    return status, printed.getvalue()


def _answers(printed: str) -> list[str]:
    """The table and what follows it."""
    lines = printed.splitlines()
    start = next(number for number, line in enumerate(lines) if "score" in line)
    return lines[start:]


class TestIndexing:
    """With vectors that carry no meaning: what is indexed, and what is not indexed again."""

    @pytest.fixture(scope="class")
    @classmethod
    def stack(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
        made = LocalStack(tmp_path_factory.mktemp("stack"))
        made.up()
        yield made
        made.end()

    @pytest.fixture(scope="class")
    @classmethod
    def documents(cls) -> list[Document]:
        return corpus_of(("builtins", "itertools", "math", "random"))

    async def test_what_is_there_is_not_indexed_again(
        self, stack: LocalStack, documents: list[Document]
    ) -> None:
        target = target_named("twice")
        told: list[tuple[int, int]] = []
        async with Access(stack.state().api_url).client(PATIENCE_S) as client:
            first = await index_corpus(client, target, documents, lambda *now: told.append(now))
            assert first == len(documents) == stack.count("twice")
            assert (told[0], told[-1]) == ((0, first), (first, first))
            assert await index_corpus(client, target, documents, lambda *now: told.append(now)) == 0
        assert told[-1] == (0, 0)

    async def test_an_interrupted_run_is_completed(
        self, stack: LocalStack, documents: list[Document]
    ) -> None:
        target = target_named("interrupted")

        def interrupt(done: int, missing: int) -> None:
            if done:
                raise KeyError("interrupted")

        async with Access(stack.state().api_url).client(PATIENCE_S) as client:
            with pytest.raises(KeyError, match="interrupted"):
                await index_corpus(client, target, documents, interrupt)
            present = stack.count("interrupted")
            assert 0 < present < len(documents)
            indexed = await index_corpus(client, target, documents, lambda *now: None)
        # What was on its way when the run was interrupted may have arrived after the count.
        assert 0 < indexed <= len(documents) - present
        assert stack.count("interrupted") == len(documents)

    async def test_points_of_another_corpus_are_replaced_and_removed(
        self, stack: LocalStack, documents: list[Document]
    ) -> None:
        target = target_named("changed")
        changed = [replace(documents[0], text="another text"), *documents[2:]]
        async with Access(stack.state().api_url).client(PATIENCE_S) as client:
            await index_corpus(client, target, documents, lambda *now: None)
            assert await index_corpus(client, target, changed, lambda *now: None) == len(changed)
            found = await points(client, "changed", documents)
        assert [one["id"] for one in found] == [document.id for document in changed]
        assert found[0]["metadata"]["text"] == "another text"
        assert {one["metadata"]["corpus"] for one in found} == {fingerprint_of(changed)}

    async def test_metadata_says_where_it_was_found(
        self, stack: LocalStack, documents: list[Document]
    ) -> None:
        async with Access(stack.state().api_url).client(PATIENCE_S) as client:
            await index_corpus(client, target_named("metadata"), documents, lambda *now: None)
            found = await points(client, "metadata", documents)
        for one, document in zip(found, documents, strict=True):
            assert one["metadata"] == {
                "module": document.module,
                "name": document.name,
                "kind": document.kind,
                "signature": document.signature,
                "found_at": document.found_at,
                "text": document.text,
                "corpus": fingerprint_of(documents),
            }

    async def test_a_restarting_shard_is_waited_for(
        self, stack: LocalStack, documents: list[Document]
    ) -> None:
        async with Access(stack.state().api_url).client(PATIENCE_S) as client:

            def kill_once(done: int, missing: int) -> None:
                if 0 < done <= 64:
                    process = stack.state().services[1].process
                    found = process.find() if process is not None else None
                    assert found is not None
                    found.kill()

            indexed = await index_corpus(client, target_named("killed"), documents, kill_once)
        assert indexed == len(documents) == stack.count("killed")
        await asyncio.to_thread(stack.ready)

    async def test_another_collection_of_that_name_is_refused(
        self, stack: LocalStack, documents: list[Document]
    ) -> None:
        stack.create("other")
        async with Access(stack.state().api_url).client(PATIENCE_S) as client:
            with pytest.raises(FailedPrecondition, match="'other' has dimension 2 where 384"):
                await index_corpus(client, target_named("other"), documents, lambda *now: None)


def target_named(name: str) -> Target:
    return Target(name, "hash-384", 384, 2)


async def points(
    client: AsyncVectorClient, collection: str, documents: list[Document]
) -> list[dict[str, Any]]:
    found = await client.get(collection, [document.id for document in documents], include_vectors=False)
    return [one.model_dump() for one in found.points]
