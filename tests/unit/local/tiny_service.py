"""A service as small as one can be: a port, /ready, a journal of what happened to it.

    python tiny_service.py NAME PORT JOURNAL MODE

MODE serve: as expected of a service; crash: end at once with status 3; stubborn: ignore SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")


def main(name: str, port: int, journal: Path, mode: str) -> int:
    def note(event: str) -> None:
        with journal.open("a") as file:
            file.write(f"{time.monotonic()} {event} {name} {os.getpid()}\n")

    note("start")
    if mode == "crash":
        return 3
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: None if mode == "stubborn" else ended.set())
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    while not ended.wait(1.0):
        pass
    server.shutdown()
    note("stop")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]))
