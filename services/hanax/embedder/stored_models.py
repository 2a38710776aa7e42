"""What is known of the models of a process, and the lock under which that changes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from hanax.core.errors import HanaxError
from hanax.embedder.backends import ModelInfo, RowBackend
from hanax.embedder.declarations import DeclaredModel
from hanax.embedder.evictions import Resident
from hanax.embedder.text_queue import TextQueue


class State(StrEnum):
    ABSENT = "absent"
    LOADING = "loading"  # or waiting for its turn to be loaded
    LOADED = "loaded"
    LEAVING = "leaving"  # no new lease: it goes when those that are have ended


@dataclass(frozen=True)
class Leased:
    """A loaded model, as long as the lease lasts."""

    info: ModelInfo
    backend: RowBackend
    queue: TextQueue


class StoredModel:
    """A declared model. Fields change under the shelf's lock."""

    def __init__(self, declared: DeclaredModel, queue: TextQueue) -> None:
        self.name = declared.name
        self.choice = declared.choice
        self.queue = queue
        self.state = State.ABSENT
        self.leased: Leased | None = None
        # Of the last load; before the first, what the model's files say.
        self.info: ModelInfo | None = None
        self.memory_bytes = 0
        self.users = 0
        self.waiting = 0
        self.used_at = 0.0
        self.loaded_at = 0.0
        # Why it could not be loaded, and until when nobody tries again.
        self.failure: tuple[HanaxError, float] | None = None

    def resident(self) -> Resident:
        # Those that waited for a model use it as soon as they wake.
        users = self.users + self.waiting
        return Resident(self.name, self.memory_bytes, users, self.used_at, self.loaded_at)

    def told(self) -> dict[str, object]:
        """As JSON values."""
        return {
            "name": self.name,
            "state": self.state,
            "memory_bytes": self.memory_bytes if self.leased is not None else 0,
            "requests": self.users + self.waiting,
            "version": self.info.version if self.info is not None else "",
            # None: nothing is known of it before it is loaded.
            "task": self.info.task if self.info is not None else None,
        }


class Shelf:
    """The models, by name and in the order of their declaration. `changed` is the lock of all."""

    def __init__(self, models: Sequence[StoredModel]) -> None:
        self.changed = threading.Condition()
        self.models = {model.name: model for model in models}
        # To be loaded, in this order; their state is LOADING.
        self.wanted: deque[StoredModel] = deque()
        # Somebody waits for a model to become idle.
        self.room_wanted = False
        self.closed = False

    def loaded(self) -> list[StoredModel]:
        return [model for model in self.models.values() if model.leased is not None]

    def used_bytes(self) -> int:
        return sum(model.memory_bytes for model in self.loaded())

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.changed.notify_all()
