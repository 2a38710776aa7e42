"""Reading and writing objects as the API server does it, without HTTP.

Every write goes one way: what it makes of the object, what may not change, the schema's doing, the
owners of fields, rules, webhooks, and then the store; a write that changes nothing is none.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from tests.operator.emulator import answers, ownership
from tests.operator.emulator.answers import Cause
from tests.operator.emulator.deletion import Deletion, check_preconditions, marked, timestamp
from tests.operator.emulator.kinds import Kind
from tests.operator.emulator.ownership import Manager
from tests.operator.emulator.store import Obj, ObjectName, Store
from tests.operator.emulator.subresources import part_of, with_what_stays
from tests.operator.emulator.validity import by_schema, check

# Given back by an `edit` that is an apply: the object is then made by the owners of its fields.
Edit = Callable[[Obj], Obj]
Admit = Callable[["Admission"], Awaitable[None]]

# metadata that only the server writes.
_SERVERS_OWN: Final = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
)


@dataclass(frozen=True)
class Writer:
    """Who writes, and through which subresource."""

    name: str
    subresource: str = ""
    dry_run: bool = False


@dataclass(frozen=True)
class Admission:
    """What a webhook is asked."""

    kind: Kind
    operation: str
    name: ObjectName
    object: Obj | None
    old: Obj | None
    subresource: str


class Objects:
    """The objects of one server. `admit` raises where a webhook refuses."""

    def __init__(self, store: Store, admit: Admit) -> None:
        self.store = store
        self._admit = admit
        self._addresses = count(1)
        self._locks: dict[tuple[Any, ...], asyncio.Lock] = {}

    def read(self, kind: Kind, name: ObjectName) -> Obj:
        """Raises 404."""
        found = self.store.get(kind, name)
        if found is None:
            raise answers.not_found(kind.resource, name[1])
        return found

    async def create(self, kind: Kind, namespace: str, body: Obj, writer: Writer) -> Obj:
        metadata = dict(body.get("metadata") or {})
        if not metadata.get("name"):
            if not metadata.get("generateName"):
                raise answers.invalid(
                    kind.qualified,
                    "",
                    [Cause("metadata.name", "Required value: name or generateName is required")],
                )
            metadata["name"] = metadata["generateName"] + uuid.uuid4().hex[:5]
        if metadata.get("resourceVersion"):
            raise answers.bad_request("resourceVersion should not be set on objects to be created")
        name = self._name(kind, namespace, metadata)
        async with self._lock(kind, name):
            return await self._create(kind, name, {**body, "metadata": metadata}, writer)

    async def update(self, kind: Kind, name: ObjectName, body: Obj, writer: Writer) -> Obj:
        """Replace an object whole, or the part that the subresource is about."""
        if body.get("metadata", {}).get("name") != name[1]:
            found = body.get("metadata", {}).get("name", "")
            raise answers.bad_request(
                f"the name of the object ({found}) does not match the name on the URL ({name[1]})"
            )
        async with self._lock(kind, name):
            old = self.read(kind, name)
            if kind.custom and not body["metadata"].get("resourceVersion"):
                why = "Invalid value: 0: must be specified for an update"
                raise answers.invalid(kind.qualified, name[1], [Cause("metadata.resourceVersion", why)])
            asked, found = body["metadata"].get("uid"), old["metadata"]["uid"]
            if asked not in (None, found):
                why = f"Precondition failed: UID in precondition: {asked}, UID in object meta: {found}"
                raise answers.conflict(kind.resource, name[1], why)
            return await self._replace(kind, name, old, body, writer)

    async def patch(self, kind: Kind, name: ObjectName, edit: Edit, writer: Writer) -> Obj:
        """Change an object by what `edit` makes of it."""
        async with self._lock(kind, name):
            old = self.read(kind, name)
            body = edit(old)
            if body.get("metadata", {}).get("name") != name[1]:
                raise answers.bad_request("the name of the object does not match the name on the URL")
            return await self._replace(kind, name, old, body, writer)

    async def apply(
        self, kind: Kind, name: ObjectName, applied: Obj, writer: Writer, *, force: bool
    ) -> tuple[Obj, bool]:
        """Server-side apply; True with an object that is new."""
        wanted = applied.get("metadata", {})
        if wanted.get("managedFields") is not None:
            raise answers.bad_request("metadata.managedFields must be nil")
        if wanted.get("name", name[1]) != name[1]:
            raise answers.bad_request("the name of the object does not match the name on the URL")
        if "apiVersion" not in applied or "kind" not in applied:
            raise answers.bad_request("the body must have apiVersion and kind")
        applied = part_of(kind, applied, writer.subresource)
        manager = Manager(writer.name, kind.api_version, timestamp(), writer.subresource)
        async with self._lock(kind, name):
            old = self.store.get(kind, name)
            if old is not None:
                merged = ownership.apply(old, applied, kind.schema, manager, force=force)
                merged["metadata"] = {**old["metadata"], **merged["metadata"]}
                for field in set(old["metadata"]) - set(merged["metadata"]):
                    del merged["metadata"][field]
                if "resourceVersion" in wanted:
                    merged["metadata"]["resourceVersion"] = wanted["resourceVersion"]
                merged["metadata"]["uid"] = wanted.get("uid", old["metadata"]["uid"])
                return await self._replace(kind, name, old, merged, writer, applied=True), False
            if "uid" in wanted:
                why = f"uid mismatch: the provided object specified uid {wanted['uid']}, "
                raise answers.conflict(kind.resource, name[1], why + "and no existing object was found")
            if writer.subresource:
                raise answers.not_found(kind.resource, name[1])
            empty: Obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {}}
            fresh = ownership.apply(empty, applied, kind.schema, manager, force=force)
            metadata = {**applied.get("metadata", {}), **fresh["metadata"], "name": name[1]}
            self._name(kind, name[0], metadata)
            return await self._create(kind, name, {**fresh, "metadata": metadata}, writer, applied=True), True

    async def delete(self, kind: Kind, name: ObjectName, how: Deletion, writer: Writer) -> tuple[Obj, bool]:
        """True where the object is gone; False where finalizers or its grace period keep it for now."""
        async with self._lock(kind, name):
            old = self.read(kind, name)
            check_preconditions(kind, old, how)
            await self._admit(Admission(kind, "DELETE", name, None, old, ""))
            if writer.dry_run:
                return old, False
            left = marked(old, how)
            if left is None:
                return self._end(kind, name, old), True
            return (old if left == old else self.store.put(kind, name, left)), False

    def forget_namespace(self, kinds: list[Kind], namespace: Obj, kind: Kind) -> None:
        """Take a namespace away that is to go and holds nothing any more."""
        name = namespace["metadata"]["name"]
        if not any(self.store.all(other, name) for other in kinds if other.namespaced):
            self._end(kind, ("", name), namespace)

    async def _create(
        self, kind: Kind, name: ObjectName, body: Obj, writer: Writer, *, applied: bool = False
    ) -> Obj:
        if self.store.get(kind, name) is not None:
            raise answers.already_exists(kind.resource, name[1])
        given = body["metadata"]
        metadata = {key: value for key, value in given.items() if key not in _SERVERS_OWN}
        metadata |= {"name": name[1], "uid": str(uuid.uuid4()), "creationTimestamp": timestamp()}
        metadata |= {"namespace": name[0]} if kind.namespaced else {}
        if kind.counts:
            metadata["generation"] = 1
        obj = {**body, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
        if kind.status:
            obj.pop("status", None)
        obj = by_schema(kind, obj, name)
        if kind.kind == "Service" and obj["spec"]["type"] != "ExternalName":
            self._give_address(obj["spec"])
        if not applied:
            obj = ownership.update(None, obj, kind.schema, self._manager(kind, writer))
        check(kind, obj, None, name)
        await self._admit(Admission(kind, "CREATE", name, obj, None, ""))
        return obj if writer.dry_run else self.store.put(kind, name, obj)

    async def _replace(
        self, kind: Kind, name: ObjectName, old: Obj, body: Obj, writer: Writer, *, applied: bool = False
    ) -> Obj:
        metadata = dict(body.get("metadata") or {})
        asked = metadata.get("resourceVersion")
        if asked and asked != old["metadata"]["resourceVersion"]:
            raise answers.modified(kind.resource, name[1])
        if metadata.get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]:
            why = f'Invalid value: "{metadata["uid"]}": field is immutable'
            raise answers.invalid(kind.qualified, name[1], [Cause("metadata.uid", why)])
        for field in (*_SERVERS_OWN, "resourceVersion", "name", "namespace"):
            metadata.pop(field, None)
            if field in old["metadata"]:
                metadata[field] = old["metadata"][field]
        if not applied and metadata.get("managedFields") is None and "managedFields" in old["metadata"]:
            metadata["managedFields"] = old["metadata"]["managedFields"]
        obj = {**body, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
        obj = with_what_stays(kind, obj, old, writer.subresource)
        obj = by_schema(kind, obj, name)
        if kind.counts and writer.subresource != "status" and _wanted(obj) != _wanted(old):
            obj["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        if not applied:
            obj = ownership.update(old, obj, kind.schema, self._manager(kind, writer))
        check(kind, obj, old, name)
        if obj == old:
            return old
        await self._admit(Admission(kind, "UPDATE", name, obj, old, writer.subresource))
        if writer.dry_run:
            return obj
        ends = "deletionTimestamp" in metadata and not obj["metadata"].get("finalizers")
        if ends and not metadata.get("deletionGracePeriodSeconds"):
            return self._end(kind, name, obj)
        return self.store.put(kind, name, obj)

    def _name(self, kind: Kind, namespace: str, metadata: Mapping[str, Any]) -> ObjectName:
        if not kind.namespaced:
            return "", metadata["name"]
        if metadata.get("namespace", namespace) != namespace:
            raise answers.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        home = self.store.get(_NAMESPACES, ("", namespace))
        if home is None:
            raise answers.not_found("namespaces", namespace)
        if "deletionTimestamp" in home["metadata"]:
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise answers.forbidden(kind.resource, metadata["name"], why)
        return namespace, metadata["name"]

    def _give_address(self, spec: Obj) -> None:
        if "clusterIP" not in spec:
            number = next(self._addresses)
            spec["clusterIP"] = f"10.96.{number // 250}.{number % 250 + 1}"
        spec.setdefault("clusterIPs", [spec["clusterIP"]])

    def _end(self, kind: Kind, name: ObjectName, last: Obj) -> Obj:
        self._locks.pop((kind.key, name), None)
        return self.store.remove(kind, name, last)

    def _lock(self, kind: Kind, name: ObjectName) -> asyncio.Lock:
        return self._locks.setdefault((kind.key, name), asyncio.Lock())

    def _manager(self, kind: Kind, writer: Writer) -> Manager:
        return Manager(writer.name, kind.api_version, timestamp(), writer.subresource)


_NAMESPACES: Final = Kind("", "v1", "namespaces", "Namespace", namespaced=False)


def _wanted(obj: Obj) -> Obj:
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}
