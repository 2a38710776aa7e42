# Written by scripts/gen_sdk.py from _async/opening.py; edit that, and run `make gen`.
"""The transport that a name stands for."""

from __future__ import annotations

from hxp_vector_client._sync.graphql_transport import GraphqlTransport
from hxp_vector_client._sync.rest import RestTransport
from hxp_vector_client._sync.transport import Transport
from hxp_vector_client.errors import InvalidArgument
from hxp_vector_client.grpc_settings import require_grpc
from hxp_vector_client.settings import Connection


def open_transport(transport: str | Transport, connection: Connection) -> Transport:
    """Raises InvalidArgument for a name or URL that is none, MissingExtra without the libraries of gRPC."""
    if not isinstance(transport, str):
        return transport
    if transport == "rest":
        return RestTransport(connection)
    if transport == "graphql":
        return GraphqlTransport(connection)
    if transport == "grpc":
        require_grpc()
        from hxp_vector_client._sync.grpc_transport import GrpcTransport

        return GrpcTransport(connection)
    raise InvalidArgument(f"transport: expected rest, grpc or graphql, got {transport!r}")
