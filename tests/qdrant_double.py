"""What Qdrant's REST API answers to who copies a collection.

A double, as there is no Qdrant server among the packages that tests may install. It follows the
documentation (https://api.qdrant.tech/api-reference: collections/{name}, points/count, points/scroll) in what
is read: the form of the answers, pages in the order of ids (integers first), next_page_offset, which is the
id that the next page begins with, with_vector as true or as a list of names, the header api-key, and statuses
of errors.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class QdrantDouble:
    """vectors: the collection's parameter, as Qdrant tells it. Use it as a context."""

    def __init__(self, name: str, vectors: Mapping[str, Any], points: Sequence[Mapping[str, Any]]) -> None:
        self.name = name
        self.key: str | None = None
        self.vectors = vectors
        self.points = sorted(points, key=lambda one: (isinstance(one["id"], str), one["id"]))
        self.pages: list[int] = []
        self.fails_after: int | None = None
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(None)

            def do_POST(self) -> None:
                size = int(self.headers.get("Content-Length", 0))
                self._answer(json.loads(self.rfile.read(size) or b"null"))

            def _answer(self, body: Any) -> None:
                status, told = double._answer(self.path, self.headers.get("api-key"), body)
                raw = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, path: str, key: str | None, body: Any) -> tuple[int, Any]:
        if self.key is not None and key != self.key:
            return 401, {"status": {"error": "Must provide an API key"}, "time": 0.0}
        begin = f"/collections/{self.name}"
        if path == begin:
            return self._result({"status": "green", "config": {"params": {"vectors": self.vectors}}})
        if path == f"{begin}/points/count":
            return self._result({"count": len(self.points)})
        if path == f"{begin}/points/scroll":
            return self._scroll(body)
        error = f"Not found: Collection `{path.split('/')[2]}` doesn't exist!"
        return 404, {"status": {"error": error}, "time": 0.0}

    def _scroll(self, body: Mapping[str, Any]) -> tuple[int, Any]:
        if self.fails_after is not None and len(self.pages) >= self.fails_after:
            return 500, {"status": {"error": "Service internal error"}, "time": 0.0}
        ids = [one["id"] for one in self.points]
        begin = ids.index(body["offset"]) if "offset" in body else 0
        page = self.points[begin : begin + body["limit"]]
        self.pages.append(len(page))
        behind = begin + len(page)
        shown = [self._shown(one, body["with_vector"]) for one in page]
        return self._result({"points": shown, "next_page_offset": ids[behind] if behind < len(ids) else None})

    @staticmethod
    def _shown(point: Mapping[str, Any], wanted: bool | list[str]) -> dict[str, Any]:
        shown = dict(point)
        if isinstance(wanted, list):
            shown["vector"] = {name: point["vector"][name] for name in wanted if name in point["vector"]}
        return shown

    @staticmethod
    def _result(result: Any) -> tuple[int, Any]:
        return 200, {"result": result, "status": "ok", "time": 0.0}
