"""One surface: whatever the transport, and whether it is awaited, the same calls answer the same."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

import hanax
from hxp_vector_client import Batches, Field, at_least, has_id
from hxp_vector_client.errors import (
    AliasNotFound,
    NotFound,
    NotSupported,
    PointNotFound,
    VectorError,
    VersionConflict,
)
from tests.integration.sdk.conftest import MODEL, Client
from tests.integration.waiting import until_asked

_ROWS = np.eye(4, dtype=np.float32)
_METADATA = [{"year": 2020, "tags": ["a"]}, {"year": 2021, "tags": ["a", "b"]}, {"year": 2021}, {}]
_IDS = [1, 2, "three", "0b39e0ae-4ba5-4b69-9b9a-3f4b8a1f1e11"]


async def _filled(client: Client, name: str) -> None:
    await client("collections.create", name, 4, shards=2, metric="dot")
    await client("upsert", name, _ROWS, ids=_IDS, metadata=_METADATA)


async def test_a_collection_is_made_described_changed_and_deleted(client: Client, name: str) -> None:
    made = await client(
        "collections.create",
        name,
        4,
        metric="euclidean",
        index={"type": "hnsw", "m": 8},
        quantisation={"type": "int8"},
        payload_indexes={"title": "text"},
        ttl_seconds=1_000,
    )
    assert (made.name, made.dimension, made.metric, made.state) == (name, 4, "euclidean", "ready")
    assert made.index is not None
    assert (made.index["type"], made.index["m"], made.quantisation) == ("hnsw", 8, {"type": "int8"})
    assert (made.payload_indexes, made.ttl_seconds) == ({"title": "text"}, 1_000)
    changed = await client("collections.update", name, target_recall=0.9, quantisation=None)
    assert (changed.target_recall, changed.quantisation) == (0.9, None)
    stats = await client("collections.stats", name)
    assert stats.points == 0
    assert stats.index_totals.settled
    assert [shard.state for shard in stats.shard_states] == ["ready"]
    assert stats.created_at.tzinfo is not None
    assert name in [one.name for one in await client("collections.list")]
    assert await client("collections.exists", name)
    await client("collections.delete", name)
    assert not await client("collections.exists", name)


async def test_aliases_are_made_moved_and_removed(client: Client, name: str) -> None:
    await client("collections.create", name, 4)
    alias = f"{name}-a"
    await client("aliases.set", alias, name)
    assert await client("aliases.get", alias) == name
    assert (await client("aliases.list"))[alias] == name
    assert (await client("collections.get", alias)).aliases == [alias]
    await client("aliases.delete", alias)
    with pytest.raises(AliasNotFound):
        await client("aliases.get", alias)
    await client("aliases.set", alias, name)
    await client("collections.delete", name, with_aliases=True)


async def test_points_come_back_as_they_were_sent(client: Client, name: str) -> None:
    await client("collections.create", name, 4, shards=2, metric="dot")
    stored = await client("upsert", name, _ROWS, ids=_IDS, metadata=_METADATA)
    assert (stored.inserted, stored.updated, stored.ids) == (4, 0, _IDS)
    assert len([version for version in stored.versions if version]) == 4
    found = await client("get", name, [*_IDS, "none"])
    assert (found.ids, found.missing) == (_IDS, ["none"])
    assert [point.metadata for point in found] == _METADATA
    assert [point.version for point in found] == stored.versions
    np.testing.assert_array_equal(found.vectors, _ROWS)
    assert found.vectors.dtype == np.float32
    assert abs(found[0].created_at - datetime.now(UTC)) < timedelta(hours=1)
    one = await client("get_one", name, uuid.UUID(str(_IDS[3])), include_vectors=False)
    assert (one.id, one.vector) == (_IDS[3], None)
    with pytest.raises(PointNotFound):
        await client("get_one", name, 99)


async def test_modes_say_which_points_are_written(client: Client, name: str) -> None:
    await _filled(client, name)
    inserted = await client("insert", name, _ROWS[:2], ids=[1, 5])
    assert (inserted.inserted, inserted.skipped) == (1, [1])
    updated = await client("update", name, _ROWS[:2], ids=[1, 6])
    assert (updated.updated, updated.skipped) == (1, [6])
    assert updated.versions[1] is None
    versions = (await client("get", name, [1, 2])).points
    with pytest.raises(VersionConflict) as refused:
        await client("upsert", name, _ROWS[:1], ids=[1], if_versions=[versions[0].version + 1])
    assert refused.value.details["conflicts"][0]["id"] == 1
    await client("upsert", name, _ROWS[:2], ids=[1, 2], if_versions=[versions[0].version, None])


async def test_points_are_written_as_objects_with_texts_and_vectors(client: Client, name: str) -> None:
    await client("collections.create", name, 384, embedding_model=MODEL)
    later = datetime.now(UTC) + timedelta(days=1)
    vector = np.random.default_rng(1).standard_normal(384)
    stored = await client(
        "write_points",
        name,
        [
            {"id": 1, "text": "checksums are computed", "metadata": {"n": 1}, "expires_at": later},
            {"id": 2, "vector": vector, "ttl_seconds": 1_000},
            {"text": "another one"},
        ],
    )
    assert stored.inserted == 3
    assert isinstance(stored.ids[2], str)
    found = await client("get", name, [1, 2])
    assert found[0].metadata == {"n": 1, "text": "checksums are computed"}
    assert found[0].provenance.model == MODEL
    assert abs(found[0].expires_at - later) < timedelta(milliseconds=1)
    assert found[1].provenance is None
    assert found[1].expires_at is not None
    hits = await client("search", name, text="checksums are computed", limit=1)
    assert hits.ids == [1]


async def test_searches_find_by_vector_point_and_filter(client: Client, name: str) -> None:
    await _filled(client, name)
    query = np.array([1.0, 0.9, 0.8, 0.1])
    found = await client("search", name, query, include_vectors=True, include_version=True)
    assert found.ids == _IDS
    assert len(found) == 4
    np.testing.assert_allclose(found.scores, query, rtol=1e-6)
    np.testing.assert_array_equal(found.vectors, _ROWS)
    assert found[1].metadata == _METADATA[1]
    assert found[1].version is not None
    newer = await client("search", name, list(query), filter=Field("year") >= 2021, limit=1)
    assert newer.ids == [2]
    assert newer[0].vector is None
    page = await client("search", name, query, limit=1, offset=1, include_total=True, include_metadata=False)
    assert (page.ids, page.has_more, page.total_count) == ([2], True, 4)
    assert page[0].metadata is None
    some = await client("search", name, query, include_metadata=["year"], limit=1)
    assert some[0].metadata == {"year": 2020}
    assert 1 not in (await client("search", name, like=1)).ids
    diverse = await client("search", name, query, mmr={"diversity": 0.5}, exact=True, score_threshold=0.5)
    assert set(diverse.ids) == set(_IDS[:3])
    explained = await client("search", name, query, explain=True)
    assert explained.explanation is not None


async def test_searches_in_batches_in_groups_and_by_examples(client: Client, name: str) -> None:
    await _filled(client, name)
    batch = await client("search_batch", name, _ROWS[:2], limit=1)
    assert [found.ids for found in batch] == [[1], [2]]
    mixed = await client("search_batch", name, [{"vector": [0, 0, 0, 1]}, {"id": 1}], limit=1)
    assert mixed[0].ids == [_IDS[3]]
    groups = await client("search_groups", name, "year", [0.1, 1.0, 0.5, 0.0], group_size=2)
    assert (groups[0].value, [hit.id for hit in groups[0].hits]) == (2021, [2, "three"])
    alike = await client("recommend", name, [1, _ROWS[1]], ["three"], strategy="best_score", limit=2)
    assert 1 not in alike.ids


async def test_all_points_are_read_page_by_page(client: Client, name: str) -> None:
    await _filled(client, name)
    found = await client("scroll", name, page_size=2, include_vectors=True)
    assert {point.id for point in found} == set(_IDS)
    assert all(point.vector is not None for point in found)
    by_year = await client("scroll", name, order_by={"field": "year", "direction": "desc"}, limit=3)
    assert [point.metadata.get("year") for point in by_year] == [2021, 2021, 2020]
    pages = await client("pages", name, page_size=3)
    assert [len(page.points) for page in pages] == [3, 1]
    assert pages[0].next_cursor is not None
    rest = await client("pages", name, page_size=3, cursor=pages[0].next_cursor)
    assert [point.id for point in rest[0].points] == [point.id for point in pages[1].points]


async def test_counts_facets_and_values(client: Client, name: str) -> None:
    await _filled(client, name)
    assert await client("count", name) == 4
    assert await client("count", name, Field("tags").contains("b") | (Field("year") == 2020)) == 2
    assert await client("count", name, has_id([1, "three"]) & ~(Field("year") == 2020)) == 1
    assert await client("count", name, at_least(2, [Field("year") > 2020, {"tags": "a"}])) == 1
    facet = await client("facet", name, "tags")
    assert [(one.value, one.count) for one in facet.values] == [("a", 2), ("b", 1)]
    assert (facet.distinct, facet.matches) == (2, 4)
    assert await client("distinct", name, "year", page_size=1) == [2020, 2021]


async def test_metadata_is_changed_and_points_removed(client: Client, name: str) -> None:
    await _filled(client, name)
    changed = await client("set_metadata", name, [1, 99], merge={"new": [1]}, delete=["tags"])
    assert (changed.matched, changed.updated, changed.missing) == (1, 1, [99])
    assert (await client("get_one", name, 1)).metadata == {"year": 2020, "new": [1]}
    by_filter = await client("set_metadata", name, filter=Field("year") == 2021, replace={"year": 1})
    assert (by_filter.matched, by_filter.ids) == (2, None)
    assert await client("delete", name, filter={"year": 1}) == 2
    assert await client("delete", name, [1, 99]) == 1
    assert await client("count", name) == 1


async def test_many_points_go_in_batches_several_at_once(client: Client, name: str) -> None:
    await client("collections.create", name, 4)
    told: list[tuple[int, int | None]] = []
    small = client.options(batches=Batches(points=70, parallel=3))
    rows = np.random.default_rng(2).standard_normal((500, 4))
    stored = await small("upsert", name, rows, ids=range(500), progress=lambda *now: told.append(now))
    assert (stored.inserted, stored.ids) == (500, list(range(500)))
    assert told == [(done, 500) for done in (70, 140, 210, 280, 350, 420, 490, 500)]
    found = await client("get", name, [499])
    np.testing.assert_allclose(found.vectors[0], rows[499], rtol=1e-6)


async def test_a_stream_of_points_is_read_as_it_is_sent(client: Client, name: str) -> None:
    await client("collections.create", name, 4)
    taken = 0
    told: list[int] = []

    def points() -> Iterator[dict[str, Any]]:
        nonlocal taken
        for number in range(100):
            taken += 1
            yield {"id": number, "vector": [number, 1, 2, 3]}

    def progress(done: int, total: int | None) -> None:
        assert total is None
        told.append(done)
        # What is ahead of what is stored: the batches under way, and one that is being filled.
        assert taken <= done + 10 * (2 + 2)

    small = client.options(batches=Batches(points=10, parallel=2))
    tally = await small("stream", name, points(), progress=progress)
    assert (tally.points, tally.inserted, told[-1]) == (100, 100, 100)


async def test_texts_are_embedded(client: Client) -> None:
    made = await client("embed", ["first text", "second"], model=MODEL, purpose="query")
    assert made.vectors.shape == (2, 384)
    assert (made.vectors.dtype, made.model, made.dimension) == (np.float32, MODEL, 384)
    np.testing.assert_allclose(np.linalg.norm(made.vectors, axis=1), 1.0, rtol=1e-5)
    one = await client("embed", "first text", normalize=False)
    assert one.vectors.shape == (1, 384)
    assert MODEL in [status.model for status in await client("models.status")]


async def test_what_a_transport_can_not_do_has_a_name(client: Client) -> None:
    """The list of what is missing; a new operation has to find its place in it, or a way."""
    pages: list[tuple[str, tuple[Any, ...]]] = [("database_health", ()), ("metrics", ())]
    graphql = [("ready", ()), ("jobs.result", ("j",))]
    missing = {"rest": [], "grpc": pages, "graphql": [*pages, *graphql]}
    for path, given in missing[client.transport]:
        with pytest.raises(NotSupported):
            await client(path, *given)


async def test_the_platform_tells_of_itself(client: Client, name: str) -> None:
    await client("collections.create", name, 2)
    await client("upsert", name, [[1.0, 0.0]], ids=[1])
    assert await client("health")
    if client.transport == "rest":
        assert await client("version") == hanax.__version__
        assert "vector_db_requests_total" in await client("metrics")
    stats = await client("cache_stats")
    assert (stats.state, stats.hits >= 0, stats.misses >= 0) == ("ok", True, True)
    warmed = await client("warm_cache", limit=1)
    assert (warmed.asked <= 1, warmed.failed) == (True, 0)
    assert await client("clear_cache") >= 0

    # Noted about a second after it ended.
    logged = await until_asked(
        "it is logged", lambda: client("operations", collection=name, operation="insert", page_size=1)
    )
    assert [(one.collection, one.outcome, one.items) for one in logged] == [(name, "ok", 1)]


async def test_names_are_not_taken_for_paths(client: Client) -> None:
    for strange in ("a/b", "a?b", "a b", "ä"):
        # REST knows no such route where a name has a slash.
        with pytest.raises(NotFound) as refused:
            await client("collections.get", strange)
        assert refused.value.code in ("collection_not_found", "not_found")
    with pytest.raises(VectorError):
        await client("collections.delete", "..")
