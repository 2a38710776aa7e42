"""The HTTP face of the emulated API server: which request is whose, and what the server does by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from tests.operator.emulator import answers, paths, quantities, selectors
from tests.operator.emulator.answers import ApiError, Cause
from tests.operator.emulator.bodies import answer_of, body_of, check_kind, edit_of
from tests.operator.emulator.definitions import Definitions
from tests.operator.emulator.deletion import Deletion
from tests.operator.emulator.kinds import Kind
from tests.operator.emulator.objects import Admission, Objects, Writer
from tests.operator.emulator.paths import Target
from tests.operator.emulator.reading import Reader
from tests.operator.emulator.scales import scale_of, scaled
from tests.operator.emulator.store import Obj, Store
from tests.operator.emulator.webhooks import Webhooks

MAX_BODY_BYTES: Final = 3 * 1024 * 1024
_CREATING: Final = "POST"


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
        self._reader = Reader(self.objects)

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
            return answer_of(error.document, error.code)

    async def _route(self, request: web.Request) -> web.StreamResponse:
        parts = [part for part in request.path.split("/") if part]
        if parts and parts[0] in ("healthz", "livez", "readyz"):
            return web.Response(text="ok")
        if parts == ["version"]:
            return answer_of({"major": "1", "minor": "37", "gitVersion": "v1.37.0"})
        if (document := paths.discovery(parts, self.definitions)) is not None:
            return answer_of(document)
        target = paths.target(parts, self.definitions)
        if request.method == "GET":
            return await self._reader.get(request, target)
        body = await body_of(request)
        return await self._write(request, target, body)

    async def _write(self, request: web.Request, target: Target, body: Any) -> web.Response:
        agent = request.headers.get("User-Agent", "unknown").split("/")[0]
        writer = Writer(
            name=request.query.get("fieldManager") or agent,
            subresource=target.subresource if target.subresource in ("status", "scale") else "",
            dry_run="All" in request.query.getall("dryRun", []),
        )
        if request.method == "DELETE":
            return await self._delete(target, body, writer, request.query)
        if not isinstance(body, (dict, list)):
            raise answers.bad_request("the body of the request is no object")
        found: Obj
        if target.subresource == "scale":
            return answer_of(await self._scale(request, target, body, writer))
        if request.method == "PATCH" and target.name:
            found, new = await self._patch(request, target, body, writer)
            return answer_of(self._after(target.kind, found), 201 if new else 200)
        if not isinstance(body, dict):
            raise answers.bad_request("the body of the request is no object")
        if target.subresource == "binding" and request.method == _CREATING:
            return await self._bind(target, body, writer)
        if request.method == _CREATING and not target.name:
            check_kind(target.kind, body)
            found = await self.objects.create(target.kind, target.namespace, body, writer)
            return answer_of(self._after(target.kind, found), 201)
        if request.method == "PUT" and target.name:
            check_kind(target.kind, body)
            found = await self.objects.update(target.kind, target.object_name, body, writer)
            return answer_of(self._after(target.kind, found))
        raise answers.wrong_method()

    async def _patch(
        self, request: web.Request, target: Target, body: Any, writer: Writer
    ) -> tuple[Obj, bool]:
        kind, name = target.kind, target.object_name
        if request.content_type in ("application/apply-patch+yaml", "application/apply-patch+json"):
            if not request.query.get("fieldManager"):
                why = "Required value: is required for apply patch"
                raise answers.invalid("PatchOptions.meta.k8s.io", "", [Cause("fieldManager", why)])
            check_kind(kind, body)
            force = request.query.get("force") in ("1", "true")
            return await self.objects.apply(kind, name, body, writer, force=force)
        if request.query.get("force"):
            raise answers.invalid(
                "PatchOptions.meta.k8s.io",
                "",
                [Cause("force", "Forbidden: may not be specified for non-apply patch")],
            )
        return await self.objects.patch(kind, name, edit_of(request.content_type, kind, body), writer), False

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
            return answer_of({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})
        found, gone = await self._delete_one(target, how, writer)
        if not gone:
            return answer_of(found)
        details = {"name": target.name, "group": target.kind.group, "kind": target.kind.plural}
        return answer_of(
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
        return answer_of({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}, 201)

    async def _scale(self, request: web.Request, target: Target, body: Any, writer: Writer) -> Obj:
        kind = target.kind
        edit = (lambda _: body) if request.method == "PUT" else edit_of(request.content_type, kind, body)
        return scale_of(kind, await self.objects.patch(kind, target.object_name, scaled(kind, edit), writer))

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


def _with_finalizer(namespace: Obj) -> Obj:
    finalizers = [*namespace["metadata"].get("finalizers", ()), "kubernetes"]
    return {**namespace, "metadata": {**namespace["metadata"], "finalizers": list(dict.fromkeys(finalizers))}}
