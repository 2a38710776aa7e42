"""The provenance of a vector stays with its point, whatever becomes of the metadata beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from hanax.core.errors import MetadataTooLarge
from hanax.core.ids import encode_id
from hanax.core.limits import MAX_METADATA_BYTES
from hanax.engine.filters.collecting import Collector
from hanax.engine.shard import MetadataChange
from tests.unit.engine.rigs import Rig

KEPT: dict[str, Any] = {
    "_embedding": {"model": "m", "version": "1", "at": "2026-01-02T03:04:05Z", "content_hash": "ab"}
}


@pytest.fixture
def rig(folder: Path) -> Any:
    """Point 1 has a vector that was embedded, point 2 one of a user's own."""
    with Rig(folder / "s") as opened:
        opened.upsert([1, 2], metadata=[{**KEPT, "year": 1}, {"year": 2}])
        yield opened


def test_a_replacement_keeps_it_and_adds_none(rig: Rig) -> None:
    ids = [encode_id(1), encode_id(2)]
    rig.shard.update_metadata(ids, [b'{"a":1}', b'{"a":2}'], replace=True)
    expected = {1: {**KEPT, "a": 1}, 2: {"a": 2}}
    assert rig.get([1, 2]) == expected
    rig.reopen()
    assert rig.get([1, 2]) == expected
    # The first key, so that it can be taken off without decoding the rest.
    assert list(rig.get([1])[1]) == ["_embedding", "a"]


@pytest.mark.parametrize("sealed", [False, True])
def test_a_change_of_many_points_keeps_it(rig: Rig, sealed: bool) -> None:
    if sealed:
        rig.shard.seal()
    change = MetadataChange(b'{"b":1}', replace=True)
    done = rig.shard.metadata_changes.by_ids([encode_id(1), encode_id(2)], change)
    assert rig.get([1, 2]) == {1: {**KEPT, "b": 1}, 2: {"b": 1}}
    # Once more changes nothing: provenance counts as there already.
    again = rig.shard.metadata_changes.by_ids([encode_id(1), encode_id(2)], change)
    assert (done.updated, again.updated) == (2, 0)


def test_a_new_vector_takes_it_away(rig: Rig) -> None:
    rig.upsert([1], metadata=[{"year": 3}])
    assert rig.get([1]) == {1: {"year": 3}}


def test_it_does_not_count_against_what_a_user_may_store(rig: Rig) -> None:
    frame = len(json.dumps({"a": ""}))
    largest = {"a": "x" * (MAX_METADATA_BYTES - frame)}
    rig.upsert([1], metadata=[{**KEPT, **largest}])
    rig.upsert([2], metadata=[largest])
    rig.shard.update_metadata([encode_id(1)], [orjson.dumps(largest)], replace=True)
    assert rig.get([1]) == {1: {**KEPT, **largest}}
    with pytest.raises(MetadataTooLarge):
        rig.shard.update_metadata([encode_id(2)], [b'{"b":1}'], replace=False)


def test_what_differs_in_nearly_every_point_has_no_index_unless_it_is_pinned() -> None:
    raw = [orjson.dumps(KEPT)]
    collector = Collector({})
    collector.add(raw)
    index = collector.finish()
    assert {"_embedding.model", "_embedding.version"} <= index.paths
    assert not {"_embedding.content_hash", "_embedding.at"} & index.paths
    # Left out, and not absent: filters on them look at the points.
    assert not index.is_absent("_embedding.content_hash")
    pinned = Collector({"_embedding.content_hash": "keyword"})
    pinned.add(raw)
    assert "_embedding.content_hash" in pinned.finish().paths
