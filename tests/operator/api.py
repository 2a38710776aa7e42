"""A small client of the Kubernetes API for tests and stand-ins: plain dicts in and out.

Of its own, so that what is tested is not also what judges.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Self

import aiohttp
import orjson

from tests.operator.kubeconfigs import Access

Obj = dict[str, Any]

# Kind -> where it is served: API version, plural, whether it has namespaces.
PLACES: Final[dict[str, tuple[str, str, bool]]] = {
    "ConfigMap": ("v1", "configmaps", True),
    "CustomResourceDefinition": ("apiextensions.k8s.io/v1", "customresourcedefinitions", False),
    "Deployment": ("apps/v1", "deployments", True),
    "Event": ("v1", "events", True),
    "ExternalModel": ("vector.citadel-ai.com/v1alpha1", "externalmodels", True),
    "HorizontalPodAutoscaler": ("autoscaling/v2", "horizontalpodautoscalers", True),
    "Lease": ("coordination.k8s.io/v1", "leases", True),
    "Namespace": ("v1", "namespaces", False),
    "Node": ("v1", "nodes", False),
    "PersistentVolume": ("v1", "persistentvolumes", False),
    "PersistentVolumeClaim": ("v1", "persistentvolumeclaims", True),
    "Pod": ("v1", "pods", True),
    "PodDisruptionBudget": ("policy/v1", "poddisruptionbudgets", True),
    "ReplicaSet": ("apps/v1", "replicasets", True),
    "Secret": ("v1", "secrets", True),
    "Service": ("v1", "services", True),
    "ServiceAccount": ("v1", "serviceaccounts", True),
    "StatefulSet": ("apps/v1", "statefulsets", True),
    "StorageClass": ("storage.k8s.io/v1", "storageclasses", False),
    "ValidatingWebhookConfiguration": (
        "admissionregistration.k8s.io/v1",
        "validatingwebhookconfigurations",
        False,
    ),
    "VectorCollection": ("vector.citadel-ai.com/v1alpha1", "vectorcollections", True),
}


class Refused(Exception):
    """The server's no. `status` is its Status document."""

    def __init__(self, code: int, status: Mapping[str, Any]) -> None:
        super().__init__(f"{code} {status.get('reason')}: {status.get('message')}")
        self.code = code
        self.status = status


class Api:
    """Use as an async context. `agent` names who writes, where no field manager is given."""

    def __init__(self, access: Access, agent: str = "tests") -> None:
        self._access = access
        self._agent = agent
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._access.trust or True, limit=0)
        headers = {**self._access.headers, "User-Agent": f"{self._agent}/1"}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        self._session = aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def get(self, kind: str, name: str, namespace: str = "", subresource: str = "") -> Obj:
        return await self.request("GET", path(kind, namespace, name, subresource))

    async def find(self, kind: str, name: str, namespace: str = "") -> Obj | None:
        """None where there is none."""
        try:
            return await self.get(kind, name, namespace)
        except Refused as refusal:
            if refusal.code != 404:
                raise
            return None

    async def list(self, kind: str, namespace: str = "", **query: str) -> list[Obj]:
        """With apiVersion and kind, that the server leaves out of the items of a list."""
        found = await self.request("GET", path(kind, namespace), query=query)
        head = {"apiVersion": PLACES[kind][0], "kind": kind}
        return [{**head, **item} for item in found["items"]]

    async def create(self, obj: Obj, namespace: str = "") -> Obj:
        return await self.request("POST", path(obj["kind"], namespace), obj)

    async def replace(self, obj: Obj, subresource: str = "") -> Obj:
        metadata = obj["metadata"]
        return await self.request(
            "PUT", path(obj["kind"], metadata.get("namespace", ""), metadata["name"], subresource), obj
        )

    async def merge(
        self, kind: str, name: str, patch: Obj, namespace: str = "", subresource: str = ""
    ) -> Obj:
        media = "application/merge-patch+json"
        return await self.request("PATCH", path(kind, namespace, name, subresource), patch, media=media)

    async def apply(
        self, obj: Obj, namespace: str = "", *, manager: str, force: bool = True, subresource: str = ""
    ) -> Obj:
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        at = path(obj["kind"], namespace, obj["metadata"]["name"], subresource)
        return await self.request("PATCH", at, obj, media="application/apply-patch+yaml", query=query)

    async def delete(self, kind: str, name: str, namespace: str = "", **options: Any) -> Obj:
        """`options`: propagationPolicy, gracePeriodSeconds, preconditions."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", **options}
        return await self.request("DELETE", path(kind, namespace, name), body)

    async def remove(self, kind: str, name: str, namespace: str = "", **options: Any) -> None:
        """Delete what may be gone already."""
        try:
            await self.delete(kind, name, namespace, **options)
        except Refused as refusal:
            if refusal.code not in (404, 409):
                raise

    async def watch(self, kind: str, namespace: str = "", **query: str) -> AsyncIterator[tuple[str, Obj]]:
        """(type, object) of one watch, until the server ends it. An ERROR is raised as Refused."""
        assert self._session is not None
        params = {"watch": "true", "allowWatchBookmarks": "true", **query}
        async with self._session.get(self._access.url + path(kind, namespace), params=params) as answer:
            if answer.status >= 400:
                raise Refused(answer.status, orjson.loads(await answer.read()))
            async for line in _lines(answer.content):
                event = orjson.loads(line)
                if event["type"] == "ERROR":
                    raise Refused(event["object"]["code"], event["object"])
                yield event["type"], event["object"]

    async def request(
        self,
        method: str,
        at: str,
        body: Any = None,
        *,
        media: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> Obj:
        assert self._session is not None
        data = None if body is None else io.BytesIO(orjson.dumps(body))
        async with self._session.request(
            method, self._access.url + at, data=data, headers={"Content-Type": media}, params=query
        ) as answer:
            raw = await answer.read()
            document: Obj = orjson.loads(raw) if raw[:1] == b"{" else {"message": raw.decode()}
            if answer.status >= 400:
                raise Refused(answer.status, document)
            return document


def path(kind: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    api_version, plural, namespaced = PLACES[kind]
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    within = f"/namespaces/{namespace}" if namespaced and namespace else ""
    return root + within + "".join(f"/{part}" for part in (plural, name, subresource) if part)


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length; a stream's own reader takes 64 KiB at most."""
    rest = b""
    try:
        async for chunk in stream.iter_any():
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                if line:
                    yield line
    except (aiohttp.ClientPayloadError, asyncio.IncompleteReadError, ConnectionResetError):
        return  # the server went away in the middle: the same as an end
