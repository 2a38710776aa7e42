"""Custom resources as parsed objects. Each state of an object is parsed once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

from hanax.core.errors import InvalidArgument
from hanax.core.resources.collections import Collection
from hanax.core.resources.models import Model
from hanax_operator.objects import COLLECTION, MODEL, Kind, Manifest, name_of, uid_of
from hanax_operator.store import Store

log = structlog.get_logger()

Parsed = TypeVar("Parsed")


class Declared(Generic[Parsed]):
    """All objects of one kind in the store."""

    def __init__(self, store: Store, kind: Kind, parse: Callable[[Manifest], Parsed]) -> None:
        self._store = store
        self._kind = kind
        self._parse = parse
        self._parsed: dict[str, tuple[tuple[str, str], Parsed | InvalidArgument]] = {}

    def parse(self, obj: Manifest) -> Parsed:
        """Raises InvalidArgument that names the field."""
        name = name_of(obj)
        state = (uid_of(obj), obj["metadata"].get("resourceVersion", ""))
        known = self._parsed.get(name)
        if known is None or known[0] != state:
            try:
                known = (state, self._parse(obj))
            except InvalidArgument as error:
                known = (state, error)
            except Exception as error:
                # A defect that one object brings up must not keep all others from being read.
                log.error("object not parsed", kind=self._kind.kind, name=name, exc_info=error)
                known = (state, InvalidArgument(f"it can't be read: {error!r}"))
            self._parsed[name] = known
        if isinstance(known[1], InvalidArgument):
            raise known[1]
        return known[1]

    def readable(self) -> list[Parsed]:
        """Those that can be read, by name."""
        found = []
        for obj in self._store.of_kind(self._kind):
            try:
                found.append(self.parse(obj))
            except InvalidArgument:
                continue
        return found

    def damaged(self) -> list[Manifest]:
        """Those that can't be read."""
        found = []
        for obj in self._store.of_kind(self._kind):
            try:
                self.parse(obj)
            except InvalidArgument:
                found.append(obj)
        return found

    def forget(self, name: str) -> None:
        self._parsed.pop(name, None)


class Declarations:
    def __init__(self, store: Store) -> None:
        self.collections: Declared[Collection] = Declared(store, COLLECTION, Collection.parse)
        self.models: Declared[Model] = Declared(store, MODEL, Model.parse)
