"""The transport that a name stands for."""

from __future__ import annotations

from hxp_vector_client._async.graphql_transport import AsyncGraphqlTransport
from hxp_vector_client._async.rest import AsyncRestTransport
from hxp_vector_client._async.transport import AsyncTransport
from hxp_vector_client.errors import InvalidArgument
from hxp_vector_client.grpc_settings import require_grpc
from hxp_vector_client.settings import Connection


def open_transport(transport: str | AsyncTransport, connection: Connection) -> AsyncTransport:
    """Raises InvalidArgument for a name or URL that is none, MissingExtra without the libraries of gRPC."""
    if not isinstance(transport, str):
        return transport
    if transport == "rest":
        return AsyncRestTransport(connection)
    if transport == "graphql":
        return AsyncGraphqlTransport(connection)
    if transport == "grpc":
        require_grpc()
        from hxp_vector_client._async.grpc_transport import AsyncGrpcTransport

        return AsyncGrpcTransport(connection)
    raise InvalidArgument(f"transport: expected rest, grpc or graphql, got {transport!r}")
