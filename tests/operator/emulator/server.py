"""The HTTP face of the emulated API server: paths, queries, media types, watches."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import orjson
import yaml
from aiohttp import web

from tests.operator.emulator import answers, kinds, merging, quantities, selectors
from tests.operator.emulator.answers import ApiError, Cause
from tests.operator.emulator.definitions import Definitions
from tests.operator.emulator.kinds import Kind
from tests.operator.emulator.objects import Admission, Deletion, Objects, Writer
from tests.operator.emulator.store import Change, Obj, ObjectName, Store
from tests.operator.emulator.webhooks import Webhooks

MAX_BODY_BYTES: Final = 3 * 1024 * 1024
# A watch without a timeout of its own ends after this; the server picks 30 to 60 minutes.
MAX_WATCH_S: Final = 1_800.0
BOOKMARK_S: Final = 5.0
_CREATING: Final = "POST"


@dataclass(frozen=True)
class Target:
    """What a path names. No name: the collection of objects."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def object_name(self) -> ObjectName:
        return (self.namespace if self.kind.namespaced else "", self.name)


class ApiServer:
    """An API server in memory. One event loop; nothing of it is safe to be called from another."""

    def __init__(self) -> None:
        self.store = Store()
        self.definitions = Definitions(self.store)
        self._crds = self.definitions.get("apiextensions.k8s.io", "v1", "customresourcedefinitions")
        self._namespaces = self.definitions.get("", "v1", "namespaces")
        self._classes = self.definitions.get("storage.k8s.io", "v1", "storageclasses")
        configurations = self.definitions.get(
            "admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations"
        )
        self._webhooks = Webhooks(self.store, configurations)
        self.objects = Objects(self.store, self._admit)

    async def start(self, port: int = 0) -> tuple[web.AppRunner, str]:
        """Serve on loopback; returns what stops it, and its URL."""
        for name in ("default", "kube-system"):
            await self.objects.create(self._namespaces, "", {"metadata": {"name": name}}, Writer("emulator"))
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def _admit(self, asked: Admission) -> None:
        if asked.kind.key == self._crds.key and asked.object is not None and not asked.subresource:
            self.definitions.check(self._crds, asked.object)
        if (
            asked.kind.kind == "PersistentVolumeClaim"
            and asked.operation == "UPDATE"
            and not asked.subresource
        ):
            self._check_growth(asked)
        await self._webhooks.admit(asked)

    def _check_growth(self, asked: Admission) -> None:
        """Only a class that says so lets its volumes grow."""
        assert asked.object is not None
        assert asked.old is not None
        before, after = (one["spec"]["resources"]["requests"]["storage"] for one in (asked.old, asked.object))
        found = self.store.get(self._classes, ("", asked.old["spec"].get("storageClassName", "")))
        if quantities.parse(after) > quantities.parse(before) and not (found or {}).get(
            "allowVolumeExpansion"
        ):
            why = (
                "only dynamically provisioned pvc can be resized and the storageclass that provisions "
                "the pvc must support resize"
            )
            raise answers.forbidden("persistentvolumeclaims", asked.name[1], why)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._route(request)
        except ApiError as error:
            return _json(error.document, error.code)

    async def _route(self, request: web.Request) -> web.StreamResponse:
        parts = [part for part in request.path.split("/") if part]
        if parts and parts[0] in ("healthz", "livez", "readyz"):
            return web.Response(text="ok")
        if parts == ["version"]:
            return _json({"major": "1", "minor": "37", "gitVersion": "v1.37.0"})
        if (document := self._discovery(parts)) is not None:
            return _json(document)
        target = self._target(parts)
        if request.method == "GET":
            return await self._get(request, target)
        body = await _body(request)
        return await self._write(request, target, body)

    def _discovery(self, parts: list[str]) -> Obj | None:
        known = self.definitions.all()
        if parts == ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        if parts == ["apis"]:
            return kinds.group_list(known)
        if parts == ["api", "v1"]:
            return kinds.resource_list("v1", [kind for kind in known if kind.api_version == "v1"])
        if len(parts) in (2, 3) and parts[0] == "apis":
            of_group = [kind for kind in known if kind.group == parts[1]]
            versions = list(dict.fromkeys(kind.version for kind in of_group))
            if len(parts) == 2 and of_group:
                return {"kind": "APIGroup", "apiVersion": "v1", **kinds.group_document(parts[1], versions)}
            if len(parts) == 3 and parts[2] in versions:
                of_version = [kind for kind in of_group if kind.version == parts[2]]
                return kinds.resource_list(f"{parts[1]}/{parts[2]}", of_version)
            raise answers.no_such_path()
        return None

    def _target(self, parts: list[str]) -> Target:
        if parts[:2] == ["api", "v1"]:
            group, version, rest = "", "v1", parts[2:]
        elif len(parts) > 3 and parts[0] == "apis":
            group, version, rest = parts[1], parts[2], parts[3:]
        else:
            raise answers.no_such_path()
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
            namespace, rest = rest[1], rest[2:]
        kind = self.definitions.get(group, version, rest[0])
        if len(rest) > 3 or (namespace and not kind.namespaced):
            raise answers.no_such_path()
        target = Target(kind, namespace, *rest[1:])
        known = (kind.status and "status", kind.scale and "scale", kind.kind == "Pod" and "binding", "")
        if target.subresource not in known:
            raise answers.no_such_path()
        return target

    async def _get(self, request: web.Request, target: Target) -> web.StreamResponse:
        kind, query = target.kind, request.query
        if target.name and query.get("watch") not in ("1", "true"):
            found = self.objects.read(kind, target.object_name)
            return _json(_scale_of(kind, found) if target.subresource == "scale" else found)
        by_labels = selectors.by_labels(query.get("labelSelector", ""))
        by_fields = selectors.by_fields(query.get("fieldSelector", ""), kind.kind)

        def wanted(obj: Mapping[str, Any]) -> bool:
            return by_labels(obj) and by_fields(obj)

        if query.get("watch") in ("1", "true"):
            return await self._watch(request, target, wanted)
        return _json(self._list(target, wanted, query))

    def _list(self, target: Target, wanted: Callable[[Obj], bool], query: Mapping[str, str]) -> Obj:
        kind = target.kind
        found = [(name, obj) for name, obj in self.store.all(kind, target.namespace) if wanted(obj)]
        revision = self.store.revision
        if token := query.get("continue"):
            revision, after = _read_token(token)
            found = [(name, obj) for name, obj in found if name > after]
        metadata: dict[str, Any] = {"resourceVersion": str(revision)}
        limit = int(query.get("limit") or 0)
        if limit and len(found) > limit:
            metadata["continue"] = _token(revision, found[limit - 1][0])
            metadata["remainingItemCount"] = len(found) - limit
            found = found[:limit]
        items = [
            {key: value for key, value in obj.items() if key not in ("apiVersion", "kind")}
            for _, obj in found
        ]
        if kind.custom:
            items = [obj for _, obj in found]
        return {
            "kind": f"{kind.kind}List",
            "apiVersion": kind.api_version,
            "metadata": metadata,
            "items": items,
        }

    async def _watch(
        self, request: web.Request, target: Target, wanted: Callable[[Obj], bool]
    ) -> web.StreamResponse:
        query = request.query
        asked = query.get("timeoutSeconds") or str(int(MAX_WATCH_S))
        if not asked.isdecimal():
            raise answers.bad_request(f'strconv.ParseInt: parsing "{asked}": invalid syntax')
        until = time.monotonic() + int(asked)
        bookmarks = query.get("allowWatchBookmarks") in ("1", "true")
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        with suppress(ConnectionResetError):
            try:
                await self._follow(
                    answer, target, wanted, (query.get("resourceVersion", ""), until, bookmarks)
                )
            except ApiError as error:
                await answer.write(_line("ERROR", error.document))
        return answer

    async def _follow(
        self,
        answer: web.StreamResponse,
        target: Target,
        wanted: Callable[[Obj], bool],
        how: tuple[str, float, bool],
    ) -> None:
        revision, until, bookmarks = how
        kind = target.kind
        if revision in ("", "0"):
            at = self.store.revision
            for name, obj in self.store.all(kind, target.namespace):
                if wanted(obj) and target.name in ("", name[1]):
                    await answer.write(_line("ADDED", obj))
        else:
            at = int(revision)
        marked = at
        while (left := until - time.monotonic()) > 0:
            waiter = self.store.next_change
            upto = self.store.revision
            changes = list(self.store.changes_since(kind, at)) if upto > at else []
            lines = [line for change in changes if (line := _seen(change, target, wanted)) is not None]
            if lines:
                await answer.write(b"".join(lines))
            at = max(at, upto)
            try:
                await asyncio.wait_for(waiter.wait(), min(left, BOOKMARK_S))
            except TimeoutError:
                if bookmarks and at > marked:
                    mark = {
                        "kind": kind.kind,
                        "apiVersion": kind.api_version,
                        "metadata": {"resourceVersion": str(at)},
                    }
                    await answer.write(_line("BOOKMARK", mark))
                    marked = at

    async def _write(self, request: web.Request, target: Target, body: Any) -> web.Response:
        agent = request.headers.get("User-Agent", "unknown").split("/")[0]
        writer = Writer(
            name=request.query.get("fieldManager") or agent,
            subresource=target.subresource if target.subresource == "status" else "",
            dry_run="All" in request.query.getall("dryRun", []),
        )
        if request.method == "DELETE":
            return await self._delete(target, body, writer, request.query)
        if not isinstance(body, (dict, list)):
            raise answers.bad_request("the body of the request is no object")
        found: Obj
        if target.subresource == "scale":
            return _json(await self._write_scale(request, target, body, writer))
        if request.method == "PATCH" and target.name:
            found, new = await self._patch(request, target, body, writer)
            return _json(self._after(target.kind, found), 201 if new else 200)
        if not isinstance(body, dict):
            raise answers.bad_request("the body of the request is no object")
        if target.subresource == "binding" and request.method == _CREATING:
            return await self._bind(target, body, writer)
        if request.method == _CREATING and not target.name:
            _check_kind(target.kind, body)
            found = await self.objects.create(target.kind, target.namespace, body, writer)
            return _json(self._after(target.kind, found), 201)
        if request.method == "PUT" and target.name:
            _check_kind(target.kind, body)
            found = await self.objects.update(target.kind, target.object_name, body, writer)
            return _json(self._after(target.kind, found))
        raise answers.wrong_method()

    async def _patch(
        self, request: web.Request, target: Target, body: Any, writer: Writer
    ) -> tuple[Obj, bool]:
        kind, name = target.kind, target.object_name
        if request.content_type in ("application/apply-patch+yaml", "application/apply-patch+json"):
            if not request.query.get("fieldManager"):
                why = "Required value: is required for apply patch"
                raise answers.invalid("PatchOptions.meta.k8s.io", "", [Cause("fieldManager", why)])
            _check_kind(kind, body)
            force = request.query.get("force") in ("1", "true")
            return await self.objects.apply(kind, name, body, writer, force=force)
        if request.query.get("force"):
            raise answers.invalid(
                "PatchOptions.meta.k8s.io",
                "",
                [Cause("force", "Forbidden: may not be specified for non-apply patch")],
            )
        return await self.objects.patch(kind, name, _edit(request.content_type, kind, body), writer), False

    async def _delete(
        self, target: Target, body: Any, writer: Writer, query: Mapping[str, str]
    ) -> web.Response:
        options = body if isinstance(body, dict) else {}
        preconditions = options.get("preconditions") or {}
        grace = query.get("gracePeriodSeconds", options.get("gracePeriodSeconds"))
        how = Deletion(
            uid=preconditions.get("uid", ""),
            revision=preconditions.get("resourceVersion", ""),
            propagation=query.get("propagationPolicy") or options.get("propagationPolicy") or "Background",
            grace_s=None if grace is None else int(grace),
        )
        if not target.name:
            by_labels = selectors.by_labels(query.get("labelSelector", ""))
            for name, obj in self.store.all(target.kind, target.namespace):
                if by_labels(obj):
                    await self._delete_one(Target(target.kind, *name), how, writer)
            return _json({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})
        found, gone = await self._delete_one(target, how, writer)
        if not gone:
            return _json(found)
        details = {"name": target.name, "group": target.kind.group, "kind": target.kind.plural}
        return _json(
            {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Success",
                "details": {**details, "uid": found["metadata"]["uid"]},
            }
        )

    async def _delete_one(self, target: Target, how: Deletion, writer: Writer) -> tuple[Obj, bool]:
        kind, name = target.kind, target.object_name
        if kind.key == self._namespaces.key:
            # Its content goes first; it ends with the last of it.
            home = await self.objects.patch(kind, name, _with_finalizer, writer)
            found, _ = await self.objects.delete(kind, name, how, writer)
            for other in [other for other in self.definitions.all() if other.namespaced]:
                for inner, _obj in self.store.all(other, name[1]):
                    await self.objects.delete(other, inner, Deletion(grace_s=0), writer)
            self.objects.forget_namespace(self.definitions.all(), home, kind)
            return found, self.store.get(kind, name) is None
        found, gone = await self.objects.delete(kind, name, how, writer)
        if gone:
            self._after_end(kind, found)
        return found, gone

    async def _bind(self, target: Target, body: Obj, writer: Writer) -> web.Response:
        def bound(pod: Obj) -> Obj:
            if pod["spec"].get("nodeName"):
                raise answers.conflict(
                    "pods/binding", target.name, f"pod {target.name} is already assigned to node"
                )
            return {**pod, "spec": {**pod["spec"], "nodeName": body["target"]["name"]}}

        await self.objects.patch(target.kind, target.object_name, bound, writer)
        return _json({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}, 201)

    async def _write_scale(self, request: web.Request, target: Target, body: Any, writer: Writer) -> Obj:
        kind = target.kind
        assert kind.scale is not None
        path = kind.scale.replicas

        def scaled(old: Obj) -> Obj:
            told = _scale_of(kind, old)
            edit = (lambda _: body) if request.method == "PUT" else _edit(request.content_type, kind, body)
            wanted = edit(told)["spec"].get("replicas", 0)
            return {**old, path[0]: {**old.get(path[0], {}), path[1]: wanted}}

        return _scale_of(kind, await self.objects.patch(kind, target.object_name, scaled, writer))

    def _after(self, kind: Kind, obj: Obj) -> Obj:
        """What the server itself does once an object is written."""
        if kind.key == self._crds.key and self.store.get(kind, ("", obj["metadata"]["name"])) is obj:
            return self.definitions.take(kind, obj)
        name = (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        if "deletionTimestamp" in obj["metadata"] and self.store.get(kind, name) is None:
            self._after_end(kind, obj)
        return obj

    def _after_end(self, kind: Kind, obj: Obj) -> None:
        if kind.key == self._crds.key:
            self.definitions.drop(obj)
        home = self.store.get(self._namespaces, ("", obj["metadata"].get("namespace", "")))
        if home is not None and "deletionTimestamp" in home["metadata"]:
            self.objects.forget_namespace(self.definitions.all(), home, self._namespaces)


def _edit(media: str, kind: Kind, patch: Any) -> Callable[[Obj], Obj]:
    if media == "application/json-patch+json":
        return lambda old: merging.json_patch(old, patch)
    if media == "application/merge-patch+json":
        return lambda old: dict(merging.merge_patch(old, patch))
    if media == "application/strategic-merge-patch+json" and not kind.custom:
        return lambda old: dict(merging.strategic_merge_patch(old, patch, kind.schema))
    raise answers.unsupported_media_type(media)


def _check_kind(kind: Kind, body: Any) -> None:
    if not isinstance(body, dict):
        raise answers.bad_request("the body of the request is no object")
    for field, wanted in (("apiVersion", kind.api_version), ("kind", kind.kind)):
        if body.get(field, wanted) != wanted:
            raise answers.bad_request(
                f"the {field} in the data ({body[field]}) does not match the expected {field} ({wanted})"
            )


def _scale_of(kind: Kind, obj: Obj) -> Obj:
    assert kind.scale is not None
    metadata = {
        key: obj["metadata"].get(key)
        for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    }
    selector = _found(obj, kind.scale.selector) if kind.scale.selector else None
    if not kind.custom:
        labels = obj["spec"]["selector"].get("matchLabels", {})
        selector = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
    status: Obj = {"replicas": _found(obj, kind.scale.status_replicas) or 0}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": _found(obj, kind.scale.replicas) or 0},
        "status": {**status, **({"selector": selector} if selector else {})},
    }


