"""Objects, their revisions, and the changes that watchers follow.

One counter for everything, as in etcd. An object is never changed in place: a write puts a new one.
A bounded number of changes is kept; a watcher that asks for older ones is told that they are gone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tests.operator.emulator.answers import expired
from tests.operator.emulator.kinds import Kind

Obj = dict[str, Any]
ObjectName = tuple[str, str]
KindKey = tuple[str, str, str]

KEPT_CHANGES: Final = 20_000


@dataclass(frozen=True)
class Change:
    """ADDED, MODIFIED or DELETED. `previous` is what stood there before, None for what is new."""

    revision: int
    type: str
    kind: KindKey
    object: Obj
    previous: Obj | None


class Store:
    def __init__(self) -> None:
        self.revision = 1
        self._objects: dict[KindKey, dict[ObjectName, Obj]] = {}
        self._changes: deque[Change] = deque()
        self._forgotten = 0
        self._changed = asyncio.Event()

    def get(self, kind: Kind, name: ObjectName) -> Obj | None:
        return self._objects.get(kind.key, {}).get(name)

    def all(self, kind: Kind, namespace: str = "") -> list[tuple[ObjectName, Obj]]:
        """In order of namespace and name; of all namespaces where none is given."""
        found = self._objects.get(kind.key, {})
        return sorted((name, obj) for name, obj in found.items() if namespace in ("", name[0]))

    def put(self, kind: Kind, name: ObjectName, obj: Obj) -> Obj:
        """Write an object, and return it with its revision."""
        self.revision += 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.revision)}}
        objects = self._objects.setdefault(kind.key, {})
        previous = objects.get(name)
        objects[name] = obj
        self._record("ADDED" if previous is None else "MODIFIED", kind, obj, previous)
        return obj

    def remove(self, kind: Kind, name: ObjectName, last: Obj) -> Obj:
        """Take an object away, and return it as it was last, with the revision of its end."""
        self.revision += 1
        last = {**last, "metadata": {**last["metadata"], "resourceVersion": str(self.revision)}}
        previous = self._objects[kind.key].pop(name)
        self._record("DELETED", kind, last, previous)
        return last

    def changes_since(self, kind: Kind, revision: int) -> Iterator[Change]:
        """Raises 410 where some of them are no longer known."""
        if revision < self._forgotten:
            raise expired(revision, self._forgotten)
        late: list[Change] = []
        for change in reversed(self._changes):
            if change.revision <= revision:
                break
            if change.kind == kind.key:
                late.append(change)
        return reversed(late)

    @property
    def next_change(self) -> asyncio.Event:
        """Set by the next write: take it, then look for changes, then wait."""
        return self._changed

    def compact(self) -> None:
        """Forget all changes up to now: a watcher that comes back has to list again."""
        self._changes.clear()
        self._forgotten = self.revision

    def _record(self, word: str, kind: Kind, obj: Obj, previous: Obj | None) -> None:
        self._changes.append(Change(self.revision, word, kind.key, obj, previous))
        if len(self._changes) > KEPT_CHANGES:
            self._forgotten = self._changes.popleft().revision
        self._changed.set()
        self._changed = asyncio.Event()
