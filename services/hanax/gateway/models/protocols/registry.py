"""All protocols of one gateway, on the connections that they share."""

from __future__ import annotations

from typing import Final

from hanax.core.model_routes import ModelProtocol
from hanax.core.routing import RoutingTable
from hanax.gateway.models.protocols.client import ProtocolClient
from hanax.gateway.models.protocols.connections import Connections, UpstreamOptions
from hanax.gateway.models.protocols.dialects import Cohere, Dialect, Ollama, OpenAI, Tei
from hanax.gateway.models.protocols.exchange import Exchange
from hanax.gateway.models.protocols.failures import Server
from hanax.gateway.models.protocols.over_grpc import OverGrpc
from hanax.gateway.models.protocols.over_http import OverHttp
from hanax.gateway.models.secrets import Secrets
from hanax.rpc.channels import Channels

__all__ = ["Protocols", "UpstreamOptions"]


class Protocols:
    """The channels are the caller's to close; HTTP connections are closed here."""

    def __init__(self, channels: Channels, secrets: Secrets, options: UpstreamOptions) -> None:
        self._secrets = secrets
        self._connections = Connections(options)
        exchange = Exchange(self._connections, secrets)
        self._dialects: Final[dict[ModelProtocol, Dialect]] = {
            "openai": OpenAI(),
            "tei": Tei(),
            "cohere": Cohere(),
            "ollama": Ollama(),
        }
        self._grpc = OverGrpc(channels, secrets)
        self._clients: dict[ModelProtocol, ProtocolClient] = {
            "grpc": self._grpc,
            **{name: OverHttp(dialect, exchange) for name, dialect in self._dialects.items()},
        }

    def of(self, protocol: ModelProtocol) -> ProtocolClient:
        return self._clients[protocol]

    def follow(self, table: RoutingTable) -> None:
        """Forget the addresses and secrets that a newer table no longer names. Requests to them end first."""
        places = {(model.name, address) for model in table.models for address in model.addresses}
        self._grpc.retain({address for _, address in places})
        self._connections.retain(places)
        endpoints = {Server(address, model).endpoint for model in table.models for address in model.addresses}
        for dialect in self._dialects.values():
            dialect.retain(endpoints)
        self._secrets.retain({model.secret for model in table.models if model.secret is not None})

    async def close(self) -> None:
        await self._connections.close()
