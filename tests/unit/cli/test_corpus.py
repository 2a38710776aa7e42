from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from hanax.cli.demo.corpus import (
    MAX_TEXT_CHARS,
    Document,
    build_corpus,
    fingerprint_of,
)
from hanax.cli.demo.questions import QUESTIONS
from hanax.core.limits import MAX_ID_BYTES

_FINGERPRINT = """
from hanax.cli.demo.corpus import build_corpus, fingerprint_of
print(fingerprint_of(build_corpus()))
"""


@pytest.fixture(scope="module")
def corpus() -> list[Document]:
    return build_corpus()


@pytest.fixture(scope="module")
def by_id(corpus: list[Document]) -> dict[str, Document]:
    return {document.id: document for document in corpus}


def test_it_has_thousands_of_texts(corpus: list[Document]) -> None:
    assert 4_000 < len(corpus) < 12_000


def test_ids_are_unique_ordered_and_allowed(corpus: list[Document]) -> None:
    ids = [document.id for document in corpus]
    assert ids == sorted(set(ids))
    assert all(0 < len(one.encode()) <= MAX_ID_BYTES for one in ids)


def test_texts_are_short_and_not_empty(corpus: list[Document]) -> None:
    assert all(len(document.id) < len(document.text) <= MAX_TEXT_CHARS for document in corpus)


@pytest.mark.parametrize(
    ("id", "kind", "found_in"),
    [
        ("hashlib", "module", "hashlib.py"),
        ("hashlib.file_digest", "function", "hashlib.py"),
        ("pathlib.Path.glob", "method", "pathlib"),
        ("json.loads", "function", "json/__init__.py"),
        ("os.path.join", "function", "posixpath.py"),
        ("random.shuffle", "function", "random.py"),
        ("math", "module", "math (in C)"),
        ("math.gcd", "function", "math (in C)"),
        ("itertools.combinations", "class", "itertools (in C)"),
        ("collections.deque.rotate", "method", "collections (in C)"),
        ("sys.excepthook", "function", "sys (in C)"),
        ("str.split", "method", "builtins (in C)"),
        ("sorted", "function", "builtins (in C)"),
    ],
)
def test_it_has_what_people_look_for(by_id: dict[str, Document], id: str, kind: str, found_in: str) -> None:
    document = by_id[id]
    assert document.kind == kind
    assert document.found_at.startswith(found_in)
    assert document.text.startswith(id)


def test_the_place_is_where_the_definition_stands(by_id: dict[str, Document]) -> None:
    spec = importlib.util.find_spec("hashlib")
    assert spec is not None
    assert spec.origin is not None
    file, line = by_id["hashlib.file_digest"].found_at.split(":")
    source = Path(spec.origin).read_text().splitlines()
    assert file == "hashlib.py"
    assert source[int(line) - 1].startswith("def file_digest(")


def test_signatures_are_part_of_the_text(by_id: dict[str, Document]) -> None:
    assert by_id["math.gcd"].text.startswith("math.gcd(*integers): ")
    assert by_id["hashlib.file_digest"].text.startswith("hashlib.file_digest(fileobj, digest, /")
    assert by_id["str.split"].signature == "(sep=None, maxsplit=-1)"


@pytest.mark.parametrize("hidden", ["idlelib", "test", "antigravity", "this", "tkinter", "lib2to3"])
def test_what_is_no_library_is_left_out(corpus: list[Document], hidden: str) -> None:
    assert not any(document.module.split(".")[0] == hidden for document in corpus)


def test_private_names_are_left_out(corpus: list[Document]) -> None:
    assert not any(part.startswith("_") for document in corpus for part in document.id.split("."))


def test_every_best_answer_is_there(by_id: dict[str, Document]) -> None:
    for question in QUESTIONS:
        assert question.best & set(by_id), question.text


def test_another_process_makes_the_same_corpus(corpus: list[Document]) -> None:
    told = subprocess.run([sys.executable, "-c", _FINGERPRINT], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == fingerprint_of(corpus)


def test_making_it_again_makes_the_same(corpus: list[Document]) -> None:
    assert build_corpus() == corpus


def test_the_fingerprint_tells_corpora_apart(corpus: list[Document]) -> None:
    assert fingerprint_of(corpus) != fingerprint_of(corpus[1:])
