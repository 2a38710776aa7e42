"""Channels of gRPC, used by threads. _async has a module of the same names, by hand."""

from __future__ import annotations

import grpc

from hxp_vector_client.grpc_settings import certificates, channel_options, target_of
from hxp_vector_client.settings import Connection

Channel = grpc.Channel


def open_channel(connection: Connection) -> Channel:
    """Not connected until the first call. Raises InvalidArgument."""
    target, secure = target_of(connection.url)
    if not secure:
        return grpc.insecure_channel(target, channel_options())
    return grpc.secure_channel(
        target, grpc.ssl_channel_credentials(certificates(connection)), channel_options()
    )
