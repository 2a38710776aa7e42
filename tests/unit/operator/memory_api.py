"""The API server's side of `hanax_operator.api.Api`, in memory: versions and conflicts, no schema."""

from __future__ import annotations

import copy
import itertools
from typing import Any, cast

from hanax.core.errors import AlreadyExists, FailedPrecondition, HanaxError, NotFound
from hanax_operator.api import Api
from hanax_operator.objects import Manifest, ObjectKey, key_of


class MemoryApi:
    """`writes` counts what got through. `failure`: raised by the next write."""

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
