"""A status is written when it says something new, and counts no more often than needed."""

from __future__ import annotations

from typing import Any

import pytest

from hanax.core.errors import FailedPrecondition
from hanax_operator.objects import COLLECTION, key
from hanax_operator.status_patch import StatusWriter, merge_patch
from hanax_operator.store import Store
from tests.unit.operator.memory_api import MemoryApi, merged
from tests.unit.operator.samples import collection_object

NAME = key(COLLECTION, "docs")


def status(ready: bool = True, points: int = 7, revision: int = 1) -> dict[str, Any]:
    return {
        "phase": "Ready" if ready else "Degraded",
        "points": points,
        "shards": [{"shard": 0, "points": points, "revision": revision}],
    }


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ({}, {}, {}),
        ({}, {"a": 1}, {"a": 1}),
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1, "b": 2}, {"b": 3}, {"a": None, "b": 3}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"x": 1, "y": 3}}, {"a": {"y": 3}}),
        ({"a": [1, 2]}, {"a": [1]}, {"a": [1]}),
        ({"a": 1}, {"a": {"x": 1}}, {"a": {"x": 1}}),
    ],
)
def test_merge_patch(old: dict[str, Any], new: dict[str, Any], patch: dict[str, Any]) -> None:
    assert merge_patch(old, new) == patch
    assert merged(old, patch) == new


class Writing:
    def __init__(self) -> None:
        self.api, self.now = MemoryApi(), 0.0
        self.store = Store(())
        self.writer = StatusWriter(self.api.as_api(), self.store, lambda: self.now)
        self.api.objects[NAME] = collection_object("docs")

    async def write(self, **changes: Any) -> float | None:
        return await self.writer.write(self.api.objects[NAME], status(**changes))


async def test_only_what_is_new_is_written() -> None:
    writing = Writing()
    for _ in range(2):
        assert await writing.write() is None
    assert await writing.write(revision=2) is None
    assert writing.api.writes == 1
    found = writing.store.get(NAME)
    assert found is not None
    assert found["status"] == status()


async def test_counts_wait_their_time_and_are_not_forgotten() -> None:
    writing = Writing()
    await writing.write()
    writing.now += 4
    assert await writing.write(points=8) == 6
    assert writing.api.writes == 1
    writing.now += 6
    assert await writing.write(points=9) is None
    assert writing.api.objects[NAME]["status"]["points"] == 9


async def test_what_matters_does_not_wait() -> None:
    writing = Writing()
    await writing.write()
    assert await writing.write(ready=False, points=8) is None
    assert writing.api.writes == 2


async def test_a_change_by_somebody_else_is_not_taken_for_known() -> None:
    """It would come with the answer into the store, and wake nobody when it is heard of."""
    writing = Writing()
    await writing.write()
    seen = writing.api.objects[NAME]
    changed = {**seen["spec"], "targetRecall": 0.9}
    await writing.api.merge_patch(NAME, {"spec": changed})
    with pytest.raises(FailedPrecondition):
        await writing.writer.write(seen, status(ready=False))
    assert writing.store.get(NAME) == seen
    assert writing.store.put(writing.api.objects[NAME]), "it is news"
    await writing.write(ready=False)
    assert writing.api.objects[NAME]["status"]["phase"] == "Degraded"
