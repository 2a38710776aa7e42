"""The queue between callers and the workers: order, turns, refusals, and what is dropped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hanax.core.errors import Cancelled, DeadlineExceeded, Internal, Overloaded, Unavailable
from hanax.embedder.metrics import EmbedderMetrics
from hanax.embedder.readings import Reading
from hanax.embedder.text_queue import (
    URGENT_HEAD_START_S,
    EmbedRequest,
    QueueLimits,
    TextQueue,
    Waiting,
)
from hanax.embedder.workers import Workers
from tests.unit.embedder.gated_backend import BROKEN, NOT_FINITE, UNPREPARABLE, GatedBackend

LIMITS = QueueLimits(texts=10, requests=4, batch_tokens=400)
PATIENCE_S = 20.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Rig:
    def __init__(self) -> None:
        self.backend = GatedBackend()
        self.clock = Clock()
        self.metrics = EmbedderMetrics()
        self.workers = Workers(self.clock)
        self.queue = TextQueue(
            LIMITS, self.workers.lock, self.workers.wake, self.metrics.of("gated"), self.clock
        )
        self.queue.serve(self.backend)
        self.workers.add(self.queue)

    def submit(self, *lengths: int, urgent: bool = False, within_s: float = PATIENCE_S) -> EmbedRequest:
        waits = Waiting(self.clock.now + within_s, urgent)
        return self.queue.submit(len(lengths), lambda: self.backend.read(lengths), waits)

    def occupy(self) -> EmbedRequest:
        """A request whose one text is in the model, where it stays until a gate opens."""
        request = self.submit(7)
        assert self.backend.entered.acquire(timeout=PATIENCE_S)
        return request

    def waiting(self) -> float | None:
        return self.metrics.registry.get_sample_value("vector_db_embedding_queue_texts")

    def lengths(self, request: EmbedRequest) -> list[float]:
        lengths: list[float] = self.queue.wait(request)[:, 0].tolist()
        return lengths


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    rig.workers.start()
    yield rig
    rig.backend.let_all_run()
    rig.workers.close()


def test_an_answer_is_in_the_order_of_its_texts(rig: Rig) -> None:
    rig.backend.let_all_run()
    lengths = [3, 390, 12, 200, 12, 45, 1, 399]
    assert rig.lengths(rig.submit(*lengths)) == lengths
    assert len(rig.backend.batches) > 1


def test_requests_share_a_batch(rig: Rig) -> None:
    rig.occupy()
    first, second = rig.submit(30, 20), rig.submit(25)
    rig.backend.let_all_run()
    assert rig.lengths(first) == [30, 20]
    assert rig.lengths(second) == [25]
    assert rig.backend.batches[1] == [30, 20, 25]


def test_the_oldest_request_leads(rig: Rig) -> None:
    rig.occupy()
    oldest = rig.submit(3)
    newer = rig.submit(300, 300, 300)
    rig.backend.let_all_run()
    rig.lengths(newer)
    assert rig.backend.batches[1] == [3]
    assert rig.lengths(oldest) == [3]


def test_what_does_not_fit_is_refused_at_once(rig: Rig) -> None:
    rig.occupy()
    waiting = rig.submit(*[5] * 9)
    assert rig.waiting() == 9
    # The worker is still in the first batch, so nothing but a refusal can end this.
    with pytest.raises(Overloaded, match="9 texts wait and at most 10 may: no room for 2 more"):
        rig.submit(5, 5)
    rig.submit(5)
    rig.backend.let_all_run()
    assert rig.lengths(waiting) == [5] * 9
    assert rig.lengths(rig.submit(*[6] * 10)) == [6] * 10


def test_requests_in_progress_are_bounded(rig: Rig) -> None:
    running = rig.occupy()
    others = [rig.submit(5) for _ in range(3)]
    with pytest.raises(Overloaded, match="4 requests are in progress"):
        rig.submit(5)
    rig.backend.let_all_run()
    for request in (running, *others):
        rig.lengths(request)
    assert rig.lengths(rig.submit(8)) == [8]


def test_a_text_that_cannot_be_tokenized_takes_no_room(rig: Rig) -> None:
    rig.occupy()
    for _ in range(12):
        with pytest.raises(ValueError, match="invalid literal"):
            rig.queue.submit(10, lambda: Reading([rig.backend.tokenize(["no number"])]), Waiting(9.0))
    assert rig.waiting() == 0


def test_an_abandoned_request_is_not_computed(rig: Rig) -> None:
    rig.occupy()
    gone, stays = rig.submit(*[50] * 9), rig.submit(51)
    rig.queue.abandon(gone)
    assert rig.waiting() == 1
    with pytest.raises(Cancelled):
        rig.queue.wait(gone)
    rig.backend.let_all_run()
    assert rig.lengths(stays) == [51]
    assert rig.backend.batches == [[7], [51]]


def test_abandoning_a_request_in_the_model_leaves_its_neighbours(rig: Rig) -> None:
    rig.occupy()
    gone, stays = rig.submit(50), rig.submit(51)
    rig.backend.gate.release()
    assert rig.backend.entered.acquire(timeout=PATIENCE_S)
    rig.queue.abandon(gone)
    rig.backend.let_all_run()
    assert rig.lengths(stays) == [51]
    with pytest.raises(Cancelled):
        rig.queue.wait(gone)


def test_an_expired_request_is_not_computed(rig: Rig) -> None:
    rig.occupy()
    late = rig.submit(50, within_s=5.0)
    stays = rig.submit(51, within_s=15.0)
    rig.clock.now = 6.0
    rig.backend.let_all_run()
    assert rig.lengths(stays) == [51]
    assert rig.backend.batches == [[7], [51]]
    with pytest.raises(DeadlineExceeded):
        rig.queue.wait(late)


def test_waiting_ends_with_the_deadline(rig: Rig) -> None:
    rig.occupy()
    late = rig.submit(50, within_s=0.05)
    with pytest.raises(DeadlineExceeded):
        rig.queue.wait(late)
    assert rig.waiting() == 0


@pytest.mark.parametrize(
    ("poison", "message"),
    [
        (BROKEN, "ValueError in gated"),
        (NOT_FINITE, "not finite"),
        (UNPREPARABLE, "ValueError in gated"),
    ],
)
def test_a_failed_batch_fails_its_requests_alone(rig: Rig, poison: int, message: str) -> None:
    rig.occupy()
    # The first is dearer than the budget, so it is a batch alone; 3 would be the next one.
    broken, whole = rig.submit(poison, 3), rig.submit(200)
    rig.backend.let_all_run()
    with pytest.raises(Internal, match=message):
        rig.queue.wait(broken)
    assert rig.lengths(whole) == [200]
    prepared = [] if poison == UNPREPARABLE else [[poison]]
    assert rig.backend.batches == [[7], *prepared, [200]]
    assert rig.waiting() == 0


def test_a_closed_queue_fails_what_waits_and_admits_nothing(rig: Rig) -> None:
    running, waiting = rig.occupy(), rig.submit(5)
    rig.backend.gate.release()
    rig.workers.close()
    with pytest.raises(Unavailable):
        rig.queue.wait(waiting)
    assert rig.lengths(running) == [7]
    with pytest.raises(Unavailable):
        rig.submit(5)


def test_an_urgent_request_goes_first(rig: Rig) -> None:
    rig.occupy()
    first, second, urgent = rig.submit(100), rig.submit(101), rig.submit(30, urgent=True)
    rig.backend.let_all_run()
    for request in (first, second, urgent):
        rig.lengths(request)
    assert rig.backend.batches[1] == [30]


def test_urgent_requests_starve_nobody(rig: Rig) -> None:
    rig.occupy()
    patient = rig.submit(100)
    rig.clock.now = URGENT_HEAD_START_S + 0.1
    urgent = rig.submit(30, urgent=True)
    rig.backend.let_all_run()
    rig.lengths(urgent)
    assert rig.lengths(patient) == [100]
    assert rig.backend.batches[1] == [100]


def test_a_batch_is_prepared_while_one_runs(rig: Rig) -> None:
    running = rig.occupy()
    assert rig.backend.ready.acquire(timeout=PATIENCE_S)
    waiting = rig.submit(200, 200)
    # As much as a batch takes: there is nothing to wait for. The model is still at the first.
    assert rig.backend.ready.acquire(timeout=PATIENCE_S)
    assert rig.backend.prepared == [[7], [200, 200]]
    assert rig.backend.batches == [[7]]
    assert not running.ended.is_set()
    rig.backend.let_all_run()
    assert rig.lengths(waiting) == [200, 200]


def test_a_batch_that_may_grow_is_not_prepared_ahead(rig: Rig) -> None:
    rig.occupy()
    first, second = rig.submit(50), rig.submit(51)
    rig.backend.let_all_run()
    assert (rig.lengths(first), rig.lengths(second)) == ([50], [51])
    assert rig.backend.prepared == [[7], [50, 51]]


def test_a_prepared_batch_that_nobody_wants_is_not_computed(rig: Rig) -> None:
    rig.occupy()
    assert rig.backend.ready.acquire(timeout=PATIENCE_S)
    gone = rig.submit(200, 200)
    assert rig.backend.ready.acquire(timeout=PATIENCE_S)
    rig.queue.abandon(gone)
    stays = rig.submit(5)
    rig.backend.let_all_run()
    assert rig.lengths(stays) == [5]
    assert rig.backend.batches == [[7], [5]]


def test_parts_need_room_too(rig: Rig) -> None:
    rig.occupy()
    rig.submit(*[5] * 8)
    parts = Reading([rig.backend.tokenize(["5"] * 3)])
    with pytest.raises(Overloaded, match="9 texts wait and at most 10 may: no room for 2 more"):
        rig.queue.submit(1, lambda: parts, Waiting(PATIENCE_S))
    assert rig.waiting() == 8


def test_a_refusal_says_when_to_come_back(rig: Rig) -> None:
    first = rig.submit(68)
    assert rig.backend.entered.acquire(timeout=PATIENCE_S)
    # 100 tokens a second, with what a batch costs beside its texts.
    rig.clock.now = 1.0
    rig.backend.gate.release()
    rig.lengths(first)
    rig.submit(7)
    assert rig.backend.entered.acquire(timeout=PATIENCE_S)
    rig.submit(*[30] * 10)
    with pytest.raises(Overloaded) as refused:
        rig.submit(5)
    assert refused.value.details["retry_after_s"] == pytest.approx(3.0)


def test_metrics(rig: Rig) -> None:
    rig.backend.let_all_run()
    rig.lengths(rig.submit(30, 20))

    def value(name: str) -> float | None:
        return rig.metrics.registry.get_sample_value(f"vector_db_embedding_{name}", {"model": "gated"})

    assert value("duration_seconds_count") == 1
    assert value("batch_texts_sum") == 2
    assert value("batch_tokens_sum") == 60
    assert value("texts_total") == 2
    assert value("truncated_total") == 0
    assert value("padding_tokens_total") == 10
    assert value("queue_seconds_count") == 1
    assert value("model_queue_texts") == 0
