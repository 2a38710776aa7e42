"""Documents: names in GraphQL's spelling, and answers under their own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hxp_vector_client.requests import Request


@dataclass(frozen=True, slots=True)
class Asked:
    """A document and its variables. Its one field is called `result`."""

    query: str
    variables: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Document:
    """How one operation is asked for, and how its answer is read."""

    write: Callable[[Request], Asked]
    read: Callable[[Any, Request], Any]


def camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), name)


def camel_keys(given: Mapping[str, Any]) -> dict[str, Any]:
    """Of an input, and not of what is in it: that may be metadata."""
    return {camel(name): value for name, value in given.items()}


def fields(names: str) -> str:
    """A selection by the names that REST has: `created_at` asks for createdAt under that name."""
    return re.sub(r"\b([a-z]+(?:_[a-z]+)+)\b", lambda found: f"{found[1]}:{camel(found[1])}", names)


def ask(kind: str, call: str, selection: str, **variables: tuple[str, Any]) -> Asked:
    """`kind` query or mutation; `call` the field with its arguments; of each variable its type and value."""
    declared = ",".join(f"${name}:{type_}" for name, (type_, _) in variables.items())
    head = f"{kind}({declared})" if declared else kind
    values = {name: value for name, (_, value) in variables.items()}
    return Asked(f"{head}{{result:{call}{selection}}}", values)


def same(answer: Any, _: Request) -> Any:
    return answer
