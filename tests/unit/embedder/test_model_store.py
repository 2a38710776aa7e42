"""Models that come and go: at start, when asked for, within a budget, and never under a user's feet."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from hanax.core.errors import (
    Cancelled,
    DeadlineExceeded,
    FailedPrecondition,
    ModelNotFound,
    Overloaded,
    Unavailable,
)
from hanax.embedder.backends import Backend, ModelInfo
from hanax.embedder.backends.opening import BackendChoice
from hanax.embedder.declarations import DeclaredModel
from hanax.embedder.evictions import SHORTEST_STAY_S
from hanax.embedder.metrics import EmbedderMetrics
from hanax.embedder.model_loader import Opener
from hanax.embedder.model_store import Caller, ModelStore, StoreLimits
from hanax.embedder.stored_models import State
from hanax.embedder.text_queue import QueueLimits, Waiting
from hanax.embedder.workers import Workers
from tests.unit.embedder.gated_backend import GatedBackend

PATIENCE_S = 30.0
LIMITS = QueueLimits(texts=100, requests=8, batch_tokens=400)


class SizedBackend(GatedBackend):
    def __init__(self, choice: BackendChoice, size: int) -> None:
        super().__init__()
        self.info = ModelInfo(choice.model, 2, 1_000, "sized", semantic=False, version="v1")
        self.memory_bytes = size
        self.let_all_run()


class Clock:
    """Real time, that a test may move on."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s


class Rig:
    """A store over backends of given sizes. A model whose gate is shut takes long to open."""

    def __init__(self, sizes: dict[str, int], budget: int, lazy: Sequence[str] | None = None) -> None:
        self.sizes = sizes
        self.opened: list[str] = []
        self.backends: dict[str, SizedBackend] = {}
        self.failing: dict[str, Exception] = {}
        self.shut: dict[str, threading.Event] = {}
        self.clock = Clock()
        self.metrics = EmbedderMetrics()
        self.workers = Workers(self.clock)
        lazy = list(sizes) if lazy is None else lazy
        declared = [
            DeclaredModel(name, BackendChoice(name, "hash", "float32", 1, None), name in lazy)
            for name in sizes
        ]
        opener = Opener(
            self._open,
            lambda choice: self.sizes[choice.model],
            lambda choice: ModelInfo(choice.model, 2, 1_000, "sized", semantic=False),
        )
        self.store = ModelStore(
            declared, opener, self.workers, StoreLimits(budget, LIMITS), self.metrics, self.clock
        )
        self._loader = threading.Thread(target=self._run)
        self._callers = ThreadPoolExecutor(16)

    def _open(self, choice: BackendChoice) -> Backend:
        self.opened.append(choice.model)
        if choice.model in self.shut:
            assert self.shut[choice.model].wait(PATIENCE_S)
        if choice.model in self.failing:
            raise self.failing[choice.model]
        self.backends[choice.model] = SizedBackend(choice, self.sizes[choice.model])
        return self.backends[choice.model]

    def _run(self) -> None:
        if self.store.load_at_start():
            self.store.load_what_is_asked_for()

    def start(self) -> None:
        self.workers.start()
        self._loader.start()

    def stop(self) -> None:
        for gate in self.shut.values():
            gate.set()
        self.store.close()
        self.workers.close()
        self._callers.shutdown()
        self._loader.join(PATIENCE_S)
        assert not self._loader.is_alive()

    def caller(self, within_s: float = PATIENCE_S) -> Caller:
        return Caller(self.clock() + within_s, lambda call: True)

    def use(self, name: str, within_s: float = PATIENCE_S) -> str:
        """Embed one text."""
        with self.store.lease(name, self.caller(within_s)) as leased:
            assert isinstance(leased.backend, SizedBackend)
            reading = leased.backend.read([5])
            request = leased.queue.submit(1, lambda: reading, Waiting(self.clock() + PATIENCE_S))
            assert leased.queue.wait(request)[0, 0] == 5
            return leased.info.name

    def background(self, name: str) -> Future[str]:
        return self._callers.submit(self.use, name)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def loaded(self) -> list[str]:
        return [model.name for model in self.store.models() if model.state is State.LOADED]


@pytest.fixture
def rig_of() -> Iterator[Callable[..., Rig]]:
    rigs: list[Rig] = []

    def start(sizes: dict[str, int], budget: int = 10, lazy: Sequence[str] | None = None) -> Rig:
        rigs.append(Rig(sizes, budget, lazy))
        return rigs[-1]

    yield start
    for rig in rigs:
        rig.stop()


def test_a_lazy_model_is_loaded_by_its_first_request(rig_of: Callable[..., Rig]) -> None:
    rig = rig_of({"a": 1, "b": 1})
    rig.start()
    assert rig.loaded() == []
    assert rig.use("b") == "b"
    assert rig.use("b") == "b"
    assert rig.opened == ["b"]
    assert rig.loaded() == ["b"]


