"""What HTTP protocols differ in: where requests go, what they hold, and where the vectors are in answers.

Sources: the API references of OpenAI (embeddings), text-embeddings-inference (/embed), Cohere (v2/embed)
and Ollama (/api/embed).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from hanax.core.errors import UpstreamFailed
from hanax.gateway.models.protocols.failures import Server
from hanax.gateway.models.wanted import Purpose, Wanted


@dataclass(frozen=True, slots=True)
class Question:
    """cut: leave out the tails of texts that are too long, instead of refusing them."""

    server: Server
    name: str
    texts: Sequence[str]
    wanted: Wanted
    cut: bool


class Told(NamedTuple):
    """rows: unchecked, in the order of the texts."""

    rows: object
    total_tokens: int | None


class Dialect(ABC):
    """dimensions: what the field is called that asks for shorter vectors.

    cuts: whether the protocol can ask for texts to be cut.
    """

    path: ClassVar[str]
    dimensions: ClassVar[str] = "dimensions"
    max_texts: ClassVar[int]
    max_tokens_per_request: ClassVar[int | None] = None
    cuts: ClassVar[bool] = True

    def body(self, question: Question) -> dict[str, Any]:
        """What is sent, as JSON."""
        shorter = question.wanted.dimensions
        fields = self.fields(question)
        return fields if shorter is None else {**fields, self.dimensions: shorter}

    @abstractmethod
    def fields(self, question: Question) -> dict[str, Any]:
        """What is sent, but for the dimensions."""

    @abstractmethod
    def told(self, question: Question, answer: object, headers: Mapping[str, str]) -> Told:
        """Raises UpstreamFailed when the answer has no such form."""

    def ask_otherwise(self, question: Question, failure: UpstreamFailed) -> bool:
        """Whether `body` asks in another way now, which a server that failed so may take."""
        return False

    def retain(self, endpoints: set[str]) -> None:  # noqa: B027 - most have learned nothing
        """Forget what was learned of all other endpoints."""


class OpenAI(Dialect):
    """The vectors come in base64: a quarter of the bytes, and nothing to parse. A server that does not
    know of that tells numbers, or refuses, and is asked for numbers from then on.
    """

    path = "/embeddings"
    max_texts = 2_048
    max_tokens_per_request = 300_000
    cuts = False

    def __init__(self) -> None:
        self._numbers: set[str] = set()

    def fields(self, question: Question) -> dict[str, Any]:
        numbers = question.server.endpoint in self._numbers
        return {
            "model": question.name,
            "input": question.texts,
            "encoding_format": "float" if numbers else "base64",
        }

    def told(self, question: Question, answer: object, headers: Mapping[str, str]) -> Told:
        found = _member(question, answer, "data")
        usage = answer.get("usage") if isinstance(answer, dict) else None
        return Told(_in_order(question, found), _count(usage, "total_tokens"))

    def ask_otherwise(self, question: Question, failure: UpstreamFailed) -> bool:
        endpoint = question.server.endpoint
        if endpoint in self._numbers or "encoding_format" not in failure.message:
            return False
        self._numbers.add(endpoint)
        return True

    def retain(self, endpoints: set[str]) -> None:
        self._numbers &= endpoints


class Tei(Dialect):
    path = "/embed"
    max_texts = 32

    def fields(self, question: Question) -> dict[str, Any]:
        return {
            "inputs": question.texts,
            "normalize": question.wanted.normalize,
            "truncate": question.cut,
        }

    def told(self, question: Question, answer: object, headers: Mapping[str, str]) -> Told:
        tokens = headers.get("x-compute-tokens", "")
        return Told(answer, int(tokens) if tokens.isdecimal() and len(tokens) < 16 else None)


class Cohere(Dialect):
    path = "/v2/embed"
    dimensions = "output_dimension"
    max_texts = 96

    def fields(self, question: Question) -> dict[str, Any]:
        wanted = question.wanted
        return {
            "model": question.name,
            "texts": question.texts,
            "input_type": "search_query" if wanted.purpose is Purpose.QUERY else "search_document",
            "embedding_types": ["float"],
            "truncate": "END" if question.cut else "NONE",
        }

    def told(self, question: Question, answer: object, headers: Mapping[str, str]) -> Told:
        rows = _member(question, _member(question, answer, "embeddings"), "float")
        meta = answer.get("meta") if isinstance(answer, dict) else None
        units = meta.get("billed_units") if isinstance(meta, dict) else None
        return Told(rows, _count(units, "input_tokens"))


class Ollama(Dialect):
    # As many as one gRPC request has; the server computes them one after the other.
    path = "/api/embed"
    max_texts = 128

    def fields(self, question: Question) -> dict[str, Any]:
        return {
            "model": question.name,
            "input": question.texts,
            "truncate": question.cut,
        }

    def told(self, question: Question, answer: object, headers: Mapping[str, str]) -> Told:
        return Told(_member(question, answer, "embeddings"), _count(answer, "prompt_eval_count"))


def _member(question: Question, value: object, name: str) -> object:
    if not isinstance(value, dict) or name not in value:
        raise question.server.no_answer(f"answered JSON without {name!r}")
    return value[name]


def _count(value: object, name: str) -> int | None:
    """A number of tokens, where there is one: it is not worth a failure."""
    count = value.get(name) if isinstance(value, dict) else None
    return count if type(count) is int and 0 <= count < 1 << 53 else None


def _in_order(question: Question, found: object) -> list[object]:
    """Rows by their `index`, in which order they came; by their places when none has one."""
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise question.server.no_answer("answered no list of vectors")
    rows: list[object] = [item.get("embedding") for item in found]
    indexes = [item.get("index") for item in found]
    # How many there are is found wanting later, and named.
    if len(rows) != len(question.texts) or all(index is None for index in indexes):
        return rows
    by_index = {index: row for index, row in zip(indexes, rows, strict=True) if type(index) is int}
    if by_index.keys() != set(range(len(rows))):
        raise question.server.no_answer(
            f"answered vectors whose indexes are not 0 to {len(rows) - 1}, each once"
        )
    return [by_index[index] for index in range(len(rows))]
