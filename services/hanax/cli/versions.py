"""Which versions run: of this program, of the gateway, and of the services of the local stack."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import httpx

import hanax
from hanax.cli.connection import Connection
from hanax.local.gateways import GATEWAY
from hanax.local.layout import Layout
from hanax.local.ports import LOOPBACK, join
from hanax.local.stack import BATCH
from hanax.local.state import StackState, read_state, running_supervisor
from hxp_vector_client import VectorError

_TIMEOUT_S: Final = 2.0
_SERVER: Final = "hana-x-vector/"


async def look_at_versions(connection: Connection) -> list[dict[str, Any]]:
    """component, version (None: not told), address and reason (why it is not told), the client first."""
    rows = [own_version()]
    try:
        async with connection.client(patience_s=0.0) as client:
            rows.append(_row("gateway", await client.version(), connection.url, None))
    except VectorError as error:
        rows.append(_row("gateway", None, connection.url, error.message))
    layout = Layout.at(connection.data_dir)
    state = read_state(layout.state_file)
    if state is not None and running_supervisor(layout.lock_file) is not None:
        services = [one.name for one in state.services if not one.name.startswith(GATEWAY)]
        rows += await asyncio.gather(*(_service(name, state) for name in services))
    return rows


def own_version() -> dict[str, Any]:
    return _row("client", hanax.__version__, None, None)


def status_address(name: str, state: StackState) -> str | None:
    """Where a service of the local stack, other than the gateway, tells its health and metrics."""
    port = state.ports.get(name if name == BATCH else f"{name}-metrics")
    return None if port is None else join(LOOPBACK, port)


async def _service(name: str, state: StackState) -> dict[str, Any]:
    address = status_address(name, state)
    if address is None:
        return _row(name, None, None, "its port is not known")
    try:
        async with httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as http:
            server = (await http.get(f"http://{address}/health")).headers.get("server", "")
    except httpx.TransportError as error:
        return _row(name, None, address, f"does not answer: {str(error) or type(error).__name__}")
    version = server.removeprefix(_SERVER) if server.startswith(_SERVER) else None
    return _row(name, version, address, None if version else "does not tell")


def _row(component: str, version: str | None, address: str | None, reason: str | None) -> dict[str, Any]:
    return {"component": component, "version": version, "address": address, "reason": reason}
