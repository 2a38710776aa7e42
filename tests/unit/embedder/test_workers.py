"""Fairness among models: by compute time, not by batches; and what urgent texts may do to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from hanax.core.errors import Unavailable
from hanax.embedder.backends import ModelInfo, Tokens, Vectors
from hanax.embedder.metrics import EmbedderMetrics
from hanax.embedder.text_queue import EmbedRequest, QueueLimits, TextQueue, Waiting
from hanax.embedder.workers import Workers
from tests.unit.embedder.gated_backend import GatedBackend

PATIENCE_S = 30.0
# One text of as many tokens is a batch.
BATCH = 100
LIMITS = QueueLimits(texts=1_000, requests=100, batch_tokens=BATCH)


class Clock:
    """Moves by what the models compute."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class TimedBackend(GatedBackend):
    """A batch takes `batch_s` of the clock. All models write their turns into one list."""

    def __init__(self, name: str, batch_s: float, clock: Clock, turns: list[str]) -> None:
        super().__init__()
        self.info = ModelInfo(name, 2, 1_000, "timed", semantic=False)
        self.batch_s = batch_s
        self._clock = clock
        self._turns = turns

    def prepare(self, batch: Sequence[Tokens]) -> Callable[[], Vectors]:
        computed = super().prepare(batch)

        def compute() -> Vectors:
            vectors = computed()
            self._turns.append(self.info.name)
            self._clock.now += self.batch_s
            return vectors

        return compute


class Rig:
    def __init__(self) -> None:
        self.clock = Clock()
        self.turns: list[str] = []
        self.metrics = EmbedderMetrics()
        self.workers = Workers(self.clock)
        self.backends: dict[str, TimedBackend] = {}
        self.queues: dict[str, TextQueue] = {}

    def add(self, name: str, batch_s: float) -> None:
        queue = TextQueue(LIMITS, self.workers.lock, self.workers.wake, self.metrics.of(name), self.clock)
        self.backends[name] = TimedBackend(name, batch_s, self.clock, self.turns)
        queue.serve(self.backends[name])
        self.workers.add(queue)
        self.queues[name] = queue

    def submit(self, name: str, batches: int, *, urgent: bool = False) -> EmbedRequest:
        reading = self.backends[name].read([BATCH] * batches)
        return self.queues[name].submit(batches, lambda: reading, Waiting(1e9, urgent))

    def hold(self, name: str) -> EmbedRequest:
        """One batch in the model, and one prepared behind it, until the gates open."""
        held = self.submit(name, 2)
        backend = self.backends[name]
        assert backend.entered.acquire(timeout=PATIENCE_S)
        for _ in range(2):
            assert backend.ready.acquire(timeout=PATIENCE_S)
        return held

    def let_all_run(self) -> None:
        for backend in self.backends.values():
            backend.let_all_run()


def before(turns: list[str], model: str, *, last_of: str) -> int:
    """Batches of `model` before the last one of another."""
    return turns[: len(turns) - 1 - turns[::-1].index(last_of)].count(model)


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.let_all_run()
    rig.workers.close()


def test_models_share_compute_time_not_batches(rig: Rig) -> None:
    rig.add("slow", 10.0)
    rig.add("quick", 1.0)
    rig.workers.start()
    rig.hold("slow")
    slow, quick = rig.submit("slow", 10), rig.submit("quick", 20)
    rig.let_all_run()
    rig.queues["quick"].wait(quick)
    rig.queues["slow"].wait(slow)
    # The first two were taken before the others came. 20 s for the quick one are 2 of the slow one,
    # and one more may be under way on either side.
    assert before(rig.turns, "slow", last_of="quick") <= 2 + 2 + 2
    assert rig.turns.count("slow") == 12


