"""From an item to a point, or to the dead letter that says what was wrong with it."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import orjson
import pytest

from hanax.batch_processor.feeds import Sizes, take
from hanax.batch_processor.made_ids import IdMaker
from hanax.batch_processor.points import Point, PointReader, Shape
from hanax.batch_processor.sources import Item
from hanax.core.distances import Metric
from hanax.core.errors import InvalidJson
from hanax.core.ids import decode_id, encode_id
from hanax.core.job_specs import BulkEmbed, BulkInsert, JobKind
from hanax.core.limits import MAX_METADATA_BYTES, MAX_TEXT_BYTES
from hanax.metadata.jobs.job import MAX_ITEM_BYTES, FailedItem, Job, JobState

JOB = Job(uuid.UUID(int=7).hex, JobKind.BULK_EMBED, JobState.RUNNING, {}, 5, 1_000_000, 0, collection="a")
SHAPE = Shape(2, Metric.COSINE)


def embed(**more: Any) -> PointReader:
    return PointReader(JOB, BulkEmbed(kind=JobKind.BULK_EMBED, collection="a", **more), SHAPE)


def insert(**more: Any) -> PointReader:
    return PointReader(JOB, BulkInsert(kind=JobKind.BULK_INSERT, collection="a", **more), SHAPE)


def point(reader: PointReader, fields: dict[str, Any], number: int = 3) -> Point:
    read = reader.read(Item(number, None, fields))
    assert isinstance(read, Point), read
    return read


def refused(reader: PointReader, fields: dict[str, Any]) -> str:
    """In a batch with a good one, which goes on."""
    good = (
        {"vector": [1, 2]}
        if isinstance(reader.read(Item(0, 1, {"text": "a"})), FailedItem)
        else {"text": "a"}
    )
    batch = take(iter([Item(2, 3, good), Item(3, 4, fields)]), reader, Sizes(10))
    assert [point.number for point in batch.points] == [2]
    (failed,) = batch.failed
    assert (failed.number, failed.line) == (3, 4)
    return failed.code


def test_the_rest_of_a_row_is_its_metadata_unless_it_has_an_object() -> None:
    read = point(embed(), {"id": 7, "text": "hello", "year": 1990})
    assert (read.id, read.text, orjson.loads(read.metadata)) == (encode_id(7), "hello", {"year": 1990})
    read = point(embed(), {"id": 7, "text": "hello", "year": 1990, "metadata": {"a": 1}})
    assert orjson.loads(read.metadata) == {"a": 1}
    assert point(embed(metadata="none"), {"text": "hello", "year": 1990}).metadata == b""
    assert orjson.loads(point(embed(metadata="rest"), {"text": "x", "metadata": 5}).metadata) == {
        "metadata": 5
    }
    assert refused(embed(metadata="object"), {"text": "x", "metadata": 5}) == "invalid_metadata"


def test_vectors_beside_the_one_that_is_stored_are_finite_too() -> None:
    other = np.array([1, np.nan], dtype="f4")
    assert refused(insert(), {"vector": [1, 2], "other": other}) == "invalid_metadata"
    assert point(insert(metadata="none"), {"vector": [1, 2], "other": other}).metadata == b""


def test_a_row_without_id_gets_one_of_job_and_number() -> None:
    """So that a row that is sent twice is one point."""
    made = [point(embed(), {"text": "x"}, number).id for number in (0, 1, 255, 256, 10**9)]
    assert made == [point(embed(), {"text": "y"}, number).id for number in (0, 1, 255, 256, 10**9)]
    assert len(set(made)) == len(made)
    for encoded in made:
        read = uuid.UUID(str(decode_id(encoded)))
        assert (read.version, read.variant) == (8, uuid.RFC_4122)
    other = IdMaker(uuid.UUID(int=8).hex)
    assert other.of(1) != made[1]
    # As many at once are the same as one by one.
    assert IdMaker(JOB.id).run(254, 5) == [IdMaker(JOB.id).of(number) for number in range(254, 259)]
    assert point(embed(id_field="key"), {"key": "a", "id": "b", "text": "x"}).id == encode_id("a")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"id": 1}, "invalid_argument"),
        ({"text": 5}, "invalid_text"),
        ({"text": "  \n"}, "invalid_text"),
        ({"text": "a" * (MAX_TEXT_BYTES + 1)}, "text_too_long"),
        ({"text": "a", "id": -1}, "invalid_id"),
        ({"text": "a", "id": 1.5}, "invalid_id"),
        ({"text": "a", "id": "x" * 129}, "invalid_id"),
        ({"text": "a", "more": "x" * MAX_METADATA_BYTES}, "metadata_too_large"),
    ],
)
def test_a_text_that_can_not_be_stored_fails(fields: dict[str, Any], code: str) -> None:
    assert refused(embed(), fields) == code


@pytest.mark.parametrize(
    ("vector", "code"),
    [
        (None, "invalid_argument"),
        ([1.0], "dimension_mismatch"),
        ([1.0, True], "invalid_argument"),
        ([1.0, "a"], "invalid_argument"),
        ("[1, 2, 3]", "dimension_mismatch"),
        ("1, 2", "invalid_argument"),
        ([0, 0], "zero_vector"),
        ([1e40, 0], "non_finite_vector"),
        ([10**400, 0], "non_finite_vector"),
        (np.array([np.nan, 1], "f4"), "non_finite_vector"),
    ],
)
def test_a_vector_that_can_not_be_stored_fails(vector: object, code: str) -> None:
    assert refused(insert(), {"vector": vector}) == code


@pytest.mark.parametrize("vector", [[1, 2.5], "[1, 2.5]", np.array([1, 2.5], "f4")])
def test_a_vector_may_be_a_list_or_a_cell_or_a_row(vector: object) -> None:
    read = point(insert(vector_field="v"), {"v": vector, "id": 1})
    assert read.vector is not None
    assert read.vector.tolist() == [1, 2.5]
    assert read.metadata == b""


def test_rows_may_be_points_as_an_insert_takes_them() -> None:
    reader = embed(rows="points")
    read = point(
        reader,
        {"id": 1, "text": "x", "metadata": {"a": 1}, "if_version": 4, "expires_at": "2040-01-01T00:00:00Z"},
    )
    assert (read.text, read.if_version, read.metadata) == ("x", 4, b'{"a":1}')
    assert read.expires_at_us == 2_208_988_800_000_000
    # Counted from when the job was ordered: the same whenever it is done.
    assert point(reader, {"embedding": [1, 1], "ttl_seconds": 2}).expires_at_us == 3_000_000
    assert refused(reader, {"text": "x", "vector": [1, 1]}) == "invalid_argument"
    assert refused(reader, {"text": "x", "year": 5}) == "invalid_argument"
    assert refused(reader, {"text": "x", "if_version": -2}) == "invalid_argument"
    assert refused(reader, {"text": "x", "expires_at": "soon"}) == "invalid_expiry"


def test_a_dead_letter_says_what_the_item_was() -> None:
    read = insert().read(Item(9, 10, {"id": "a", "vector": np.zeros(3, "f4")}))
    assert isinstance(read, FailedItem)
    assert (read.number, read.line, read.id, orjson.loads(read.item)) == (
        9,
        10,
        "a",
        {"id": "a", "vector": [0.0, 0.0, 0.0]},
    )
    long = embed().read(Item(9, 10, {"id": "a", "text": "", "more": "x" * MAX_ITEM_BYTES}))
    assert isinstance(long, FailedItem)
    assert (long.id, long.item) == ("a", "")
    broken = embed().read(Item(1, 2, {}, InvalidJson("line 2: not JSON")))
    assert isinstance(broken, FailedItem)
    assert (broken.code, broken.message, broken.item) == ("invalid_json", "line 2: not JSON", "")


def test_a_vector_that_json_can_not_hold_is_kept_in_the_upload_alone() -> None:
    """As JSON it would be another one, which a retry would take for what was sent."""
    reader = insert()
    batch = take(iter([Item(9, None, {"id": 1, "vector": np.array([np.nan, 1], "f4")})]), reader, Sizes(10))
    (failed,) = batch.failed
    assert (failed.code, failed.id, failed.item) == ("non_finite_vector", 1, "")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"id": 1.5}, "got the number 1.5"),
        ({"id": True}, "got true"),
        ({"id": [1]}, "got a list"),
        ({"id": 2.0**64}, "got the number 1.8446744073709552e+19"),
        ({"metadata": [1]}, "metadata: expected an object, got a list"),
        ({"metadata": {"a": orjson.loads("[" * 500 + "]" * 500)}}, "metadata: at most 16 levels deep"),
    ],
)
def test_a_reason_is_in_the_words_of_json(fields: dict[str, Any], told: str) -> None:
    read = embed(metadata="object").read(Item(0, 1, {"text": "x", **fields}))
    assert isinstance(read, FailedItem)
    assert told in read.message
