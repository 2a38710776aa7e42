"""Real text for data set d: what installed packages say about themselves.

Rows are the demo's documents, grown by the paragraphs of docstrings, which are parsed and never
imported. Queries are held out: questions from comments in the sources, the demo's questions, and
sentences of the packages' long descriptions and of Python's language reference. Only packages
named here are read, so that installing another one does not change the data.
"""

from __future__ import annotations

import ast
import re
import sys
import sysconfig
import warnings
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from hanax.cli.demo.corpus import build_corpus
from hanax.cli.demo.questions import QUESTIONS

# Some of what `make setup` installs: enough for the rows, at the versions of constraints.txt.
PACKAGES: Final = (
    *("fastapi", "grpcio", "httpx", "hypothesis", "networkx", "numba", "numpy", "pydantic", "pytest"),
    *("rich", "scikit-learn", "scipy", "sentence-transformers", "starlette", "sympy", "torch"),
    *("tokenizers", "transformers", "typer", "uvicorn"),
)

# A paragraph this short is a heading; the model reads only the beginning of a longer one.
_SHORTEST_CHARS: Final = 40
_LONGEST_CHARS: Final = 400
_QUESTION_CHARS: Final = 20
# A share of the queries, so that neither kind decides the result.
_QUESTION_SHARE: Final = 0.5

_CODE: Final = re.compile(r"^\s*(>>>|\.\.\.|\.\. |[-=~+|*#]{3}|\||!?\[|@|</?\w)")
_QUESTION_COMMENT: Final = re.compile(r"^[ \t]*#+[ \t]*([A-Z][^#\n]*\?)[ \t]*$", re.MULTILINE)
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(])")
_WORDS: Final = re.compile(r"[a-z]{3,}")


class Texts(NamedTuple):
    rows: list[str]
    queries: list[str]


def collect(row_count: int, query_count: int) -> Texts:
    """Distinct texts; no query is a row, also when case and punctuation are set aside.

    The demo's documents come first, then paragraphs in a seeded order.
    """
    with warnings.catch_warnings():
        # Old sources have odd escapes.
        warnings.simplefilter("ignore")
        documents = [document.text for document in build_corpus()]
        paragraphs = sorted(set(_paragraphs()))
        questions = sorted({_plain(text) for text in _questions()})
        sentences = sorted({_plain(text) for text in _sentences()})
    random = np.random.default_rng(4)
    rows = _distinct(documents, (paragraphs[place] for place in random.permutation(len(paragraphs))), set())
    rows = rows[:row_count]
    taken = {_key(text) for text in rows}
    asked = [question.text for question in QUESTIONS]
    asked += [questions[place] for place in random.permutation(len(questions))]
    asked = asked[: int(query_count * _QUESTION_SHARE)]
    queries = _distinct(asked, (sentences[place] for place in random.permutation(len(sentences))), taken)
    if len(rows) < row_count or len(queries) < query_count:
        raise RuntimeError(f"only {len(rows)} rows and {len(queries)} queries in the installed packages")
    return Texts(rows, queries[:query_count])


def _distinct(first: Iterable[str], second: Iterable[str], taken: set[str]) -> list[str]:
    seen = set(taken)
    kept = []
    for texts in (first, second):
        for text in texts:
            if (key := _key(text)) not in seen:
                seen.add(key)
                kept.append(text)
    return kept


def _key(text: str) -> str:
    """What the model sees of a text, and a little less: it folds case too."""
    return " ".join(re.findall(r"\w+", text.casefold()))


# --- rows ------------------------------------------------------------------------------------


def _paragraphs() -> Iterator[str]:
    for path in _sources():
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _split(ast.get_docstring(node) or "")


def _split(docstring: str) -> Iterator[str]:
    for paragraph in docstring.split("\n\n"):
        if not _CODE.match(paragraph) and _is_prose(text := _plain(paragraph)):
            yield text


def _sources() -> Iterator[Path]:
    library = Path(sysconfig.get_path("stdlib"))
    for name in sorted(sys.stdlib_module_names - {"test", "idlelib", "lib2to3", "pydoc_data"}):
        yield from library.glob(f"{name}.py")
        yield from sorted((library / name).rglob("*.py"))
    for package in PACKAGES:
        found = metadata.distribution(package).files or []
        yield from sorted(Path(str(file.locate())) for file in found if file.suffix == ".py")


def _plain(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_CHARS else text[: _LONGEST_CHARS + 1].rsplit(" ", 1)[0]


def _is_prose(text: str) -> bool:
    """Words rather than numbers, tables or code."""
    return len(text) >= _SHORTEST_CHARS and sum(map(len, _WORDS.findall(text))) >= 0.6 * len(text)


# --- queries ---------------------------------------------------------------------------------


def _questions() -> Iterator[str]:
    """Comments of one line that ask something."""
    for path in _sources():
        for question in _QUESTION_COMMENT.findall(path.read_text("utf-8", "ignore")):
            if len(question) >= _QUESTION_CHARS and "TODO" not in question and "XXX" not in question:
                yield question


def _sentences() -> Iterator[str]:
    for text in (*_descriptions(), *_reference()):
        for paragraph in text.split("\n\n"):
            if not _CODE.match(paragraph):
                for sentence in _SENTENCE_END.split(" ".join(paragraph.split())):
                    if _is_prose(sentence) and sentence[0].isupper() and sentence.endswith((".", "?", "!")):
                        yield sentence


def _descriptions() -> Iterator[str]:
    for package in PACKAGES:
        about = metadata.metadata(package)
        yield str(about.json.get("description", ""))


def _reference() -> Iterator[str]:
    """The texts of `help("topics")`, written out in a source file as one dictionary."""
    path = Path(sysconfig.get_path("stdlib")) / "pydoc_data" / "topics.py"
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Dict):
            for value in node.values:
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield value.value
