"""Batches: columns in order, defaults, and where each fault is."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import orjson
import pytest

from hanax.core.errors import DuplicateId, HanaxError, InvalidArgument, NonFiniteVector
from hanax.core.ids import decode_id
from hanax.core.limits import MAX_METADATA_BYTES
from hanax.core.specs import CollectionSpec
from hanax.gateway.batches import parse_batch
from hanax.gateway.metadata import encode_metadata

SPEC = CollectionSpec(name="docs", dimension=2, embedding_model="some-model")


def test_columns_are_in_the_order_of_the_batch() -> None:
    batch = parse_batch(
        [
            {"id": 3, "vector": [1, 2], "metadata": {"a": 1}},
            {"id": "x", "text": "hello"},
            {"id": 1, "embedding": [3, 4], "text": None, "metadata": None},
            {"id": "y", "text": "there", "metadata": {"text": "mine"}},
        ],
        SPEC,
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
    batch = parse_batch([{"vector": [1, 2]}], SPEC)
    assert batch.with_embeddings(np.empty((0, 2), dtype=np.float32)) is batch.given


def test_missing_ids_are_random_uuids() -> None:
    batch = parse_batch([{"vector": [1, 2]}, {"vector": [1, 2], "id": None}], SPEC)
    made = [uuid.UUID(str(decode_id(encoded))) for encoded in batch.ids]
    assert len(set(made)) == 2
    assert all(one.version == 4 for one in made)


def test_a_metadata_object_of_the_caller_is_left_alone() -> None:
    metadata: dict[str, Any] = {"a": 1}
    parse_batch([{"text": "hello", "metadata": metadata}], SPEC)
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
        )
    assert caught.value.details == {"first": 0, "index": 2}
    # An integer and its digits are two ids.
    assert len(parse_batch([{"id": 7, "vector": [1, 2]}, {"id": "7", "vector": [1, 2]}], SPEC).ids) == 2


def test_a_vector_fault_is_found_among_texts() -> None:
    points: list[dict[str, Any]] = [{"text": "a"}, {"vector": [1, 2]}, {"text": "b"}, {"vector": [1, 1e39]}]
    with pytest.raises(NonFiniteVector, match=r"vectors\[3\]") as caught:
        parse_batch(points, SPEC)
    assert caught.value.details["index"] == 3


@pytest.mark.parametrize("points", [None, "ab", {"vector": [1, 2]}, 7, []])
def test_what_is_no_list_of_points_is_refused(points: object) -> None:
    with pytest.raises(InvalidArgument, match=r"vectors: expected"):
        parse_batch(points, SPEC)


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
