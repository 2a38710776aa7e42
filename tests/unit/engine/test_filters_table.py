"""docs/filters.md is the meaning of a filter: every row of its table is run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import orjson
import pytest

from hanax.core.filters import And, Not, Operator, Or, filter_to_json, parse_filter_json
from hanax.engine.filters.evaluation import compile_filter, matching_rows

DOCUMENT = Path(__file__).parents[3] / "docs" / "filters.md"
ROW = re.compile(r"\| (`(?P<metadata>.+?)`|\(same\)) \| `(?P<filter>.+)` \| (?P<matches>yes|no) \|")


class Row(NamedTuple):
    metadata: bytes
    expression: bytes
    matches: bool


def rows() -> Iterator[Row]:
    table = DOCUMENT.read_text().split("| metadata | filter | matches |\n|---|---|---|\n")[1]
    metadata = b""
    for line in table.strip().splitlines():
        found = ROW.fullmatch(line)
        assert found, f"not a row of the table: {line}"
        if found["metadata"]:
            metadata = found["metadata"].encode()
        yield Row(metadata, found["filter"].encode(), found["matches"] == "yes")


ROWS = list(rows())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.metadata.decode()} {row.expression.decode()}")
def test_row(row: Row) -> None:
    expression = parse_filter_json(row.expression)
    assert compile_filter(expression)(orjson.loads(row.metadata)) is row.matches
    assert compile_filter(Not(expression))(orjson.loads(row.metadata)) is not row.matches
    assert parse_filter_json(filter_to_json(expression)) == expression


def test_table_has_both_answers_for_every_operator() -> None:
    seen = {
        (orjson.loads(row.expression)["operator"], row.matches)
        for row in ROWS
        if b'"operator"' in row.expression and row.expression.startswith(b'{"field"')
    }
    assert seen == {(operator.value, answer) for operator in Operator for answer in (True, False)}


def test_matching_rows_answers_one_bool_per_blob() -> None:
    predicate = compile_filter(parse_filter_json(b'{"field": "x", "operator": "gt", "value": 1}'))
    found = matching_rows(predicate, [b'{"x": 1}', memoryview(b'{"x": 2}'), b"{}", b'{"x": [0, 9]}'])
    assert found.dtype == bool
    assert found.tolist() == [False, True, False, True]
    assert matching_rows(predicate, []).shape == (0,)


def test_groups_made_in_code_may_be_empty() -> None:
    assert compile_filter(And(()))({}) is True
    assert compile_filter(Or(()))({}) is False
