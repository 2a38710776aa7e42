"""Loads models, one at a time, and lets others go to make room.

All of it happens on one thread, in the order in which models were first asked for; requests for
the models that are there go on meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from hanax.core.errors import FailedPrecondition, HanaxError, Overloaded, Unavailable
from hanax.embedder.backends import ModelInfo, RowBackend
from hanax.embedder.backends.opening import BackendChoice
from hanax.embedder.evictions import next_eviction
from hanax.embedder.stored_models import Leased, Shelf, State, StoredModel
from hanax.embedder.workers import Workers

log = structlog.get_logger()

# A load that failed is not tried again before this: loads are dear, and the next will fail too.
_FAILURE_KEPT_S: Final = 5.0

# What is told to callers that a model had to be given up for.
_ROOM_RETRY_S: Final = 2.0


@dataclass(frozen=True)
class Opener:
    """How backends come to be. `open` takes seconds.

    Before that, `estimate` tells memory in bytes, and `describe` what is known of the model.
    """

    open: Callable[[BackendChoice], RowBackend]
    estimate: Callable[[BackendChoice], int]
    describe: Callable[[BackendChoice], ModelInfo | None]


class ModelLoader:
    def __init__(
        self,
        shelf: Shelf,
        opener: Opener,
        workers: Workers,
        budget_bytes: int,
        clock: Callable[[], float],
    ) -> None:
        """`budget_bytes`: of all loaded models. `clock`: monotonic seconds."""
        self._shelf = shelf
        self._opener = opener
        self._workers = workers
        self._budget_bytes = budget_bytes
        self._clock = clock

    def load_at_start(self, at_start: Sequence[StoredModel]) -> bool:
        """Load what shall be there from the start; what does not fit is left for when it is asked for.

        False, at the first that could not be loaded: the log says why.
        """
        for model in at_start:
            if self._shelf.loaded() and not self._has_room(model):
                log.warning("left out: no memory", model=model.name, budget_bytes=self._budget_bytes)
                continue
            with self._shelf.changed:
                if self._shelf.closed:
                    return False
                model.state = State.LOADING
            self._load(model)
            if model.leased is None:
                return False
        for model in self._shelf.models.values():
            if model.info is None and (info := self._opener.describe(model.choice)):
                model.info = replace(info, name=model.name)
        return True

    def run(self) -> None:
        """Load what is asked for, until the shelf is closed."""
        while True:
            with self._shelf.changed:
                self._shelf.changed.wait_for(lambda: self._shelf.closed or self._shelf.wanted)
                if self._shelf.closed:
                    return
                model = self._shelf.wanted.popleft()
                if not model.waiting:
                    model.state = State.ABSENT
                    continue
            self._load(model)

    def _load(self, model: StoredModel) -> None:
        """The model is loaded afterwards, or has failed."""
        started = self._clock()
        try:
            self._make_room(model, model.memory_bytes or self._opener.estimate(model.choice))
            backend = self._opener.open(model.choice)
            with self._workers.alone():
                backend.warm()
        except Exception as error:
            self._failed(model, error, self._clock() - started)
            return
        seconds = self._clock() - started
        info = replace(backend.info, name=model.name)
        model.queue.metrics.load_ended("ok", seconds)
        model.queue.metrics.holds(backend.memory_bytes, info.agreement)
        model.queue.serve(backend)
        with self._shelf.changed:
            model.info, model.memory_bytes = info, backend.memory_bytes
            model.leased = Leased(info, backend, model.queue)
            model.loaded_at = model.used_at = self._clock()
            model.state, model.failure = State.LOADED, None
            self._shelf.changed.notify_all()
        log.info(
            "model loaded",
            model=model.name,
            backend=info.backend,
            precision=info.precision,
            seconds=round(seconds, 3),
            memory_bytes=model.memory_bytes,
        )

    def _failed(self, model: StoredModel, error: Exception, seconds: float) -> None:
        kept_s = _FAILURE_KEPT_S
        if isinstance(error, Overloaded):
            # That there was no room for a load that nobody waits for says nothing of the next.
            kept_s = 0.0
            log.info("load given up", model=model.name, reason=error.message)
        else:
            # A HanaxError says what was expected; anything else needs its traceback in the log.
            log.error(
                "the model could not be loaded",
                model=model.name,
                error=str(error),
                exc_info=not isinstance(error, HanaxError),
            )
        failure = error if isinstance(error, HanaxError) else _load_failed(model.name, error)
        model.queue.metrics.load_ended(failure.code, seconds)
        with self._shelf.changed:
            model.state = State.ABSENT
            model.failure = failure, self._clock() + kept_s
            self._shelf.changed.notify_all()

    def _has_room(self, model: StoredModel) -> bool:
        return self._shelf.used_bytes() + self._opener.estimate(model.choice) <= self._budget_bytes

    def _make_room(self, wanted: StoredModel, size: int) -> None:
        """Evict until `size` more fits.

        Raises FailedPrecondition when it never can; Overloaded when all that is there stays in use
        for as long as anyone waits.
        """
        if size > self._budget_bytes:
            raise FailedPrecondition(
                f"{wanted.name} takes about {size} bytes of memory: expected at most the "
                f"{self._budget_bytes} of HANAX_EMBEDDER_MEMORY_BYTES",
                limit=self._budget_bytes,
            )
        while True:
            with self._shelf.changed:
                if self._shelf.used_bytes() + size <= self._budget_bytes:
                    return
                self._shelf.room_wanted = True
                try:
                    leaving = self._choose_leaving(wanted)
                finally:
                    self._shelf.room_wanted = False
            self._evict(leaving)

    def _choose_leaving(self, wanted: StoredModel) -> StoredModel:
        """Under the lock. The model that goes, when nobody uses it any more."""
        while True:
            self._check_wanted(wanted)
            residents = [model.resident() for model in self._shelf.loaded()]
            eviction = next_eviction(residents, self._clock())
            if isinstance(eviction, float):
                self._shelf.changed.wait(eviction)
                continue
            model = self._shelf.models[eviction.name]
            model.state = State.LEAVING
            try:
                while model.users:
                    self._check_wanted(wanted)
                    self._shelf.changed.wait()
            except HanaxError:
                model.state = State.LOADED
                self._shelf.changed.notify_all()
                raise
            return model

    def _check_wanted(self, wanted: StoredModel) -> None:
        if self._shelf.closed:
            raise Unavailable("the embedder is stopping")
        if not wanted.waiting:
            raise Overloaded(
                f"the models that are in use leave no room for {wanted.name}", retry_after_s=_ROOM_RETRY_S
            )

    def _evict(self, model: StoredModel) -> None:
        self._workers.settle(model.queue)
        model.queue.rest()
        with self._shelf.changed:
            leased, model.leased = model.leased, None
            model.state = State.ABSENT
            self._shelf.changed.notify_all()
        assert leased is not None
        leased.backend.close()
        model.queue.metrics.evicted()
        log.info("model let go", model=model.name, memory_bytes=model.memory_bytes)


def _load_failed(name: str, error: Exception) -> Unavailable:
    return Unavailable(
        f"{name} could not be loaded: {type(error).__name__}; see the embedder's log",
        retry_after_s=_FAILURE_KEPT_S,
    )
