"""Memory that builds share: who asks for too much is refused, who has to wait waits."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from hanax.core.errors import Cancelled, ResourceExhausted
from hanax.core.index_specs import FlatIndex, HnswIndex, IvfIndex, KdTreeIndex, LshIndex, NoQuantisation
from hanax.engine.index.factory import Plan
from hanax.engine.shard.budget import MemoryBudget, build_bytes
from tests.unit.engine.rigs import DEADLINE_S, wait_until

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
