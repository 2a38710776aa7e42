"""Which certificates servers of external models may have: public ones, and HANAX_UPSTREAM_CA_FILE's."""

from __future__ import annotations

import ssl
from pathlib import Path

import certifi

from hanax.core.errors import FailedPrecondition


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """For HTTP. Raises FailedPrecondition when the file can't be read."""
    # An image without certificates of its own has certifi's.
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError) as error:
            raise _unreadable(ca_file, error) from None
    return context


def grpc_certificates(ca_file: Path | None) -> bytes | None:
    """For gRPC, which trusts these alone; None: those that it brings along. Raises FailedPrecondition."""
    if ca_file is None:
        return None
    try:
        return Path(certifi.where()).read_bytes() + b"\n" + ca_file.read_bytes()
    except OSError as error:
        raise _unreadable(ca_file, error) from None


def _unreadable(ca_file: Path, error: Exception) -> FailedPrecondition:
    return FailedPrecondition(
        f"HANAX_UPSTREAM_CA_FILE: {ca_file} holds no certificates that can be read: {error}"
    )
