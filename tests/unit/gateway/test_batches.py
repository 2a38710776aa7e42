"""Batches: columns in order, defaults, and where each fault is."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import orjson
import pytest

from hanax.core.errors import DuplicateId, HanaxError, InvalidArgument, InvalidExpiry, NonFiniteVector
from hanax.core.ids import decode_id
from hanax.core.limits import MAX_METADATA_BYTES, MAX_TTL_SECONDS
from hanax.core.specs import CollectionSpec
from hanax.gateway.batches import parse_batch
from hanax.gateway.metadata import encode_metadata

SPEC = CollectionSpec(name="docs", dimension=2, embedding_model="some-model")
# 2023-11-14T22:13:20Z
NOW_US = 1_700_000_000_000_000


def test_columns_are_in_the_order_of_the_batch() -> None:
    batch = parse_batch(
        [
            {"id": 3, "vector": [1, 2], "metadata": {"a": 1}},
            {"id": "x", "text": "hello"},
            {"id": 1, "embedding": [3, 4], "text": None, "metadata": None},
            {"id": "y", "text": "there", "metadata": {"text": "mine"}},
        ],
        SPEC,
        NOW_US,
    )
    assert [decode_id(encoded) for encoded in batch.ids] == [3, "x", 1, "y"]
    assert [orjson.loads(blob) for blob in batch.metadata] == [
        {"a": 1},
        {"text": "hello"},
        {},
        {"text": "mine"},
    ]
    assert (batch.given_rows, batch.text_rows, batch.texts) == ([0, 2], [1, 3], ["hello", "there"])
    whole = batch.with_embeddings(np.array([[9, 9], [8, 8]], dtype=np.float32))
    assert whole.tolist() == [[1, 2], [9, 9], [3, 4], [8, 8]]


def test_without_texts_vectors_are_not_copied() -> None:
    batch = parse_batch([{"vector": [1, 2]}], SPEC, NOW_US)
    assert batch.with_embeddings(np.empty((0, 2), dtype=np.float32)) is batch.given


def test_missing_ids_are_random_uuids() -> None:
    batch = parse_batch([{"vector": [1, 2]}, {"vector": [1, 2], "id": None}], SPEC, NOW_US)
    made = [uuid.UUID(str(decode_id(encoded))) for encoded in batch.ids]
    assert len(set(made)) == 2
    assert all(one.version == 4 for one in made)


def test_a_metadata_object_of_the_caller_is_left_alone() -> None:
    metadata: dict[str, Any] = {"a": 1}
    parse_batch([{"text": "hello", "metadata": metadata}], SPEC, NOW_US)
    assert metadata == {"a": 1}


def test_equal_ids_in_other_words_are_duplicates() -> None:
    one = str(uuid.uuid4())
    with pytest.raises(DuplicateId, match=r"vectors\[2\].id.*vectors\[0\]") as caught:
        parse_batch(
            [
                {"id": one, "vector": [1, 2]},
                {"id": 7, "vector": [1, 2]},
                {"id": one.upper(), "vector": [1, 2]},
            ],
            SPEC,
            NOW_US,
        )
    assert caught.value.details == {"first": 0, "index": 2}
    # An integer and its digits are two ids.
    assert (
        len(parse_batch([{"id": 7, "vector": [1, 2]}, {"id": "7", "vector": [1, 2]}], SPEC, NOW_US).ids) == 2
    )


def test_a_vector_fault_is_found_among_texts() -> None:
    points: list[dict[str, Any]] = [{"text": "a"}, {"vector": [1, 2]}, {"text": "b"}, {"vector": [1, 1e39]}]
    with pytest.raises(NonFiniteVector, match=r"vectors\[3\]") as caught:
        parse_batch(points, SPEC, NOW_US)
    assert caught.value.details["index"] == 3


@pytest.mark.parametrize("points", [None, "ab", {"vector": [1, 2]}, 7, []])
def test_what_is_no_list_of_points_is_refused(points: object) -> None:
    with pytest.raises(InvalidArgument, match=r"vectors: expected"):
        parse_batch(points, SPEC, NOW_US)


def test_metadata_limits_are_exact() -> None:
    frame = len(b'{"a":""}')
    assert len(encode_metadata({"a": "x" * (MAX_METADATA_BYTES - frame)}, "m")) == MAX_METADATA_BYTES
    with pytest.raises(HanaxError) as caught:
        encode_metadata({"a": "x" * (MAX_METADATA_BYTES - frame + 1)}, "m")
    assert caught.value.code == "metadata_too_large"
    # Objects and lists count alike: eight of each are sixteen levels.
    assert encode_metadata(_level(16), "m")
    with pytest.raises(HanaxError) as caught:
        encode_metadata(_level(17), "m")
    assert caught.value.code == "invalid_metadata"


def _level(levels: int) -> dict[str, Any]:
    value: Any = {} if levels % 2 else []
    for level in range(levels - 1):
        value = [value] if (levels - level) % 2 else {"a": value}
    assert isinstance(value, dict)
    return value


def test_metadata_that_json_can_not_carry_are_refused() -> None:
    for value in (float("nan"), float("-inf"), [float("inf")], {"b": float("nan")}, "\ud800", 2**64):
        with pytest.raises(HanaxError) as caught:
            encode_metadata({"a": value}, "m")
        assert caught.value.code == "invalid_metadata"


def test_each_point_says_when_it_expires_or_the_collection_does() -> None:
    points: list[dict[str, Any]] = [
        {"vector": [1, 2]},
        {"vector": [1, 2], "ttl_seconds": 1},
        {"vector": [1, 2], "expires_at": "2031-01-31T10:00:00+01:00", "ttl_seconds": None},
    ]
    told = [NOW_US + 1_000_000, 1_927_616_400_000_000]
    assert parse_batch(points[:1], SPEC, NOW_US).expires_at_us == []
    assert parse_batch(points, SPEC, NOW_US).expires_at_us == [0, *told]
    short_lived = SPEC.model_copy(update={"ttl_seconds": 60})
    assert parse_batch(points, short_lived, NOW_US).expires_at_us == [NOW_US + 60_000_000, *told]


@pytest.mark.parametrize(
    "expiry",
    [
        {"expires_at": "tomorrow"},
        {"expires_at": 1_927_616_400},
        {"expires_at": "2023-11-14T22:13:20Z"},
        {"expires_at": "9999-12-31T23:59:59-01:00"},
        {"expires_at": "2031-01-31", "ttl_seconds": 5},
        {"ttl_seconds": 0},
        {"ttl_seconds": -(2**70)},
        {"ttl_seconds": 1.5},
        {"ttl_seconds": True},
        {"ttl_seconds": MAX_TTL_SECONDS + 1},
        {"ttl_seconds": "5"},
    ],
)
def test_a_time_that_is_none_or_has_passed_is_refused(expiry: dict[str, Any]) -> None:
    with pytest.raises(InvalidExpiry, match=r"vectors\[1\]") as caught:
        parse_batch([{"vector": [1, 2]}, {"vector": [1, 2], **expiry}], SPEC, NOW_US)
    assert caught.value.details["index"] == 1