def test_one_load_serves_all_that_wait_for_it(rig_of: Callable[..., Rig]) -> None:
    rig = rig_of({"a": 1})
    rig.shut["a"] = threading.Event()
    rig.start()
    waiting = [rig.background("a") for _ in range(3)]
    rig.wait_until(lambda: rig.store.find("a").waiting == 3)
    rig.shut["a"].set()
    assert [call.result(PATIENCE_S) for call in waiting] == ["a"] * 3
    assert rig.opened == ["a"]


def test_others_are_served_while_one_is_loaded(rig_of: Callable[..., Rig]) -> None:
    rig = rig_of({"a": 1, "b": 1})
    rig.shut["b"] = threading.Event()
    rig.start()
    rig.use("a")
    waiting = rig.background("b")
    rig.wait_until(lambda: "b" in rig.opened)
    assert rig.use("a") == "a"
    assert not waiting.done()
    rig.shut["b"].set()
    assert waiting.result(PATIENCE_S) == "b"


def test_the_least_recently_used_makes_room(rig_of: Callable[..., Rig]) -> None:
    rig = rig_of({"a": 4, "b": 4, "c": 4})
    rig.start()
    for name in ("a", "b", "a", "c"):
        rig.use(name)
    assert rig.loaded() == ["a", "c"]
    assert rig.backends["b"].closed
    rig.use("b")
    assert rig.loaded() == ["b", "c"]
    evictions = rig.metrics.registry.get_sample_value("vector_db_embedding_evictions_total", {"model": "a"})
    assert evictions == 1


def test_as_many_go_as_are_needed(rig_of: Callable[..., Rig]) -> None:
    rig = rig_of({"a": 3, "b": 3, "c": 9})
    rig.start()
    for name in ("a", "b", "c"):
        rig.use(name)
    assert rig.loaded() == ["c"]


def test_a_model_in_use_stays_and_who_waits_is_told_in_time(rig_of: Callable[..., Rig]) -> None:
    rig = rig_of({"a": 6, "b": 6})
    rig.start()
    with rig.store.lease("a", rig.caller()) as leased:
        with pytest.raises(DeadlineExceeded, match="before b was loaded"):
            rig.use("b", within_s=0.1)
        assert isinstance(leased.backend, SizedBackend)
        assert not leased.backend.closed
        waiting = rig.background("b")
        rig.wait_until(lambda: rig.store.find("b").waiting == 1)
        assert not leased.backend.closed
    assert waiting.result(PATIENCE_S) == "b"
    assert rig.loaded() == ["b"]


def test_a_model_that_is_never_idle_gives_way_after_its_time(rig_of: Callable[..., Rig]) -> None:
    rig = rig_of({"a": 6, "b": 6, "c": 1})
    rig.start()
    stop = threading.Event()

    def hold(first: threading.Event) -> None:
        with rig.store.lease("a", rig.caller()):
            first.set()
            assert stop.wait(PATIENCE_S)

    with ThreadPoolExecutor(2) as users:
        began = threading.Event()
        first = users.submit(hold, began)
        assert began.wait(PATIENCE_S)
        waiting = rig.background("b")
        rig.wait_until(lambda: rig.store.find("b").waiting == 1)
        assert rig.use("a") == "a"
        rig.clock.ahead_s = SHORTEST_STAY_S + 1
        # The store looks again when the time is over, or when anything else is asked for.
        another = rig.background("c")
        rig.wait_until(lambda: rig.store.find("a").state is State.LEAVING)
        later = rig.background("a")
        rig.wait_until(lambda: rig.store.find("a").waiting == 1)
        stop.set()
        first.result(PATIENCE_S)
    assert waiting.result(PATIENCE_S) == "b"
    assert another.result(PATIENCE_S) == "c"
    assert later.result(PATIENCE_S) == "a"
    assert rig.opened == ["a", "b", "c", "a"]


def test_who_waited_for_a_model_counts_as_its_user(rig_of: Callable[..., Rig]) -> None:
    """Else it could be let go between its load and the moment in which they wake."""
    rig = rig_of({"a": 6})
    rig.shut["a"] = threading.Event()
    rig.start()
    waiting = rig.background("a")
    rig.wait_until(lambda: rig.store.find("a").waiting == 1)
    assert rig.store.find("a").resident().users == 1
    rig.shut["a"].set()
    assert waiting.result(PATIENCE_S) == "a"
    assert rig.store.find("a").resident().users == 0


def test_a_batch_in_work_outlives_its_caller_and_keeps_the_model(rig_of: Callable[..., Rig]) -> None:
    rig = rig_of({"a": 6, "b": 6})
    rig.start()
    rig.use("a")
    backend = rig.backends["a"]
    assert backend.entered.acquire(timeout=PATIENCE_S)
    while backend.gate.acquire(blocking=False):
        pass
    with rig.store.lease("a", rig.caller()) as leased:
        reading = backend.read([9])
        request = leased.queue.submit(1, lambda: reading, Waiting(rig.clock() + PATIENCE_S))
        assert backend.entered.acquire(timeout=PATIENCE_S)
        leased.queue.abandon(request)
    waiting = rig.background("b")
    rig.wait_until(lambda: rig.store.find("a").state is State.LEAVING)
    assert not backend.closed
    backend.let_all_run()
    assert waiting.result(PATIENCE_S) == "b"
    assert backend.closed


