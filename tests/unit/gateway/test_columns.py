"""Batches that come as columns are what the same points come to one by one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import orjson
import pytest

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import HanaxError, InvalidArgument
from hanax.core.ids import are_of_fixed_size, check_id, encode_id
from hanax.core.routing import CollectionRoute
from hanax.core.specs import CollectionSpec
from hanax.gateway.batches import parse_batch
from hanax.gateway.columns import Columns, check_columns
from hanax.gateway.upsert_orders import encode_upsert

SPEC = CollectionSpec(name="docs", dimension=2, embedding_model="model")
NOW_US = 1_700_000_000_000_000
LATER_US = NOW_US + 60_000_000

POINTS: list[dict[str, Any]] = [
    {"id": 7, "vector": [1.0, 2.0], "metadata": {"year": 2020, "tags": ["a", {"b": 0.5}]}},
    {"id": "seven", "text": "hello", "metadata": {"n": 1}, "if_version": 3},
    {"id": "0d6b3a40-31b5-4a2f-9a04-5d5f3b8b0b11", "vector": [0.0, 1.0]},
    {"id": 8, "text": "again", "metadata": {"text": "own"}},
]


def columns_of(points: list[dict[str, Any]], **more: Any) -> Columns:
    rows = np.asarray([point["vector"] for point in points if "vector" in point], dtype="<f4")
    given: dict[str, Any] = {
        "ids": [encode_id(point["id"]) for point in points],
        "dimension": 2 if len(rows) else 0,
        "float32_le": rows.tobytes(),
        "texts": [point.get("text", "") for point in points],
        "metadata": [orjson.dumps(point["metadata"]) if "metadata" in point else b"" for point in points],
        "if_versions": [point.get("if_version", -1) for point in points],
        "expires_at_us": [0] * len(points),
    }
    return Columns(**given | more)


def test_columns_come_to_what_points_come_to() -> None:
    expected = parse_batch(POINTS, SPEC, NOW_US)
    batch = check_columns(columns_of(POINTS), SPEC, NOW_US)
    for name in ("ids", "metadata", "given_rows", "texts", "text_rows", "if_versions", "expires_at_us"):
        assert getattr(batch, name) == getattr(expected, name), name
    assert batch.given.tolist() == expected.given.tolist()
    embedded = np.asarray([[5, 6], [7, 8]], dtype=np.float32)
    assert batch.with_embeddings(embedded).tolist() == [[1, 2], [5, 6], [0, 1], [7, 8]]


def test_metadata_are_stored_as_they_would_be_from_points() -> None:
    """Without blanks, and without what a later key of the same name has replaced."""
    raw = b' {"a" : 1, "a": {"b": 2.50}} '
    batch = check_columns(columns_of(POINTS[:1], metadata=[raw]), SPEC, NOW_US)
    assert batch.metadata == [b'{"a":{"b":2.5}}']


def test_times_of_expiry_are_the_points_own_or_the_collections() -> None:
    short_lived = SPEC.model_copy(update={"ttl_seconds": 60})
    told = columns_of(POINTS, expires_at_us=[0, LATER_US + 1, 0, 0])
    assert check_columns(told, SPEC, NOW_US).expires_at_us == [0, LATER_US + 1, 0, 0]
    assert check_columns(told, short_lived, NOW_US).expires_at_us == [
        LATER_US,
        LATER_US + 1,
        LATER_US,
        LATER_US,
    ]
    assert check_columns(columns_of(POINTS), short_lived, NOW_US).expires_at_us == [LATER_US] * 4


@pytest.mark.parametrize(
    ("more", "mentions"),
    [
        ({"float32_le": b"", "dimension": 0}, "vectors[0]: expected one of vector"),
        ({"float32_le": bytes(8)}, "vectors[2]: expected one of vector"),
        ({"float32_le": np.ones(6, "<f4").tobytes()}, "a row for each of the 2 points without text, got 3"),
        ({"float32_le": bytes(17)}, "rows of 8 bytes, got 17"),
        ({"dimension": 4}, "takes 2 numbers, got 4"),
        ({"ids": [encode_id(1)] * 4}, "vectors[1].id: 1 is also the id of vectors[0]"),
        ({"ids": [b"\x01", *[encode_id(n) for n in range(3)]]}, "vectors[0].id: 01 is not"),
    ],
)
def test_what_does_not_fit_is_refused(more: dict[str, Any], mentions: str) -> None:
    with pytest.raises(HanaxError) as failure:
        check_columns(columns_of(POINTS, **more), SPEC, NOW_US)
    assert isinstance(failure.value, InvalidArgument)
    assert mentions in failure.value.message


SOME_IDS = [
    encode_id(7),
    encode_id(2**64 - 1),
    encode_id("0d6b3a40-31b5-4a2f-9a04-5d5f3b8b0b11"),
    encode_id("seven"),
    encode_id("s" * 16),
    b"\x02" * 16,
    b"\x02" * 18,
    b"\x02" * 17,
    b"\x01" * 9,
    b"\x01" * 17,
    b"\x04" * 17,
    b"\x01",
]


@pytest.mark.parametrize("first", SOME_IDS)
@pytest.mark.parametrize("second", SOME_IDS)
def test_ids_that_pass_all_at_once_would_pass_one_by_one(first: bytes, second: bytes) -> None:
    if are_of_fixed_size([first, second]):
        check_id(first)
        check_id(second)
        assert len(first) == len(second)
    fixed = [encoded[0] for encoded in (first, second) if (encoded[0], len(encoded)) in ((1, 9), (2, 17))]
    assert are_of_fixed_size([first, second]) is (len(fixed) == 2 and fixed[0] == fixed[1])


def test_lengths_near_the_limits_are_judged_as_before() -> None:
    """The quick look in float32 leaves what it can't be sure of to float64."""
    for row, fine in (([1e18, 0.0], True), ([1.1e18, 0.0], False), ([1e-17, 0], True), ([1e-19, 0], False)):
        points = [{"id": 1, "vector": row}]
        if fine:
            parse_batch(points, SPEC, NOW_US)
            check_columns(columns_of(points), SPEC, NOW_US)
            continue
        with pytest.raises(InvalidArgument):
            parse_batch(points, SPEC, NOW_US)
        with pytest.raises(InvalidArgument):
            check_columns(columns_of(points), SPEC, NOW_US)


