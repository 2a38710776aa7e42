"""docs/filters.md is the meaning of a filter: every row of its table is run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import orjson
import pytest

from hanax.core.filter_parsing import filter_to_json, parse_filter_json
from hanax.core.filters import And, Not, Operator, Or
from hanax.core.ids import encode_id
from hanax.core.limits import (
    MAX_FILTER_BYTES,
    MAX_FILTER_DEPTH,
    MAX_FILTER_NODES,
    MAX_FILTER_POLYGON_POINTS,
    MAX_FILTER_VALUES,
    MAX_FILTER_WORDS,
)
from hanax.engine.filters.evaluation import compile_filter, matching_rows

DOCUMENT = Path(__file__).parents[3] / "docs" / "filters.md"
ROW = re.compile(r"\| (`(?P<metadata>.+?)`|\(same\)) \| `(?P<filter>.+)` \| (?P<matches>yes|no) \|")


# The table's points have the id 7.
ID = encode_id(7)


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
    assert compile_filter(expression)(orjson.loads(row.metadata), ID) is row.matches
    assert compile_filter(Not(expression))(orjson.loads(row.metadata), ID) is not row.matches
    assert parse_filter_json(filter_to_json(expression)) == expression


def test_table_has_both_answers_for_every_operator() -> None:
    seen = {
        (orjson.loads(row.expression)["operator"], row.matches)
        for row in ROWS
        if row.expression.startswith((b'{"field"', b'{"operator"'))
    }
    assert seen == {(operator.value, answer) for operator in Operator for answer in (True, False)}


def test_filters_in_the_text_are_filters() -> None:
    blocks = re.findall(r"```json\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        parse_filter_json(block.encode())


def test_limits_in_the_text_are_the_limits() -> None:
    table = DOCUMENT.read_text().split("| what | at most |\n|---|---|\n")[1].split("\n\n")[0]
    assert [int(line.split("|")[2].replace(",", "")) for line in table.splitlines()] == [
        MAX_FILTER_BYTES,
        MAX_FILTER_NODES,
        MAX_FILTER_DEPTH,
        MAX_FILTER_VALUES,
        MAX_FILTER_WORDS,
        MAX_FILTER_POLYGON_POINTS,
    ]


def test_matching_rows_answers_one_bool_per_blob() -> None:
    predicate = compile_filter(parse_filter_json(b'{"field": "x", "operator": "gt", "value": 1}'))
    blobs: list[bytes | memoryview] = [b'{"x": 1}', memoryview(b'{"x": 2}'), b"{}", b'{"x": [0, 9]}']
    found = matching_rows(predicate, blobs, [ID] * 4)
    assert found.dtype == bool
    assert found.tolist() == [False, True, False, True]
    assert matching_rows(predicate, [], []).shape == (0,)


def test_groups_made_in_code_may_be_empty() -> None:
    assert compile_filter(And(()))({}, ID) is True
    assert compile_filter(Or(()))({}, ID) is False
