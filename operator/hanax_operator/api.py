"""The API server, as far as the operator needs it. The only place that knows the client library.

Every failure becomes an error of `hanax.core.errors` with the server's words; `details["status"]` is
the HTTP status, 0 where no answer came.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, NamedTuple

import httpx2
from lightkube.core.async_client import AsyncClient
from lightkube.core.exceptions import ApiError
from lightkube.generic_resource import create_global_resource, create_namespaced_resource
from lightkube.types import PatchType

from hanax.core.errors import (
    AlreadyExists,
    FailedPrecondition,
    HanaxError,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    Unavailable,
)
from hanax.core.resources.names import FIELD_MANAGER
from hanax_operator.objects import Kind, Manifest, ObjectKey

# The server's own bound on a page; one answer of 2,000 collections would be tens of megabytes.
_PAGE = 500

_KINDS: dict[int, type[HanaxError]] = {
    400: InvalidArgument,
    403: FailedPrecondition,
    404: NotFound,
    409: FailedPrecondition,
    410: FailedPrecondition,
    422: InvalidArgument,
    429: ResourceExhausted,
}


class Listing(NamedTuple):
    """All objects of a kind, and the resource version of the moment that they were listed."""

    version: int
    objects: list[Manifest]


class Api:
    """`kinds` are those that are named in keys."""

    def __init__(self, client: AsyncClient, namespace: str, kinds: tuple[Kind, ...]) -> None:
        self.namespace = namespace
        # Its overloads take no class that is made at run time, as those of `_resource` are.
        self._client: Any = client
        self._kind = {(kind.api_version, kind.kind): kind for kind in kinds}

    async def listing(
        self, kind: Kind, labels: dict[str, str] | None = None, fields: dict[str, str] | None = None
    ) -> Listing:
        """All that have these labels and fields. Raises NotFound for a kind that the server does not know."""
        async with _translated():
            listed = self._client.list(
                _resource(kind),
                namespace=self.namespace,
                labels=labels,
                fields=fields,
                chunk_size=_PAGE,
            )
            objects = [_whole(item, kind) async for item in listed]
            version = str(listed.resourceVersion or "")
        return Listing(int(version) if version.isdecimal() else 0, objects)

    async def get(self, key: ObjectKey) -> Manifest | None:
        try:
            async with _translated():
                kind = self._kind_of(key)
                found = await self._client.get(_resource(kind), key.name, namespace=self.namespace)
                return _whole(found, kind)
        except NotFound:
            return None

    async def apply(
        self, manifest: Manifest, manager: str = FIELD_MANAGER, *, force: bool = True
    ) -> Manifest:
        """Server-side apply: `manager` owns every field of `manifest`, and no other field.

        Without force, FailedPrecondition where others own a field with another value.
        """
        kind = self._kind[manifest["apiVersion"], manifest["kind"]]
        async with _translated():
            applied = await self._client.patch(
                _resource(kind),
                manifest["metadata"]["name"],
                dict(manifest),
                namespace=self.namespace,
                patch_type=PatchType.APPLY,
                field_manager=manager,
                force=force,
            )
        return _whole(applied, kind)

    async def create(self, manifest: Manifest) -> Manifest:
        """Raises AlreadyExists."""
        kind = self._kind[manifest["apiVersion"], manifest["kind"]]
        obj = _resource(kind)(manifest)
        try:
            async with _translated():
                made = await self._client.create(obj, namespace=self.namespace)
        except FailedPrecondition as error:
            if error.details.get("reason") == "AlreadyExists":
                raise AlreadyExists(error.message, **error.details) from None
            raise
        return _whole(made, kind)

    async def replace(self, manifest: Manifest) -> Manifest:
        """Put the object as it is. Raises FailedPrecondition when its resource version is not the latest."""
        kind = self._kind[manifest["apiVersion"], manifest["kind"]]
        obj = _resource(kind)(manifest)
        async with _translated():
            made = await self._client.replace(obj, namespace=self.namespace)
        return _whole(made, kind)

    async def merge_patch(self, key: ObjectKey, patch: Manifest, *, status: bool = False) -> Manifest:
        """`metadata.resourceVersion` in the patch makes it conditional."""
        kind = self._kind_of(key)
        resource = _resource(kind).Status if status else _resource(kind)
        async with _translated():
            patched = await self._client.patch(
                resource,
                key.name,
                dict(patch),
                namespace=self.namespace,
                patch_type=PatchType.MERGE,
                field_manager=FIELD_MANAGER,
            )
        return _whole(patched, kind)

    async def delete(self, key: ObjectKey, uid: str) -> None:
        """Delete this very object, its dependents after it; another one of its name is left.

        Raises NotFound when there is none.
        """
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid},
        }
        # The client's own `delete` takes no preconditions.
        generic = self._client._client
        request = generic.prepare_request(
            "delete", res=_resource(self._kind_of(key)), name=key.name, namespace=self.namespace
        )
        request.data = options
        try:
            async with _translated():
                answer = await generic.send(generic.build_adapter_request(request))
                generic.raise_for_status(answer)
        except FailedPrecondition as error:
            if error.details.get("status") != 409:
                raise

    async def storage_classes(self) -> list[Manifest] | None:
        """All storage classes, None where the operator may not look at them."""
        resource = create_global_resource("storage.k8s.io", "v1", "StorageClass", "storageclasses")
        try:
            async with _translated():
                return [dict(item) async for item in self._client.list(resource)]
        except FailedPrecondition:
            return None

    def _kind_of(self, key: ObjectKey) -> Kind:
        return self._kind[key.api_version, key.kind]


@cache
def _resource(kind: Kind) -> Any:
    return create_namespaced_resource(kind.group, kind.version, kind.kind, kind.plural)


def _whole(found: Any, kind: Kind) -> Manifest:
    """A list's items come without their type."""
    return {**found, "apiVersion": kind.api_version, "kind": kind.kind}


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except ApiError as error:
        status = int(error.status.code or 0)
        kind = _KINDS.get(status, Unavailable)
        raise kind(
            error.status.message or f"the API server answered {status}",
            status=status,
            reason=error.status.reason or "",
        ) from None
    except (httpx2.HTTPError, json.JSONDecodeError) as error:
        status = error.response.status_code if isinstance(error, httpx2.HTTPStatusError) else 0
        kind = _KINDS.get(status, Unavailable)
        raise kind(
            f"the API server can't be reached: {str(error) or type(error).__name__}", status=status
        ) from None


def is_conflict(error: HanaxError) -> bool:
    """Whether someone else wrote the object first."""
    return error.details.get("status") == 409
