"""Documents that fit the schema, whatever they ask for: no defect is told, and each is answered."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from graphql import print_ast
from graphql.language import ast
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import mutations, nodes, queries

from tests.integration.gateway.graphql.client import post
from tests.integration.gateway.stack import Stack

SCHEMA = (Path(__file__).parents[4] / "docs" / "reference" / "schema.graphql").read_text()

_WORDS = st.sampled_from(["docs", "a.b", "eq", "", "é", "\u2028", "0" * 36, "2031-01-01T00:00:00Z"])
_NUMBERS = st.one_of(st.integers(-3, 3), st.sampled_from([2**31, 2**63, 2**64, -(2**63)]))
_PLAIN = st.one_of(
    _NUMBERS.map(nodes.Int),
    st.floats(allow_nan=False, allow_infinity=False).map(nodes.Float),
    _WORDS.map(nodes.String),
    st.booleans().map(nodes.Boolean),
    st.just(nodes.Null),
)


def _object(values: list[ast.ValueNode]) -> ast.ValueNode:
    names = ("field", "operator", "value", "and", "type", "text", "id", "vector")
    fields = [
        ast.ObjectFieldNode(name=ast.NameNode(value=name), value=value)
        for name, value in zip(names, values, strict=False)
    ]
    return ast.ObjectValueNode(fields=tuple(fields))


_JSON = st.recursive(
    _PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(nodes.List), st.lists(inner, max_size=4).map(_object)
    ),
    max_leaves=6,
)
_SCALARS = {
    "JSON": _JSON,
    "Vector": st.one_of(_JSON, st.just(nodes.List([nodes.Float(1.0)] * 3))),
    "PointId": _PLAIN,
    "Long": st.one_of(_NUMBERS.map(nodes.Int), _PLAIN),
}
_SETTINGS = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@_SETTINGS
@given(queries(SCHEMA, custom_scalars=_SCALARS, print_ast=print_ast))
def test_queries(graph: Stack, document: str) -> None:
    check(post(graph, {"query": document}), document)


@_SETTINGS
@given(mutations(SCHEMA, custom_scalars=_SCALARS, print_ast=print_ast))
def test_mutations(graph: Stack, document: str) -> None:
    """Names of collections are random, so that none of those that others use is meant."""
    check(post(graph, {"query": document}), document)


@_SETTINGS
@given(document=st.text(max_size=200), variables=st.dictionaries(st.text(max_size=9), st.integers()))
def test_texts(graph: Stack, document: str, variables: dict[str, int]) -> None:
    check(post(graph, {"query": document, "variables": variables}), document)


@pytest.mark.parametrize("raw", [b"", b"null", b"7", b'"{ a }"', b'{"query": {}}', b"\xff", b"[]", b"{"])
def test_bodies(graph: Stack, raw: bytes) -> None:
    answer = graph.client.post("/graphql", content=raw, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert answer.json()["errors"][0]["extensions"]["code"]


def check(answer: httpx.Response, document: str) -> None:
    assert answer.status_code in (200, 422), (document, answer.text)
    for error in answer.json().get("errors", ()):
        assert error["extensions"]["http_status"] < 500, (document, error)