def test_a_model_that_was_idle_saves_nothing_up(rig: Rig) -> None:
    rig.add("steady", 1.0)
    rig.add("idle", 1.0)
    rig.workers.start()
    rig.backends["steady"].let_all_run()
    rig.queues["steady"].wait(rig.submit("steady", 50))
    del rig.turns[:]
    backend = rig.backends["steady"]
    while backend.gate.acquire(blocking=False):
        pass
    while backend.entered.acquire(blocking=False):
        pass
    while backend.ready.acquire(blocking=False):
        pass
    rig.hold("steady")
    steady, idle = rig.submit("steady", 10), rig.submit("idle", 40)
    rig.let_all_run()
    rig.queues["steady"].wait(steady)
    rig.queues["idle"].wait(idle)
    # Turn about, though the one had 50 s of compute more than the other.
    assert before(rig.turns, "idle", last_of="steady") <= 10 + 3


def test_urgent_texts_of_another_model_go_first(rig: Rig) -> None:
    rig.add("bulk", 0.1)
    rig.add("search", 0.1)
    rig.workers.start()
    rig.hold("bulk")
    bulk, urgent = rig.submit("bulk", 10), rig.submit("search", 3, urgent=True)
    rig.let_all_run()
    rig.queues["search"].wait(urgent)
    rig.queues["bulk"].wait(bulk)
    assert rig.turns[:5] == ["bulk", "bulk", "search", "search", "search"]


def test_urgent_texts_do_not_starve_another_model(rig: Rig) -> None:
    rig.add("bulk", 0.5)
    rig.add("search", 0.5)
    rig.workers.start()
    rig.hold("bulk")
    bulk, urgent = rig.submit("bulk", 5), rig.submit("search", 40, urgent=True)
    rig.let_all_run()
    rig.queues["bulk"].wait(bulk)
    rig.queues["search"].wait(urgent)
    # A second ahead, and then turn about.
    assert before(rig.turns, "search", last_of="bulk") <= 5 + 2 + 4


def test_a_model_is_charged_what_it_took(rig: Rig) -> None:
    rig.add("a", 10.0)
    rig.workers.start()
    rig.let_all_run()
    # Nothing is known of the first batch before it ran; the second takes longer than the first did.
    rig.queues["a"].wait(rig.submit("a", 1))
    rig.backends["a"].batch_s = 30.0
    rig.queues["a"].wait(rig.submit("a", 1))
    assert rig.queues["a"].served_s == pytest.approx(40.0)


def test_a_warm_up_runs_beside_no_batch(rig: Rig) -> None:
    rig.add("a", 1.0)
    rig.workers.start()
    rig.hold("a")
    order: list[str] = []

    def warm() -> None:
        with rig.workers.alone():
            order.append(f"after {len(rig.turns)}")

    warming = threading.Thread(target=warm)
    warming.start()
    rig.let_all_run()
    warming.join(PATIENCE_S)
    # Both that were taken before it have their turn first.
    assert order == ["after 2"]


def test_settling_waits_for_the_batch_of_an_abandoned_request(rig: Rig) -> None:
    rig.add("a", 1.0)
    rig.workers.start()
    held = rig.hold("a")
    rig.queues["a"].abandon(held)
    settled = threading.Event()

    def settle() -> None:
        rig.workers.settle(rig.queues["a"])
        settled.set()

    settling = threading.Thread(target=settle)
    settling.start()
    assert rig.queues["a"].in_flight == 2
    assert not settled.is_set()
    rig.let_all_run()
    assert settled.wait(PATIENCE_S)
    settling.join(PATIENCE_S)
    assert rig.backends["a"].batches == [[BATCH]]


def test_closed_workers_take_nothing(rig: Rig) -> None:
    rig.add("a", 1.0)
    rig.workers.start()
    rig.workers.close()
    with pytest.raises(Unavailable):
        rig.submit("a", 1)


def test_vectors_reach_their_rows_through_many_batches(rig: Rig) -> None:
    rig.add("a", 0.001)
    rig.workers.start()
    rig.let_all_run()
    lengths = [1 + (at * 37) % 99 for at in range(300)]
    reading = rig.backends["a"].read(lengths)
    request = rig.queues["a"].submit(300, lambda: reading, Waiting(1e9))
    assert np.array_equal(rig.queues["a"].wait(request)[:, 0], lengths)
