"""Memory that builds share: who asks for too much is refused, who has to wait waits."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import pytest

from hanax.core.errors import Cancelled, ResourceExhausted
from hanax.core.index_specs import FlatIndex, HnswIndex, IvfIndex, KdTreeIndex, LshIndex, NoQuantisation
from hanax.core.specs import PayloadIndex
from hanax.engine.filters.collecting import collecting_bytes
from hanax.engine.index.factory import Plan
from hanax.engine.shard.budget import MemoryBudget, build_bytes, merge_bytes
from tests.unit.engine.gates import Gate, MetadataGate, running
from tests.unit.engine.rigs import DEADLINE_S, Rig, wait_until

NEVER = threading.Event()


def test_more_than_the_limit_is_refused_at_once() -> None:
    budget = MemoryBudget()
    with (
        pytest.raises(ResourceExhausted, match="up to 2 MiB of memory, and 1 MiB are allowed"),
        budget.hold(2 << 20, 1 << 20, NEVER),
    ):
        pass
    with budget.hold(1 << 20, 1 << 20, NEVER):
        pass


def test_builds_wait_for_each_other() -> None:
    budget = MemoryBudget()
    entered: list[int] = []
    gates = [threading.Event() for _ in range(3)]

    def build(number: int) -> None:
        with budget.hold(60, 130, NEVER):
            entered.append(number)
            assert gates[number].wait(DEADLINE_S)

    def has_entered(count: int) -> bool:
        return len(entered) == count

    threads = [threading.Thread(target=build, args=(number,)) for number in range(3)]
    for count, thread in enumerate(threads, 1):
        thread.start()
        wait_until("it has its turn, or waits", partial(has_entered, min(count, 2)))
    assert entered == [0, 1]
    gates[1].set()
    wait_until("the third has room", lambda: entered == [0, 1, 2])
    for gate in gates:
        gate.set()
    for thread in threads:
        thread.join(DEADLINE_S)
    with budget.hold(130, 130, NEVER):
        pass


def test_what_cannot_wait_is_counted() -> None:
    """It has its turn at once, also past the limit, and others wait for its end."""
    budget = MemoryBudget()
    entered, go = threading.Event(), threading.Event()

    def build() -> None:
        with budget.hold(30, 100, NEVER):
            entered.set()
            assert go.wait(DEADLINE_S)

    with budget.hold(60, 100, NEVER), budget.take(70):
        thread = threading.Thread(target=build)
        thread.start()
        assert not entered.is_set()
    assert entered.wait(DEADLINE_S)
    go.set()
    thread.join(DEADLINE_S)
    with budget.hold(100, 100, NEVER):
        pass


def held(rig: Rig) -> int:
    return rig.background.memory._held


def test_what_is_collected_of_metadata_is_counted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a segment is sealed, merged, or gets another metadata index."""
    metadata_gate = MetadataGate(monkeypatch)
    with Rig(folder) as rig:
        with monkeypatch.context() as patch:
            gate = Gate(patch, merges_only=False)
            rig.upsert(list(range(100)), None, [{"a": "b"}] * 100)
            sealing = threading.Thread(target=rig.shard.seal)
            with running(sealing):
                assert gate.reached.wait(DEADLINE_S)
                assert held(rig) == collecting_bytes(100)
                gate.go.set()
            wait_until("it is given back", lambda: held(rig) == 0)
        with monkeypatch.context() as patch:
            gate = Gate(patch, merges_only=False)
            rig.delete([0])
            rig.shard.seal()
            compacting = threading.Thread(target=rig.shard.compact)
            with running(compacting):
                assert gate.reached.wait(DEADLINE_S)
                assert held(rig) == merge_bytes(99) > collecting_bytes(99)
                gate.go.set()
            wait_until("it is given back", lambda: held(rig) == 0)
        rig.shard.set_payload_indexes({"a": PayloadIndex.TEXT})
        assert metadata_gate.reached.wait(DEADLINE_S)
        assert held(rig) == collecting_bytes(99)
        metadata_gate.go.set()
        assert rig.shard.wait_until_indexed(DEADLINE_S)
        assert held(rig) == 0


def test_memory_comes_back_from_a_build_that_failed() -> None:
    budget = MemoryBudget()
    with pytest.raises(ValueError, match="defect"), budget.hold(100, 100, NEVER):
        raise ValueError("a defect")
    with budget.hold(100, 100, NEVER):
        pass


def test_closing_ends_the_wait() -> None:
    budget = MemoryBudget()
    stopped, ended = threading.Event(), threading.Event()

    def build() -> None:
        with pytest.raises(Cancelled), budget.hold(100, 100, stopped):
            pass
        ended.set()

    with budget.hold(50, 100, NEVER):
        thread = threading.Thread(target=build)
        thread.start()
        stopped.set()
        budget.wake()
        assert ended.wait(DEADLINE_S)
        thread.join(DEADLINE_S)


@pytest.mark.parametrize(
    "index", [FlatIndex(), HnswIndex(), IvfIndex(), LshIndex(), KdTreeIndex()], ids=lambda index: index.type
)
def test_what_a_build_takes_grows_with_rows_and_stays_below_the_vectors(index: FlatIndex) -> None:
    plan = Plan(index, NoQuantisation(), "")
    sizes = [build_bytes(plan, rows, 384) for rows in (1_000, 100_000, 1_000_000, 4_000_000)]
    assert sizes == sorted(sizes)
    assert sizes[-1] <= 0.5 * 4_000_000 * 384 * 4
