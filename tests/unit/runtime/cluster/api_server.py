"""A small Kubernetes API server over real HTTP: objects with versions, lists in pages, watches, refusals."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

NAMESPACE = "vectors"
_KINDS = {"configmaps": "ConfigMap", "vectorcollections": "VectorCollection"}


class Refusal(Exception):
    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message

    def body(self) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Status",
            "status": "Failure",
            "code": self.status,
            "reason": self.reason,
            "message": self.message,
        }


class ApiServer:
    """Set `refusing` and every request is refused so; `refused` counts those.

    `before_write` is called before a PUT or DELETE is looked at, once; `watches` counts open ones.
    """

    def __init__(self) -> None:
        self.refusing: Refusal | None = None
        self.refused = 0
        self.before_write: Any = None
        self.requests: list[tuple[str, str]] = []
        self.watches = 0
        self._objects: dict[tuple[str, str], dict[str, Any]] = {}
        self._events: list[tuple[int, str, str, dict[str, Any]]] = []
        self._forgotten = 0
        self._epoch = 0
        self._version = 0
        self._changed = threading.Condition()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(size)) if size else None
                with suppress(ConnectionError):  # the client has gone
                    server.serve(self, body)

            do_GET = do_POST = do_PUT = do_DELETE = _serve

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self.end_watches()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def kubeconfig(self, path: Path) -> Path:
        """Write the file that leads here."""
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": NAMESPACE}}],
            "current-context": "x",
        }
        path.write_text(yaml.safe_dump(document))
        return path

    # What a test does to the cluster

    def put(self, plural: str, name: str, **content: Any) -> dict[str, Any]:
        """Create or replace an object, whatever its version."""
        with self._changed:
            known = self._objects.get((plural, name))
            obj = {"metadata": {"name": name}, **content}
            return self._store(plural, obj, known)

    def get(self, plural: str, name: str) -> dict[str, Any] | None:
        with self._changed:
            return self._objects.get((plural, name))

    def all(self, plural: str) -> list[dict[str, Any]]:
        with self._changed:
            return [obj for (kind, _), obj in self._objects.items() if kind == plural]

    def remove(self, plural: str, name: str) -> None:
        """As when the last finalizer is gone."""
        with self._changed:
            obj = self._objects.pop((plural, name))
            self._tell(plural, "DELETED", obj)

    def end_watches(self) -> None:
        """As when the server is restarted."""
        with self._changed:
            self._epoch += 1
            self._changed.notify_all()

    def forget(self) -> None:
        """Let every version be too old to watch from."""
        with self._changed:
            self._version += 1
            self._forgotten = self._version
            self._epoch += 1
            self._changed.notify_all()

    @contextmanager
    def refuses(self, status: int, reason: str = "", message: str = "not now") -> Iterator[None]:
        self.refusing = Refusal(status, reason, message)
        try:
            yield
        finally:
            self.refusing = None

    # What the API does

    def serve(self, request: BaseHTTPRequestHandler, body: Any) -> None:
        url = urlsplit(request.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        parts = url.path.strip("/").split("/")
        place = parts.index("namespaces")
        plural, name = parts[place + 2], parts[place + 3] if len(parts) > place + 3 else ""
        self.requests.append((request.command, url.path))
        try:
            assert request.headers["Authorization"] == "Bearer t"
            if self.refusing is not None:
                self.refused += 1
                raise self.refusing
            if query.get("watch"):
                self._watch(request, plural, query)
                return
            if request.command in ("PUT", "DELETE") and self.before_write is not None:
                hook, self.before_write = self.before_write, None
                hook()
            with self._changed:
                status, answer = self._answer(request.command, plural, name, query, body)
        except Refusal as refusal:
            status, answer = refusal.status, refusal.body()
        raw = json.dumps(answer).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(raw)))
        request.end_headers()
        request.wfile.write(raw)

    def _answer(
        self, method: str, plural: str, name: str, query: dict[str, str], body: Any
    ) -> tuple[int, dict[str, Any]]:
        if method == "GET" and not name:
            return 200, self._list(plural, query)
        if method == "POST":
            name = body["metadata"]["name"]
            if (plural, name) in self._objects:
                raise Refusal(409, "AlreadyExists", f"{plural} {name!r} already exists")
            return 201, self._store(plural, body, None)
        known = self._objects.get((plural, name))
        if known is None:
            raise Refusal(404, "NotFound", f"{plural} {name!r} not found")
        if method == "PUT":
            wanted = body["metadata"].get("resourceVersion")
            if wanted != known["metadata"]["resourceVersion"]:
                raise Refusal(409, "Conflict", "the object has been modified")
            return 200, self._store(plural, body, known)
        if method == "DELETE":
            if known["metadata"].get("finalizers"):
                going = {**known["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
                self._store(plural, {**known, "metadata": going}, known)
            else:
                del self._objects[plural, name]
                self._tell(plural, "DELETED", known)
            return 200, {"kind": "Status", "apiVersion": "v1", "status": "Success"}
        return 200, known

    def _store(self, plural: str, obj: dict[str, Any], known: dict[str, Any] | None) -> dict[str, Any]:
        old = known["metadata"] if known else {}
        metadata = obj["metadata"]
        changed = known is None or known.get("spec") != obj.get("spec")
        obj = {
            **obj,
            "apiVersion": "v1" if plural == "configmaps" else "vector.citadel-ai.com/v1alpha1",
            "kind": _KINDS[plural],
            "metadata": {
                **metadata,
                "namespace": NAMESPACE,
                "uid": old.get("uid") or str(uuid.uuid4()),
                "generation": old.get("generation", 0) + changed,
                "creationTimestamp": old.get("creationTimestamp")
                or f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            },
        }
        self._objects[plural, metadata["name"]] = obj
        self._tell(plural, "MODIFIED" if known else "ADDED", obj)
        return obj

    def _tell(self, plural: str, kind: str, obj: dict[str, Any]) -> None:
        self._version += 1
        obj["metadata"]["resourceVersion"] = str(self._version)
        self._events.append((self._version, plural, kind, json.loads(json.dumps(obj))))
        self._changed.notify_all()

    def _list(self, plural: str, query: dict[str, str]) -> dict[str, Any]:
        names = sorted(name for kind, name in self._objects if kind == plural and _selects(query, name))
        first = int(query.get("continue") or 0)
        limit = int(query.get("limit") or len(names) or 1)
        metadata: dict[str, Any] = {"resourceVersion": str(self._version)}
        if first + limit < len(names):
            metadata["continue"] = str(first + limit)
        items = [self._objects[plural, name] for name in names[first : first + limit]]
        return {"kind": f"{_KINDS[plural]}List", "apiVersion": "v1", "metadata": metadata, "items": items}

    def _watch(self, request: BaseHTTPRequestHandler, plural: str, query: dict[str, str]) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        version = int(query["resourceVersion"])
        epoch = self._epoch
        if version < self._forgotten:
            gone = Refusal(410, "Expired", "too old resource version").body()
            self._send(request, {"type": "ERROR", "object": gone})
        else:
            self.watches += 1
            try:
                self._send_events(request, plural, query, version, epoch)
            finally:
                self.watches -= 1
        request.wfile.write(b"0\r\n\r\n")

    def _send_events(
        self, request: BaseHTTPRequestHandler, plural: str, query: dict[str, str], version: int, epoch: int
    ) -> None:
        while True:
            with self._changed:
                while self._version == version and self._epoch == epoch:
                    self._changed.wait()
                if self._epoch != epoch:
                    return
                news = [event for event in self._events if event[0] > version]
                version = self._version
            for _, kind, what, obj in news:
                if kind == plural and _selects(query, obj["metadata"]["name"]):
                    self._send(request, {"type": what, "object": obj})

    def _send(self, request: BaseHTTPRequestHandler, event: dict[str, Any]) -> None:
        line = json.dumps(event).encode() + b"\n"
        request.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        request.wfile.flush()


def _selects(query: dict[str, str], name: str) -> bool:
    selector = query.get("fieldSelector")
    return selector is None or selector == f"metadata.name={name}"
