"""Where a service follows the routing table: in a file, or in a ConfigMap of its cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from hanax.core.routing import RoutingTable
from hanax.core.settings import GatewaySettings, ShardSettings
from hanax.runtime.routing_file import RoutingFile


class RoutingSource(Protocol):
    """Hands each newer table to whom it was made for, from any thread, revisions ascending."""

    def start(self) -> None:
        """Take the table that is there now, before returning, and follow it from then on."""

    def look(self) -> None:
        """Take a newer table at once, if there is one."""

    def stop(self) -> None: ...


def routing_source(
    settings: ShardSettings | GatewaySettings, on_change: Callable[[RoutingTable], None]
) -> RoutingSource:
    """As the settings say. Raises FailedPrecondition for a ConfigMap outside of a cluster."""
    if not settings.routing_configmap:
        return RoutingFile(settings.routing_file, on_change)
    # One machine has no client of the Kubernetes API, and need not wait for its import.
    from hanax.runtime.cluster.api_server import ApiServer
    from hanax.runtime.cluster.routing_config_map import RoutingConfigMap

    server = ApiServer.find(settings.namespace)
    return RoutingConfigMap(server.http(), server.namespace, settings.routing_configmap, on_change)
