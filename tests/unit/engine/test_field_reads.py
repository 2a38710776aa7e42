"""Facets, distinct values, orders, groups: on random metadata of all types they are what a list would tell.

Points lie in a sealed segment, in indexed chunks of the growing one and behind them; some are written twice
and some are deleted. So columns, decoded rows and merges of both take part.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from hanax.core.distances import Metric
from hanax.core.field_order import Entry, Start, in_order, key_from_json, key_of
from hanax.core.field_values import position_of, reader_of, scalars_of, value_from_json
from hanax.core.filters import Condition, Filter, Operator
from hanax.core.ids import encode_id
from hanax.engine.query.ordering import Order
from hanax.engine.query.projecting import narrow
from hanax.engine.query.recommending import Examples, best_scores
from hanax.engine.shard import Schema
from hanax.engine.shard.reads import Wanted
from tests.unit.engine.rigs import Rig

COUNT = 1_500
SEALED = 300
PATHS = [
    ("whole",),
    ("numbers",),
    ("texts",),
    ("mixed",),
    ("arrays",),
    ("lists",),
    ("deep", "er"),
    ("dates",),
    ("nobody",),
]
HALF: Filter = Condition(("half",), Operator.EQ, True)
LONG = "long " * 60
_SCALARS: list[Any] = [
    0, 1, 2, 2.0, -0.0, 1.5, -7, 2**63, 2**64 - 1, 2**53 + 1, float(2**53), 1e300,
    "", "a", "b", "é", "😀", "\uffff", "2024-01-31", "2024-01-31T00:00:00Z", "2024-01-31T01:00:00+02:00",
    LONG + "1", LONG + "2", True, False, None,
]  # fmt: skip
_FEW_KINDS: list[Any] = [1, 2, 3, "a", "b", "2024-01-31", "2024-01-30T23:00:00-01:00", True, False, None]

Document = dict[str, Any]


def _document(rng: np.random.Generator) -> Document:
    def one(values: list[Any]) -> Any:
        return values[int(rng.integers(len(values)))]

    document: Document = {"half": bool(rng.integers(2)), "whole": int(rng.integers(-5, 40))}
    optional: Document = {
        "numbers": one([0.5, -0.0, 7.25, 3.0, 1e300]),
        "texts": one(["", "a", "b", "zz", "é", "😀", "\uffff", True, False]),
        "mixed": one(_SCALARS),
        "arrays": [one(_SCALARS) for _ in range(int(rng.integers(4)))],
        # Of few kinds, so that columns tell all of it.
        "lists": [one(_FEW_KINDS) for _ in range(int(rng.integers(5)))],
        "dates": one(["2024-01-31", "2024-01-30T23:00:00-01:00", "2023-05-01T10:00:00.5Z", "no date", None]),
        "deep": one([{"er": one(_SCALARS)}, {"er": [one(_SCALARS), [1]]}, {"er": {}}, 7]),
        "deep.er": one(_SCALARS),
    }
    for name, value in optional.items():
        if rng.random() < (0.1 if "." in name else 0.8):
            document[name] = value
    return document


@pytest.fixture(scope="module", params=[1, 2])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A shard, and its points by encoded id."""
    rng = np.random.default_rng(request.param)
    points: dict[bytes, tuple[np.ndarray[Any, Any], Document]] = {}
    folder: Path = tmp_path_factory.mktemp("reads")
    with Rig(folder / "shard", Schema.single(3, Metric.COSINE)) as rig:

        def write(numbers: Any) -> None:
            ids = [encode_id(n if n % 2 else f"text {n}") for n in numbers]
            vectors = rng.normal(size=(len(ids), 3)).astype(np.float32)
            documents = [_document(rng) for _ in ids]
            rig.shard.upsert(ids, {"default": vectors}, list(map(orjson.dumps, documents)))
            points.update(zip(ids, zip(vectors, documents, strict=True), strict=True))

        write(range(SEALED))
        rig.shard.seal()
        write(range(200, COUNT))
        write(range(0, COUNT, 50))
        gone = [id_ for number, id_ in enumerate(points) if number % 11 == 3]
        rig.shard.delete(gone)
        for id_ in gone:
            del points[id_]
        yield rig.shard, points


def _matching(points: Any, expression: Filter | None) -> dict[bytes, Document]:
    # Read back as a shard does: integers past 64 bits are floats.
    return {
        id_: orjson.loads(orjson.dumps(document))
        for id_, (_, document) in points.items()
        if expression is None or document["half"]
    }


def _values(document: Document, path: tuple[str, ...]) -> set[bytes]:
    return {orjson.dumps(value) for value in scalars_of(reader_of(path)(document))}


@pytest.mark.parametrize("path", PATHS, ids=".".join)
@pytest.mark.parametrize("expression", [None, HALF], ids=["all", "half"])
def test_a_facet_counts_points(world: Any, path: tuple[str, ...], expression: Filter | None) -> None:
    shard, points = world
    documents = _matching(points, expression)
    facet = shard.reads.facet(path, expression)
    assert facet.counts == Counter(value for one in documents.values() for value in _values(one, path))
    assert facet.matches == len(documents)


