"""Where REST is listened for: the port of clients, and where gateways share it, a port of each alone."""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

from hanax.core.settings import GatewaySettings

_LOOPBACK: Final = "127.0.0.1"


def rest_sockets(settings: GatewaySettings) -> list[socket.socket]:
    """Bound, and not listening yet; the clients' first. Raises OSError."""
    ports = settings.gateway_worker_ports
    clients = _bound(settings.gateway_host, settings.gateway_port, shared=bool(ports))
    return [clients, *(_bound(_LOOPBACK, port, shared=False) for port in ports[:1])]


def _bound(host: str, port: int, shared: bool) -> socket.socket:
    listener = socket.socket(_family_of(host))
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            # The kernel divides connections over those that listen, by a hash of both ends.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def _family_of(host: str) -> socket.AddressFamily:
    try:
        is_v6 = ipaddress.ip_address(host).version == 6
    except ValueError:
        # A name.
        return socket.AF_INET
    return socket.AF_INET6 if is_v6 else socket.AF_INET
