"""How a status gets written: only what differs, and numbers that only count no more often than needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hanax_operator.api import Api
from hanax_operator.metrics import WRITES
from hanax_operator.objects import Manifest, ObjectKey, key_of
from hanax_operator.store import Store

# Points and sequences change with every write of a user. People look now and then.
_COUNTS_EVERY_S = 10.0

# What alone is never worth a write: it changes for all collections with any one of them.
_SILENT = frozenset({"revision"})
_COUNTS = frozenset({"points", "sequence", "segments", "indexes"})


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """RFC 7386: what makes `new` of `old`. Lists are replaced as a whole."""
    patch: dict[str, Any] = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            if inner := merge_patch(before, value):
                patch[name] = inner
        elif before != value or name not in old:
            patch[name] = value
    return patch


class StatusWriter:
    """`clock_s` is monotonic."""

    def __init__(self, api: Api, store: Store, clock_s: Callable[[], float]) -> None:
        self._api = api
        self._store = store
        self._clock_s = clock_s
        self._written_s: dict[ObjectKey, float] = {}

    async def write(self, obj: Manifest, status: Mapping[str, Any]) -> float | None:
        """Make it the object's status. Returns seconds after which to come again, when it was put off.

        Raises FailedPrecondition, a conflict, when the object was written since `obj`.
        """
        old = obj.get("status") or {}
        if _without(old, _SILENT) == _without(status, _SILENT):
            return None
        key = key_of(obj)
        if _without(old, _SILENT | _COUNTS) == _without(status, _SILENT | _COUNTS):
            wait = self._written_s.get(key, -_COUNTS_EVERY_S) + _COUNTS_EVERY_S - self._clock_s()
            if wait > 0:
                return wait
        # On top of this very state of the object: the answer goes into the store, and what somebody else
        # changed and came with it would be taken for known when it is heard of.
        version = {"resourceVersion": obj["metadata"]["resourceVersion"]}
        patch = {"metadata": version, "status": merge_patch(old, status)}
        self._written_s[key] = self._clock_s()
        WRITES.labels(obj["kind"], "status").inc()
        self._store.put(await self._api.merge_patch(key, patch, status=True))
        return None

    def forget(self, key: ObjectKey) -> None:
        """The object is gone."""
        self._written_s.pop(key, None)


def _without(status: Any, fields: frozenset[str]) -> Any:
    if isinstance(status, Mapping):
        return {name: _without(value, fields) for name, value in status.items() if name not in fields}
    if isinstance(status, list | tuple):
        return [_without(item, fields) for item in status]
    return status
