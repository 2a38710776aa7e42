"""The API server's side of `hanax_operator.api.Api`, in memory: versions and conflicts, no schema."""

from __future__ import annotations

import copy
import itertools
from typing import Any, cast

from hanax.core.errors import AlreadyExists, FailedPrecondition, HanaxError, NotFound
from hanax.core.resources.names import FIELD_MANAGER
from hanax_operator.api import Api, Listing
from hanax_operator.objects import Kind, Manifest, ObjectKey, key_of


class MemoryApi:
    """`writes` counts what got through. `failure`: raised by the next write or list."""

    namespace = "team"

    def __init__(self) -> None:
        self.objects: dict[ObjectKey, dict[str, Any]] = {}
        self.writes = 0
        self.failure: HanaxError | None = None
        self._versions = itertools.count(100)

    def as_api(self) -> Api:
        return cast(Api, self)

    async def get(self, key: ObjectKey) -> Manifest | None:
        return copy.deepcopy(self.objects.get(key))

    async def listing(
        self, kind: Kind, labels: dict[str, str] | None = None, fields: dict[str, str] | None = None
    ) -> Listing:
        """All of the kind that have these fields, whatever their labels."""
        self._fail()
        found = [
            copy.deepcopy(obj)
            for key, obj in self.objects.items()
            if key[:2] == kind[:2]
            and all(_field(obj, path) == value for path, value in (fields or {}).items())
        ]
        return Listing(next(self._versions), list(found))

    async def storage_classes(self) -> list[Manifest] | None:
        return None

    async def apply(
        self, manifest: Manifest, manager: str = FIELD_MANAGER, *, force: bool = True
    ) -> Manifest:
        """Without the owners of fields."""
        self._fail()
        return self._store(merged(self.objects.get(key_of(manifest)), dict(manifest)))

    async def delete(self, key: ObjectKey, uid: str) -> None:
        self._fail()
        if key not in self.objects:
            raise NotFound("it is not there", status=404)
        if self.objects[key]["metadata"].get("uid") == uid:
            del self.objects[key]
            self.writes += 1

    async def create(self, manifest: Manifest) -> Manifest:
        self._fail()
        if key_of(manifest) in self.objects:
            raise AlreadyExists("it is there", status=409, reason="AlreadyExists")
        return self._store(manifest)

    async def replace(self, manifest: Manifest) -> Manifest:
        self._fail()
        self._check(key_of(manifest), manifest)
        return self._store(manifest)

    async def merge_patch(self, key: ObjectKey, patch: Manifest, *, status: bool = False) -> Manifest:
        self._fail()
        self._check(key, patch)
        return self._store(merged(self.objects[key], patch))

    def _fail(self) -> None:
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure

    def _check(self, key: ObjectKey, given: Manifest) -> None:
        if key not in self.objects:
            raise NotFound("it is not there", status=404)
        version = (given.get("metadata") or {}).get("resourceVersion")
        if version not in (None, self.objects[key]["metadata"]["resourceVersion"]):
            raise FailedPrecondition("it was written meanwhile", status=409, reason="Conflict")

    def _store(self, manifest: Manifest) -> Manifest:
        stored = copy.deepcopy(dict(manifest))
        stored["metadata"] = {**stored["metadata"], "resourceVersion": str(next(self._versions))}
        self.objects[key_of(stored)] = stored
        self.writes += 1
        return copy.deepcopy(stored)


def _field(obj: Manifest, path: str) -> Any:
    found: Any = obj
    for name in path.split("."):
        found = found.get(name) or {}
    return found


def merged(old: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result
