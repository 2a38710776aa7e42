"""The models of one process: loaded at start or when they are asked for, within a memory budget.

Who uses a model holds a lease of it. Invariants, under the shelf's lock: a model with a lease is
loaded, and its backend is closed only after the last lease and the last batch have ended; what is
loaded fits the budget, as well as sizes are known before the load. Sizes are the backends' estimates.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from hanax.core.errors import (
    Cancelled,
    DeadlineExceeded,
    ModelNotFound,
    Overloaded,
    Unavailable,
    error_from_code,
)
from hanax.embedder.declarations import DeclaredModel
from hanax.embedder.metrics import EmbedderMetrics
from hanax.embedder.model_loader import ModelLoader, Opener
from hanax.embedder.stored_models import Leased, Shelf, State, StoredModel
from hanax.embedder.text_queue import QueueLimits, TextQueue
from hanax.embedder.workers import Workers

# What is told to callers that are too many to wait for a load.
_LOAD_RETRY_S: Final = 2.0


@dataclass(frozen=True)
class StoreLimits:
    """`models_bytes`: what loaded models may take together. `queue`: of each model."""

    models_bytes: int
    queue: QueueLimits


@dataclass(frozen=True)
class Caller:
    """Who waits. `deadline`: by the store's clock.

    `on_end` has its argument called when the call ends in whatever way, by another thread. False:
    it has ended already.
    """

    deadline: float
    on_end: Callable[[Callable[[], None]], bool]


class ModelStore:
    def __init__(
        self,
        declared: Sequence[DeclaredModel],
        opener: Opener,
        workers: Workers,
        limits: StoreLimits,
        metrics: EmbedderMetrics,
        clock: Callable[[], float],
    ) -> None:
        """`clock`: monotonic seconds."""
        self._limits = limits
        self._clock = clock
        models: list[StoredModel] = []
        for model in declared:
            queue = TextQueue(limits.queue, workers.lock, workers.wake, metrics.of(model.name), clock)
            workers.add(queue)
            models.append(StoredModel(model, queue))
        self._at_start = [model for model, told in zip(models, declared, strict=True) if not told.lazy]
        self._shelf = Shelf(models)
        self._loader = ModelLoader(self._shelf, opener, workers, limits.models_bytes, clock)

    @contextmanager
    def lease(self, name: str, caller: Caller) -> Iterator[Leased]:
        """The model, loaded; it stays so inside. A model that is not there is waited for.

        Raises ModelNotFound; DeadlineExceeded or Cancelled while waiting; Overloaded when too many
        wait already, or when nothing may go to make room; what loading it raised.
        """
        model = self.find(name)
        with self._shelf.changed:
            if model.state is not State.LOADED:
                self._await(model, caller)
            assert model.leased is not None
            leased = model.leased
            model.users += 1
            model.used_at = self._clock()
        try:
            yield leased
        finally:
            with self._shelf.changed:
                model.users -= 1
                if model.users == 0 and self._shelf.room_wanted:
                    self._shelf.changed.notify_all()

    def find(self, name: str) -> StoredModel:
        """Raises ModelNotFound, which names those that are served."""
        model = self._shelf.models.get(name)
        if model is None:
            served = list(self._shelf.models)
            raise ModelNotFound(
                f"no model {name!r} is served here; served: {', '.join(served)}", model=name, served=served
            )
        return model

    def models(self) -> list[StoredModel]:
        """In the order of their declaration."""
        return list(self._shelf.models.values())

    def state(self) -> dict[str, object]:
        """What the process tells of its models, as JSON values."""
        return {
            "budget_bytes": self._limits.models_bytes,
            "models": [model.told() for model in self.models()],
        }

    # --- on the thread that loads ----------------------------------------------------------

    def load_at_start(self) -> bool:
        """Load what shall be there from the start; what does not fit is left for when it is asked for.

        False, at the first that could not be loaded: the log says why.
        """
        return self._loader.load_at_start(self._at_start)

    def load_what_is_asked_for(self) -> None:
        """Until `close`."""
        self._loader.run()

    def close(self) -> None:
        """Load nothing more; who waits for a load is told so. On any thread."""
        self._shelf.close()

    # --- inside ----------------------------------------------------------------------------

    def _await(self, model: StoredModel, caller: Caller) -> None:
        """Under the lock. Returns when the model is loaded."""
        limit = max(1, model.queue.limits.requests // 2)
        if model.waiting >= limit:
            raise Overloaded(
                f"{limit} requests wait for {model.name} to be loaded, as many as may",
                limit=limit,
                retry_after_s=_LOAD_RETRY_S,
            )
        left = threading.Event()

        def leave() -> None:
            left.set()
            with self._shelf.changed:
                self._shelf.changed.notify_all()

        if not caller.on_end(leave):
            raise Cancelled("the caller went away")
        model.waiting += 1
        try:
            while model.state is not State.LOADED:
                self._check_wait(model, caller, left)
                if model.state is State.ABSENT:
                    model.state = State.LOADING
                    self._shelf.wanted.append(model)
                    self._shelf.changed.notify_all()
                self._shelf.changed.wait(caller.deadline - self._clock())
        finally:
            model.waiting -= 1
            if not model.waiting:
                # A load that nobody waits for any more gives up making room.
                self._shelf.changed.notify_all()

    def _check_wait(self, model: StoredModel, caller: Caller, left: threading.Event) -> None:
        now = self._clock()
        if self._shelf.closed:
            raise Unavailable("the embedder is stopping")
        if left.is_set():
            raise Cancelled("the caller went away")
        if caller.deadline <= now:
            raise DeadlineExceeded(f"the request's time was over before {model.name} was loaded")
        if model.failure is not None and model.state is State.ABSENT:
            failure, until = model.failure
            if now < until:
                # A copy: an error keeps the traces of all that raise it.
                raise error_from_code(failure.code, failure.message, failure.details)
            model.failure = None