def test_a_model_that_can_never_fit_says_so(rig_of: Callable[..., Rig]) -> None:
    rig = rig_of({"a": 1, "huge": 11})
    rig.start()
    rig.use("a")
    with pytest.raises(FailedPrecondition, match="huge takes about 11 bytes"):
        rig.use("huge")
    assert rig.loaded() == ["a"]


def test_a_failed_load_is_told_and_tried_again_later(rig_of: Callable[..., Rig]) -> None:
    rig = rig_of({"a": 1})
    rig.failing["a"] = OSError("damaged")
    rig.start()
    for _ in range(2):
        with pytest.raises(Unavailable, match="a could not be loaded: OSError") as failed:
            rig.use("a")
        assert failed.value.details["retry_after_s"] > 0
    assert rig.opened == ["a"]
    del rig.failing["a"]
    rig.clock.ahead_s = 60.0
    assert rig.use("a") == "a"


def test_a_caller_that_goes_away_leaves_the_load(rig_of: Callable[..., Rig]) -> None:
    rig = rig_of({"a": 1})
    rig.shut["a"] = threading.Event()
    rig.start()
    ends: list[Callable[[], None]] = []

    def on_end(call: Callable[[], None]) -> bool:
        ends.append(call)
        return True

    def wait() -> None:
        with rig.store.lease("a", Caller(rig.clock() + PATIENCE_S, on_end)):
            raise AssertionError("it was never loaded")

    with ThreadPoolExecutor(1) as callers:
        waiting = callers.submit(wait)
        rig.wait_until(lambda: len(ends) == 1)
        ends[0]()
        with pytest.raises(Cancelled):
            waiting.result(PATIENCE_S)
    with pytest.raises(Cancelled), rig.store.lease("a", Caller(rig.clock() + 9, lambda call: False)):
        pass
    assert rig.store.find("a").waiting == 0


def test_who_waits_for_a_load_is_bounded(rig_of: Callable[..., Rig]) -> None:
    rig = rig_of({"a": 1})
    rig.shut["a"] = threading.Event()
    rig.start()
    waiting = [rig.background("a") for _ in range(LIMITS.requests // 2)]
    rig.wait_until(lambda: rig.store.find("a").waiting == LIMITS.requests // 2)
    with pytest.raises(Overloaded, match="4 requests wait for a to be loaded"):
        rig.use("a")
    rig.shut["a"].set()
    assert [call.result(PATIENCE_S) for call in waiting] == ["a"] * 4


def test_what_shall_be_there_from_the_start_is_loaded_as_far_as_it_fits(
    rig_of: Callable[..., Rig],
) -> None:
    rig = rig_of({"a": 5, "b": 4, "c": 3, "d": 1, "e": 1}, lazy=["e"])
    assert rig.store.load_at_start()
    assert rig.opened == ["a", "b", "d"]
    assert [model.info.dimension for model in rig.store.models() if model.info] == [2] * 5
    rig.start()
    assert rig.use("c") == "c"


def test_a_model_that_fails_at_start_is_the_end(rig_of: Callable[..., Rig]) -> None:
    rig = rig_of({"a": 1, "b": 1}, lazy=[])
    rig.failing["a"] = OSError("damaged")
    assert not rig.store.load_at_start()
    assert rig.opened == ["a"]
    rig.start()


def test_a_model_that_is_not_declared(rig_of: Callable[..., Rig]) -> None:
    rig = rig_of({"a": 1, "b": 1})
    rig.start()
    with pytest.raises(ModelNotFound, match="served: a, b") as refused:
        rig.use("c")
    assert refused.value.details["served"] == ["a", "b"]


def test_a_closed_store_lets_nobody_wait(rig_of: Callable[..., Rig]) -> None:
    rig = rig_of({"a": 1})
    rig.shut["a"] = threading.Event()
    rig.start()
    waiting = rig.background("a")
    rig.wait_until(lambda: rig.store.find("a").waiting == 1)
    rig.store.close()
    with pytest.raises(Unavailable, match="stopping"):
        waiting.result(PATIENCE_S)


def test_the_state_tells_what_is_there(rig_of: Callable[..., Rig]) -> None:
    rig = rig_of({"a": 3, "b": 1})
    rig.start()
    rig.use("a")
    assert rig.store.state() == {
        "budget_bytes": 10,
        "models": [
            {
                "name": "a",
                "state": "loaded",
                "memory_bytes": 3,
                "requests": 0,
                "version": "v1",
                "task": "embed",
            },
            {
                "name": "b",
                "state": "absent",
                "memory_bytes": 0,
                "requests": 0,
                "version": "",
                "task": "embed",
            },
        ],
    }