@pytest.mark.parametrize("path", PATHS, ids=".".join)
@pytest.mark.parametrize("limit", [1, 4, 1_000])
def test_distinct_values_in_pages(world: Any, path: tuple[str, ...], limit: int) -> None:
    shard, points = world
    expected = {value for one in _matching(points, HALF).values() for value in _values(one, path)}
    found: list[bytes] = []
    more, after = True, None
    while more:
        page, more = shard.reads.distinct(path, after, limit, HALF)
        assert len(page) == limit or not more
        found += page
        after = (value_from_json(page[-1]),) if page else None
    assert found == sorted(expected, key=lambda value: position_of(value_from_json(value)))


@pytest.mark.parametrize("path", PATHS, ids=".".join)
@pytest.mark.parametrize("descending", [False, True], ids=["asc", "desc"])
@pytest.mark.parametrize(("expression", "limit"), [(None, 97), (HALF, 400), (HALF, 1_000)])
def test_an_order_in_pages(
    world: Any, path: tuple[str, ...], descending: bool, expression: Filter | None, limit: int
) -> None:
    shard, points = world
    documents = _matching(points, expression)
    entries = [Entry(key_of(reader_of(path)(one), descending), id_, 0, 0) for id_, one in documents.items()]
    expected = [entry.id for entry in in_order(entries, descending)]
    found: list[bytes] = []
    start, more = None, True
    while more:
        page, keys, more = shard.reads.scroll_by(Order(path, descending, start), limit, expression)
        assert len(page) == limit or not more
        found += page.ids
        start = Start(key_from_json(keys[-1]), page.ids[-1]) if keys else None
    assert found == expected


@pytest.mark.parametrize("path", [path for path in PATHS if path != ("nobody",)], ids=".".join)
@pytest.mark.parametrize(("groups", "size"), [(2, 1), (5, 7), (60, 4)])
def test_groups_are_full(world: Any, path: tuple[str, ...], groups: int, size: int) -> None:
    shard, points = world
    query = np.array([[0.3, -0.2, 0.9]], np.float32)
    distances = {}
    for hits in shard.search(query, len(points)):
        distances = dict(zip(hits.points.ids, hits.distances.tolist(), strict=True))
    members: dict[bytes, list[tuple[float, bytes]]] = {}
    for id_, document in _matching(points, HALF).items():
        for value in _values(document, path):
            members.setdefault(value, []).append((distances[id_], id_))
    ranked = sorted(members, key=lambda value: (min(members[value]), value))[:groups]
    found = shard.reads.search_groups(query, path, groups, Wanted(size, HALF))
    assert [(group.value, group.hits.points.ids) for group in found] == [
        (value, [id_ for _, id_ in sorted(members[value])[:size]]) for value in ranked
    ]
    named = shard.reads.search_values(query, path, [*ranked, b'"no such value"'], Wanted(size, HALF))
    assert [(group.value, group.hits.points.ids) for group in named] == [
        (group.value, group.hits.points.ids) for group in found
    ]


def test_recommendations_rank_all_that_match(world: Any) -> None:
    shard, points = world
    rng = np.random.default_rng(0)
    positives, negatives = (rng.normal(size=(count, 3)).astype(np.float32) for count in (3, 2))
    ids = list(_matching(points, HALF))
    vectors = np.array([points[id_][0] for id_ in ids])
    scores = best_scores(Metric.COSINE, vectors, Examples(positives, negatives)).astype(np.float32)
    hits = shard.reads.recommend(positives, negatives, Wanted(50, HALF))
    order = sorted(range(len(ids)), key=lambda row: (-scores[row], ids[row]))
    assert hits.points.ids == [ids[row] for row in order[:50]]
    assert (np.diff(hits.distances) >= 0).all()
    bound = float(hits.distances[9])
    few = shard.reads.recommend(positives, negatives, Wanted(50, HALF, bound))
    assert few.points.ids == hits.points.ids[:10]


def test_parts_of_metadata_keep_their_form() -> None:
    blob = orjson.dumps({"a": {"b": 1, "c": {"d": 2, "e": 3}}, "a.b": 4, "x": [{"y": 5}], "z": None})
    cases: list[tuple[list[str], Document]] = [
        (["a"], {"a": {"b": 1, "c": {"d": 2, "e": 3}}}),
        (["a.b"], {"a.b": 4}),
        (["a.c.d"], {"a": {"c": {"d": 2}}}),
        (["a.c.d", "a.c.e"], {"a": {"c": {"d": 2, "e": 3}}}),
        (["a.c.d", "a"], {"a": {"b": 1, "c": {"d": 2, "e": 3}}}),
        (["a", "a.c.d"], {"a": {"b": 1, "c": {"d": 2, "e": 3}}}),
        (["x.y", "a.c.d.f", "q"], {}),
        (["x", "z"], {"x": [{"y": 5}], "z": None}),
    ]
    for fields, expected in cases:
        assert orjson.loads(narrow(blob, [tuple(field.split(".")) for field in fields])) == expected, fields
