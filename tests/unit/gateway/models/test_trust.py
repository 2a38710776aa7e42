"""A file of certificates that can't be used stops the start, and is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme

from hanax.core.errors import FailedPrecondition
from hanax.gateway.models.protocols.trust import grpc_certificates, tls_context


def test_the_files_certificates_are_trusted_beside_public_ones(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    pem = trustme.CA().cert_pem.bytes()
    file.write_bytes(pem)
    public = tls_context(None).cert_store_stats()["x509_ca"]
    assert public > 20
    assert tls_context(file).cert_store_stats()["x509_ca"] == public + 1
    certificates = grpc_certificates(file)
    assert certificates is not None
    assert certificates.endswith(pem)
    assert certificates.count(b"BEGIN CERTIFICATE") > 20
    assert grpc_certificates(None) is None


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_file_without_certificates_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(FailedPrecondition, match="HANAX_UPSTREAM_CA_FILE"):
        tls_context(file)