def _found(obj: Any, path: Iterable[str]) -> Any:
    for word in path:
        obj = obj.get(word) if isinstance(obj, dict) else None
    return obj


def _seen(change: Change, target: Target, wanted: Callable[[Obj], bool]) -> bytes | None:
    """The change as one watcher sees it: an object that its selector no longer takes is deleted to it."""
    metadata = change.object["metadata"]
    if target.namespace not in ("", metadata.get("namespace")) or target.name not in ("", metadata["name"]):
        return None
    before = change.previous is not None and wanted(change.previous)
    now = change.type != "DELETED" and wanted(change.object)
    if not before and not now:
        return None
    word = "ADDED" if not before else "MODIFIED" if now else "DELETED"
    return _line(word, change.object)


def _line(word: str, obj: Mapping[str, Any]) -> bytes:
    return orjson.dumps({"type": word, "object": obj}) + b"\n"


def _token(revision: int, last: ObjectName) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([revision, *last])).decode()


def _read_token(text: str) -> tuple[int, ObjectName]:
    try:
        revision, namespace, name = orjson.loads(base64.urlsafe_b64decode(text))
    except (binascii.Error, ValueError) as error:
        raise answers.bad_request("continue key is not valid") from error
    return revision, (namespace, name)


def _with_finalizer(namespace: Obj) -> Obj:
    finalizers = [*namespace["metadata"].get("finalizers", ()), "kubernetes"]
    return {**namespace, "metadata": {**namespace["metadata"], "finalizers": list(dict.fromkeys(finalizers))}}


async def _body(request: web.Request) -> Any:
    raw = await request.read()
    if not raw:
        return None
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        pass
    try:
        return yaml.safe_load(raw)
    except yaml.YAMLError as error:
        raise answers.bad_request(f"the body of the request can't be read: {error}") from error


def _json(document: Mapping[str, Any], code: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(document), status=code, content_type="application/json")