@pytest.mark.parametrize("count", [1, 3, 2_000])
def test_an_order_is_the_message_that_a_shard_reads(count: int) -> None:
    """Whole, and of some rows: with fields of every length of their lengths."""
    rng = np.random.default_rng(count)
    spec = CollectionSpec(name="docs", dimension=24)
    vectors = rng.standard_normal((count, 24)).astype("<f4")
    batch = check_columns(
        Columns(
            ids=[encode_id(n) for n in range(count)],
            dimension=24,
            float32_le=vectors.tobytes(),
            texts=(),
            metadata=[b'{"n":%d}' % n for n in range(count)],
            if_versions=[n % 3 for n in range(count)],
            expires_at_us=[LATER_US] * count,
        ),
        spec,
        NOW_US,
    )
    route = cast("CollectionRoute", SimpleNamespace(spec=spec, uid="uid"))
    for rows in (range(count), list(range(0, count, 2))):
        order = pb.UpsertRequest.FromString(encode_upsert(route, 3, "update", batch, rows))
        assert order == pb.UpsertRequest(
            ref=pb.ShardRef(collection="docs", uid="uid", shard=3),
            ids=[encode_id(n) for n in rows],
            vectors=[pb.VectorColumn(name="default", dimension=24, float32_le=vectors[rows].tobytes())],
            metadata=[b'{"n":%d}' % n for n in rows],
            mode=pb.WRITE_MODE_UPDATE,
            if_versions=[n % 3 for n in rows],
            expires_at_us=[LATER_US] * len(rows),
        )
