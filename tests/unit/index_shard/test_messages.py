"""Decoding the wire: what comes through is what was sent, and nothing of a wrong size does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadel.vector.v1 import shard_pb2 as pb
from hanax.core.errors import InvalidArgument, InvalidCursor, InvalidId, ResourceExhausted
from hanax.core.ids import encode_id
from hanax.core.index_specs import SearchParameters
from hanax.core.limits import MAX_DIMENSION, MAX_FIELDS_TOLD, MAX_MESSAGE_BYTES
from hanax.engine.points import Hits, Points, Projection
from hanax.engine.shard.results import IndexStats, MetadataStats, ShardStats
from hanax.index_shard import messages

shapes = st.tuples(st.integers(0, 5), st.integers(1, 9))


@given(shapes, st.integers(0, 2**32 - 1))
def test_rows_survive(shape: tuple[int, int], seed: int) -> None:
    rows = np.random.default_rng(seed).standard_normal(shape).astype("<f4")
    decoded = messages.decode_rows(rows.tobytes(), shape[1])
    assert decoded.dtype == np.float32
    assert np.array_equal(decoded, rows)


@given(st.binary(max_size=64), st.integers(0, 2**32 - 1))
def test_any_bytes_are_rows_or_refused(raw: bytes, dimension: int) -> None:
    if 0 < dimension <= MAX_DIMENSION and len(raw) % (4 * dimension) == 0:
        assert messages.decode_rows(raw, dimension).shape == (len(raw) // 4 // dimension, dimension)
    else:
        with pytest.raises(InvalidArgument):
            messages.decode_rows(raw, dimension)


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=3))
def test_any_bytes_are_ids_or_refused(ids: list[bytes]) -> None:
    try:
        decoded = messages.decode_ids(ids)
    except InvalidId:
        return
    assert decoded == ids


def test_a_cursor_is_an_id_or_nothing() -> None:
    assert messages.decode_after(b"") is None
    assert messages.decode_after(encode_id(7)) == encode_id(7)
    with pytest.raises(InvalidCursor, match="after_id"):
        messages.decode_after(b"\x01")


def test_vectors_past_one_message_are_refused_before_they_are_read() -> None:
    most = MAX_MESSAGE_BYTES // 4 // 1_024
    wanted = pb.Projection(vectors=True)
    assert messages.decode_projection(wanted, most, 1_024) == Projection(metadata=False, vectors=True)
    with pytest.raises(ResourceExhausted):
        messages.decode_projection(wanted, most + 1, 1_024)
    assert messages.decode_projection(pb.Projection(metadata=True), most + 1, 1_024).metadata


def test_hits_become_columns() -> None:
    points = Points(
        ids=[b"a", b"b"],
        metadata=[b"{}", b'{"n":1}'],
        vectors=np.arange(6, dtype=np.float32).reshape(2, 3),
        created_at_us=np.array([1, 2]),
        updated_at_us=np.array([3, 4]),
    )
    encoded = messages.encode_hits(Hits(np.array([0.5, 1.5], np.float32), points))
    assert list(encoded.distances) == [0.5, 1.5]
    assert list(encoded.points.ids) == [b"a", b"b"]
    assert list(encoded.points.metadata) == [b"{}", b'{"n":1}']
    assert list(encoded.points.created_at_us) == [1, 2]
    assert list(encoded.points.updated_at_us) == [3, 4]
    (vectors,) = encoded.points.vectors
    assert messages.decode_rows(vectors.float32_le, vectors.dimension).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_columns_left_out_stay_out() -> None:
    times = np.zeros(1, np.int64)
    encoded = messages.encode_points(Points([b"a"], None, None, times, times))
    assert (len(encoded.ids), len(encoded.metadata), len(encoded.vectors)) == (1, 0, 0)


def test_an_answer_that_grpc_would_refuse_is_refused_first(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = pb.GetResponse(points=pb.Points(metadata=[b"x" * 100]))
    messages.check_answer(answer)
    monkeypatch.setattr(messages, "MAX_MESSAGE_BYTES", answer.ByteSize() - 1)
    with pytest.raises(ResourceExhausted, match="ask for fewer points"):
        messages.check_answer(answer)


def test_search_parameters_come_through() -> None:
    assert messages.decode_parameters(pb.SearchRequest()) == SearchParameters()
    asked = pb.SearchRequest(parameters=pb.SearchParameters(exact=True, ef_search=7, probes=3))
    assert messages.decode_parameters(asked) == SearchParameters(exact=True, ef_search=7, probes=3)


@pytest.mark.parametrize(
    ("name", "value"), [("ef_search", 0), ("ef_search", 10_001), ("nprobe", 65_537), ("probes", 2**32 - 1)]
)
def test_search_parameters_out_of_range_are_named(name: str, value: int) -> None:
    asked = pb.SearchRequest(parameters=pb.SearchParameters(**{name: value}))  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match=f"{name}: .*, got {value}"):
        messages.decode_parameters(asked)


def test_what_was_not_measured_is_absent() -> None:
    """NaN has no place in JSON, and 0 would be a bad recall."""
    exact = IndexStats("s1", "default", 10, "built", "flat", "none", 0, math.nan, 0, "few")
    measured = IndexStats("s2", "default", 20, "waiting", "ivf", "product", 8, 0.97, 400, "")
    stats = ShardStats(1, 2, 3, 4, 5, 6, 7, 8, "", [exact, measured], 400, math.nan, 0)
    told = messages.encode_stats(stats, 9)
    assert (told.points, told.log_bytes, told.generation, told.index_memory_bytes) == (1, 8, 9, 400)
    assert not told.HasField("live_recall")
    first, second = told.indexes
    assert not first.HasField("recall")
    assert (first.segment, first.reason) == ("s1", "few")
    assert (second.recall, second.state, second.effort, second.memory_bytes) == (0.97, "waiting", 8, 400)


def test_metadata_indexes_are_told_with_a_bounded_list_of_names() -> None:
    left_out = tuple(f"f{number:03}" for number in range(MAX_FIELDS_TOLD + 1))
    metadata = MetadataStats(256, left_out, True, 7, 1_000)
    stats = ShardStats(1, 2, 3, 4, 5, 6, 7, 8, "", [], 0, math.nan, 0, metadata)
    told = messages.encode_stats(stats, 1).metadata
    assert (told.fields, told.field_limit_reached, told.unindexed_rows, told.bytes) == (256, True, 7, 1_000)
    assert tuple(told.left_out) == left_out[:MAX_FIELDS_TOLD]
