"""The port of metrics and probes, whose callers may go at any moment."""

from __future__ import annotations

import socket
import struct
import threading
import urllib.request

import pytest
from prometheus_client import CollectorRegistry

from hanax.runtime.metrics_port import MetricsPort

_PATIENCE_S = 60.0


def test_a_probe_that_goes_before_its_answer_leaves_no_trace_in_the_log(
    capfd: pytest.CaptureFixture[str],
) -> None:
    asked, gone = threading.Event(), threading.Event()
    answering: list[threading.Thread] = []

    def is_ready() -> bool:
        answering.append(threading.current_thread())
        asked.set()
        return gone.wait(_PATIENCE_S)

    port = MetricsPort("127.0.0.1", 0, CollectorRegistry(), is_ready)
    port.start()
    try:
        with socket.create_connection(("127.0.0.1", port.port)) as probe:
            probe.sendall(b"GET /ready HTTP/1.1\r\nHost: shard\r\n\r\n")
            assert asked.wait(_PATIENCE_S)
            # Closed at once, not after what is still to come: the answer finds nobody.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.set()
        answering[0].join(_PATIENCE_S)
        assert not answering[0].is_alive()
        with urllib.request.urlopen(f"http://127.0.0.1:{port.port}/ready", timeout=_PATIENCE_S) as answer:
            assert answer.status == 200
    finally:
        port.stop()
    assert capfd.readouterr().err == ""
