"""A kill or a power cut before every single step of opening, writing, sealing, merging, indexing and copying.

Whatever is acknowledged by then must be there, the write in progress wholly or not at all.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hanax.core.filter_parsing import parse_filter
from hanax.core.ids import PointId, decode_id
from hanax.core.index_specs import FlatIndex, Indexing, ScalarQuantisation
from hanax.engine.shard import ShardOptions, index_plans
from tests.unit.engine.crashes import STEPS, Disk
from tests.unit.engine.rigs import Rig

State = dict[PointId, Any]

OPTIONS = ShardOptions(
    indexing=Indexing(index=FlatIndex(), quantisation=ScalarQuantisation()), build_threads=1
)

# Names of the steps that some work must have gone through, or it was not watched.
EXPECTED_STEPS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "open"}


@pytest.fixture(autouse=True)
def indexed(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few the rows."""
    monkeypatch.setattr(index_plans, "LEAST_ROWS", 1)


class Script:
    """A shard's life in one thread, and what its points are before and after each piece of work."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rig: Rig | None = None
        self.state: State = {}

    def works(self) -> Iterator[tuple[Callable[[], object], State]]:
        """Each piece of work, and the state that it leads to."""
        yield self.open, {}
        yield from self._put(range(8), 1)
        yield self.seal, self.state
        yield self.index, self.state
        yield from self._put(range(6, 12), 2)
        yield from self._delete([1, 11])
        yield self.seal, self.state
        yield self.close, self.state
        yield self.open, self.state
        yield from self._put([20, 21], 3)
        yield self.reopen, self.state
        yield from self._put([22], 4)
        yield from self._delete([20])
        yield self.seal, self.state
        yield self.snapshot, self.state
        yield self.compact, self.state
        yield from self._put([1, 30], 5)
        yield self.compact, self.state
        everything = parse_filter([{"field": "v", "operator": "exists"}])
        yield lambda: self._shard().delete_matching(everything), {}
        yield self.compact, {}
        yield from self._put([1], 6)
        yield self.close, self.state

    def _put(self, ids: Any, version: int) -> Iterator[tuple[Callable[[], object], State]]:
        after = {**self.state, **{id_: {"v": version} for id_ in ids}}
        assert self.rig is not None
        rig = self.rig
        yield lambda: rig.upsert(list(ids), metadata=[{"v": version}] * len(ids)), after

    def _delete(self, ids: list[int]) -> Iterator[tuple[Callable[[], object], State]]:
        after = {id_: item for id_, item in self.state.items() if id_ not in ids}
        assert self.rig is not None
        rig = self.rig
        yield lambda: rig.delete(ids), after

    def _shard(self) -> Any:
        assert self.rig is not None
        return self.rig.shard

    def open(self) -> None:
        self.rig = Rig(self.folder, options=OPTIONS)
        # Maintenance runs in this thread alone.
        self.rig.background.close()

    def seal(self) -> None:
        self._shard().seal()

    def index(self) -> None:
        assert self._shard()._maintenance.index()
        assert [stats.state for stats in self._shard().stats().indexes] == ["built"]

    def compact(self) -> None:
        self._shard().compact()

    def snapshot(self) -> None:
        self._shard().snapshot(self.folder.parent / "copy")

    def close(self) -> None:
        assert self.rig is not None
        self.rig.close()

    def reopen(self) -> None:
        self.close()
        self.open()


def read(folder: Path) -> State:
    with Rig(folder, options=OPTIONS) as rig:
        found = rig.ids()
        assert {id_ for id_, _ in rig.search([0, 0], 100)} == set(found)
        assert len(found) == len(set(found)) == rig.shard.count()
        state = rig.get(found)
        assert [decode_id(id_) for id_ in rig.shard.scroll(None, 1_000)[0].ids] == found
        # It takes writes, and they last.
        rig.upsert(["after"])
    with Rig(folder) as rig:
        assert set(rig.ids()) == {*found, "after"}
    return state


def test_a_kill_at_every_step(folder: Path) -> None:
    script = Script(folder / "s")
    script.folder.mkdir()
    seen: set[str] = set()
    points = 0

    for work, after in script.works():
        allowed = [script.state, after]
        steps: list[str] = []

        def crash(what: str, allowed: list[State] = allowed, steps: list[str] = steps) -> None:
            steps.append(what)
            shutil.copytree(script.folder, folder / "crashed")
            assert read(folder / "crashed") in allowed, f"before step {len(steps)}, {what}"
            shutil.rmtree(folder / "crashed")

        with STEPS.watched(crash):
            work()
        script.state = after
        if script.rig is not None and work != script.close:
            assert script.rig.get(script.rig.ids()) == after
        seen |= {step.split()[0] for step in steps}
        points += len(steps)
    assert seen == EXPECTED_STEPS
    assert points > 200
    with Rig(folder / "copy", options=OPTIONS) as copy:
        assert set(copy.ids()) == {0, *range(2, 11), 21, 22}


def test_a_power_cut_at_every_step(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that were not synced are gone, kept, or kept in some folders, by turns."""
    script = Script(folder / "s")
    script.folder.mkdir()
    source = random.Random(7)
    disk = Disk(script.folder)
    points = 0

    def cut(allowed: list[State], what: str) -> None:
        nonlocal points
        points += 1
        disk.after_power_cut(folder / "cut", source, late=points % 3 / 2)
        with monkeypatch.context() as patch:
            # What this reading of it syncs is on another disk.
            patch.setattr(disk, "take", lambda handle: None)
            assert read(folder / "cut") in allowed, f"before step {points}, {what}"
        shutil.rmtree(folder / "cut")

    with disk.followed(monkeypatch):
        for work, after in script.works():
            allowed = [script.state, after]
            with STEPS.watched(lambda what, allowed=allowed: cut(allowed, what)):  # type: ignore[misc]
                work()
            script.state = after
            # What has been acknowledged is sure.
            cut([after], "the end of the work")
    assert points > 150


def test_a_power_cut_after_a_kill(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The killed process had written a record and not synced it. The next one built upon it."""
    shard = folder / "s"
    shard.mkdir()
    disk = Disk(shard)
    with disk.followed(monkeypatch):
        Rig(shard).close()
        rig = Rig(shard)
        rig.upsert([1])
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", lambda handle: None)
            rig.upsert([2])
        # Closing syncs nothing: to the folder this is a kill.
        rig.close()
        rig.open()
        assert set(rig.ids()) == {1, 2}
        rig.upsert([3])
        disk.after_power_cut(folder / "cut", random.Random(0), late=0.0)
        rig.close()
    with Rig(folder / "cut") as rig:
        assert set(rig.ids()) == {1, 2, 3}
