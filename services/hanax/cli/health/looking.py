"""One look at everything: the gateway, and the local stack where the gateway is its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from hanax.cli.connection import Connection
from hanax.cli.health.checks import Check, Status, overall
from hanax.cli.health.gateway import check_gateway
from hanax.cli.health.stack import check_stack
from hanax.local.layout import Layout
from hanax.local.state import read_state, running_supervisor

# Of each question: longer than a healthy gateway takes for any of them.
_TIMEOUT_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Look:
    """at: in UTC, RFC 3339."""

    at: str
    url: str
    checks: list[Check]

    @property
    def status(self) -> Status:
        return overall(self.checks)

    def told(self) -> dict[str, Any]:
        return {
            "status": self.status.value,
            "at": self.at,
            "url": self.url,
            "checks": [check.told() for check in self.checks],
        }


async def look(connection: Connection) -> Look:
    """Raises InvalidArgument for an address or key that can be none; what does not answer is told."""
    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    # As it is now: a gateway that is away is not waited for, nor one that hangs for long.
    async with connection.client(patience_s=0.0) as client:
        checks = await check_gateway(client.options(timeout_s=_TIMEOUT_S))
    layout = local_stack_of(connection)
    if layout is not None:
        checks += await check_stack(layout)
    return Look(at, connection.url, checks)


def local_stack_of(connection: Connection) -> Layout | None:
    """The stack on this machine whose gateway is meant."""
    layout = Layout.at(connection.data_dir)
    state = read_state(layout.state_file)
    if state is None or state.api_url != connection.url or running_supervisor(layout.lock_file) is None:
        return None
    return layout
