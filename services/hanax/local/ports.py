"""Ports of the services: chosen free once, kept for as long as nobody else takes them."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from hanax.core.errors import FailedPrecondition

LOOPBACK = "127.0.0.1"

_ATTEMPTS = 64


@dataclass(frozen=True)
class PortNeed:
    """`name` is the port's key in the book; `fixed` is the one it must have, 0 for any.

    shared: by several services of one book, which all listen on it with SO_REUSEPORT.
    """

    name: str
    host: str = LOOPBACK
    fixed: int = 0
    shared: bool = False


class PortBook:
    """The port of each need. Not for several threads at once."""

    def __init__(self, kept: Mapping[str, int]) -> None:
        self._ports = dict(kept)
        self._claimed: set[str] = set()

    def claim(self, need: PortNeed) -> int:
        """Return a port that can be listened on now: the fixed one, the kept one, or a new one.

        Raises FailedPrecondition when the fixed one is taken. Whoever asks should listen soon.
        """
        # Nobody else may have it when the first of ours comes: a second stack would take half of its clients.
        shared = need.shared and need.name in self._claimed
        self._claimed.add(need.name)
        if need.fixed:
            if not is_free(need.host, need.fixed, shared):
                raise FailedPrecondition(
                    f"port {need.fixed} on {need.host} is taken by another program; "
                    "stop that one or choose another port",
                    port=need.fixed,
                )
            return need.fixed
        kept = self._ports.get(need.name)
        if kept is None or not is_free(need.host, kept, shared):
            self._ports[need.name] = self._choose(need.host)
        return self._ports[need.name]

    def ports(self) -> dict[str, int]:
        return dict(self._ports)

    def _choose(self, host: str) -> int:
        for _ in range(_ATTEMPTS):
            with socket.socket(_family_of(host)) as probe:
                probe.bind((host, 0))
                port: int = probe.getsockname()[1]
            if port not in self._ports.values():
                return port
        raise FailedPrecondition(f"no free port was found on {host}")


def is_free(host: str, port: int, shared: bool = False) -> bool:
    """Whether a server may listen there, judged as servers do: old connections don't count.

    shared: beside others that share it.
    """
    with socket.socket(_family_of(host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def reachable(host: str) -> str:
    """The address at which this machine reaches a server that listens on `host`."""
    return {"0.0.0.0": LOOPBACK, "": LOOPBACK, "::": "::1"}.get(host, host)


def join(host: str, port: int) -> str:
    """host:port, as in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
