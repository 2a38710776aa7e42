"""Every way to evaluate a filter gives what the exact evaluation gives, row for row.

HANAX_TEST_SCALE=10 looks at ten times as many worlds.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from hanax.core.distances import Metric
from hanax.core.errors import NoTextIndex
from hanax.core.filters import Filter, Operator
from hanax.core.ids import encode_id
from hanax.engine.filters.evaluation import compile_filter
from hanax.engine.query.matching import Matching, conditions_of
from hanax.engine.query.planning import Explanation, Plan
from hanax.engine.query.reading import count
from hanax.engine.schema import Schema
from hanax.engine.segment.builder import Part, build_segment
from hanax.engine.segment.growing import GrowingSegment, NewRows
from hanax.engine.segment.masks import flags_of
from hanax.engine.segment.sealed import SealedSegment
from hanax.engine.segment.view import SegmentView, View, hash_ids
from hanax.engine.shard import ShardOptions
from tests.property.filter_worlds import World
from tests.unit.engine.rigs import Rig

SCALE = float(os.environ.get("HANAX_TEST_SCALE", "1"))
_EXPRESSIONS = 12


def grown(documents: list[dict[str, Any]], pins: dict[str, str]) -> GrowingSegment:
    segment = GrowingSegment(Schema({}, pins))
    ids = [World.id_of(number) for number in range(len(documents))]
    blobs = [orjson.dumps(document) for document in documents]
    segment.append(NewRows(ids, hash_ids(ids), blobs, {}, np.zeros(len(ids), np.int64), 0, 1))
    return segment


def sealed(segment: GrowingSegment, folder: Path, pins: dict[str, str]) -> SealedSegment:
    schema = Schema({}, pins)
    rows = np.arange(segment.rows, dtype=np.int64)
    build_segment(folder, schema, [Part(segment, rows)], threading.Event())
    return SealedSegment(folder, schema)


def check(part: SegmentView, documents: list[dict[str, Any]], expression: Filter) -> None:
    predicate = compile_filter(expression)
    truth = np.array(
        [row not in part.dead and predicate(documents[row], World.id_of(row)) for row in range(part.rows)],
        np.bool_,
    )
    matching = Matching(part, expression)
    least, expected, most = matching.estimate
    mask = matching.mask()
    np.testing.assert_array_equal(flags_of(mask.words, part.rows), truth, err_msg=str(expression))
    assert mask.count == truth.sum(), expression
    assert least <= mask.count <= most, (expression, matching.estimate)
    assert least <= expected <= most, (expression, matching.estimate)
    # Bits behind the last row would be rows to whoever reads the words.
    assert not np.unpackbits(mask.words.view(np.uint8), bitorder="little")[part.rows :].any()


# A smaller seed is no simpler world.
worlds = settings(
    max_examples=int(30 * SCALE), deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate)
)


@pytest.mark.timeout(120 * max(1.0, SCALE))
@worlds
@given(st.integers(0, 2**32))
def test_masks_equal_the_exact_evaluation(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Growing and sealed segments, with pins and without, with rows that are dead."""
    world = World(seed)
    documents = world.documents(world.random.choice([1, 63, 64, 200, 300, 700]))
    pins = world.pins() if world.random.random() < 0.5 else {"text": "text"}
    growing = grown(documents, pins)
    segment = sealed(growing, tmp_path_factory.mktemp("plans") / "s", pins)
    dead = BitMap(row for row in range(growing.rows) if world.random.random() < 0.2)
    expressions = [world.expression() for _ in range(_EXPRESSIONS)]
    for expression in expressions:
        check(SegmentView(segment, segment.rows), documents, expression)
        check(SegmentView(segment, segment.rows, dead), documents, expression)
        check(SegmentView(growing, growing.rows, dead), documents, expression)
        # An older picture, which ends inside what is indexed by now.
        check(SegmentView(growing, growing.rows * 2 // 3), documents, expression)
        view = View(1, (SegmentView(segment, segment.rows, dead),))
        predicate = compile_filter(expression)
        live = [row for row in range(segment.rows) if row not in dead]
        assert count(view, expression) == sum(predicate(documents[row], World.id_of(row)) for row in live)


@pytest.mark.timeout(120 * max(1.0, SCALE))
@settings(worlds, max_examples=int(8 * SCALE))
@given(st.integers(0, 2**32))
def test_reads_under_a_filter_equal_brute_force(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Sealed segments, one of them merged, and a growing one; points that were written again or deleted."""
    world = World(seed)
    pins = world.pins() if world.random.random() < 0.5 else {"text": "text"}
    options = ShardOptions(payload_indexes=pins)
    schema = Schema.single(2, Metric.EUCLIDEAN)
    points: dict[int, tuple[np.ndarray[Any, Any], dict[str, Any]]] = {}
    vectors = np.random.default_rng(seed)
    with Rig(tmp_path_factory.mktemp("reads") / "s", schema, options) as rig:
        for round_, finish in enumerate([rig.shard.seal, rig.shard.compact, rig.shard.seal, None]):
            ids = sorted({world.random.randrange(400) for _ in range(world.random.choice([1, 40, 150]))})
            documents = world.documents(len(ids))
            rows = vectors.standard_normal((len(ids), 2), np.float32)
            rig.upsert(ids, rows, documents)
            points |= {id_: (row, document) for id_, row, document in zip(ids, rows, documents, strict=True)}
            gone = [id_ for id_ in points if world.random.random() < 0.1]
            if gone and round_ % 2:
                rig.delete(gone)
                points = {id_: point for id_, point in points.items() if id_ not in gone}
            if finish is not None:
                finish()
        for _ in range(_EXPRESSIONS):
            _check_reads(rig, pins, points, world)


def _check_reads(
    rig: Rig,
    pins: dict[str, str],
    points: dict[int, tuple[np.ndarray[Any, Any], dict[str, Any]]],
    world: World,
) -> None:
    expression = world.expression()
    if any(
        one.operator in (Operator.TEXT, Operator.PHRASE) and pins.get(".".join(one.path)) != "text"
        for one in conditions_of(expression)
    ):
        with pytest.raises(NoTextIndex):
            rig.shard.count(expression)
        return
    predicate = compile_filter(expression)
    matching = {id_ for id_, (_, document) in points.items() if predicate(document, encode_id(id_))}
    query = np.array([[0.5, 0.25]], np.float32)
    limit = world.random.choice([1, 5, 1_000])
    nearest = sorted(
        (float(np.float32(np.sqrt(np.square(points[id_][0] - query[0]).sum()))), encode_id(id_))
        for id_ in matching
    )[:limit]
    explanations: list[Explanation] = []
    (hits,) = rig.shard.search(query, limit, expression=expression, explain=explanations)
    assert hits.points.ids == [id_ for _, id_ in nearest], expression
    np.testing.assert_allclose(hits.distances, [distance for distance, _ in nearest], rtol=1e-6)
    assert rig.shard.count(expression) == len(matching)
    assert sum(one.matched for one in explanations) == len(matching)
    for one in explanations:
        assert one.estimate.least <= one.matched <= one.estimate.most
        assert (one.plan is Plan.NONE) == (one.matched == 0)
    page, more = rig.shard.scroll(None, 1_000, expression)
    assert not more
    assert set(page.ids) == {encode_id(id_) for id_ in matching}
