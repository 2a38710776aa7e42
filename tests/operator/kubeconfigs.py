"""How to reach a cluster, as a kubeconfig says it."""

from __future__ import annotations

import base64
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Access:
    """`headers` hold the token, `trust` the certificates; None on plain HTTP."""

    url: str
    headers: Mapping[str, str]
    trust: ssl.SSLContext | None


def kubeconfig(url: str, token: str = "test") -> str:
    """One that leads to a server on this machine, whose certificate is its own."""
    cluster = {"server": url, **({"insecure-skip-tls-verify": True} if url.startswith("https:") else {})}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }
    )


def access(path: Path) -> Access:
    """Of the current context. Knows tokens and client certificates, not plugins that fetch them."""
    config = yaml.safe_load(path.read_text())
    context = _named(config["contexts"], config["current-context"])["context"]
    cluster = _named(config["clusters"], context["cluster"])["cluster"]
    user = _named(config["users"], context["user"])["user"]
    token = user.get("token") or (Path(user["tokenFile"]).read_text().strip() if "tokenFile" in user else "")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = cluster["server"].rstrip("/")
    if not url.startswith("https:"):
        return Access(url, headers, None)
    authority = _content(cluster, "certificate-authority", path.parent)
    trust = ssl.create_default_context(cadata=authority.decode() if authority else None)
    certificate = _content(user, "client-certificate", path.parent)
    key = _content(user, "client-key", path.parent)
    if certificate and key:
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder, name) for name in ("certificate", "key")]
            for file, content in zip(files, (certificate, key), strict=True):
                file.touch(mode=0o600)
                file.write_bytes(content)
            trust.load_cert_chain(str(files[0]), str(files[1]))
    return Access(url, headers, trust)


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


def _content(holder: Mapping[str, str], name: str, folder: Path) -> bytes:
    if data := holder.get(f"{name}-data"):
        return base64.b64decode(data)
    return (folder / holder[name]).read_bytes() if name in holder else b""
