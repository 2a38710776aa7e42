"""The validating webhook, asked over TLS by the API server: what CEL can't say is refused at apply."""

from __future__ import annotations

import asyncio
import base64
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hanax.core.resources.names import APP, APP_LABEL, GROUP, VERSION
from hanax.core.routing import Aliases
from hanax.core.routing_config_map import aliases_to_config_map_data
from tests.operator.api import Refused, path
from tests.operator.homes import ALIASES, Home, collection

Obj = dict[str, Any]


async def certify(folder: Path) -> Path:
    """A folder with tls.crt and tls.key for 127.0.0.1, that signed itself."""
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt"]
    command += ["ec_paramgen_curve:prime256v1"]
    command += ["-subj", "/CN=webhook", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    command += ["-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt")]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
    return folder


@asynccontextmanager
async def webhook(home: Home, folder: Path) -> AsyncIterator[None]:
    """An operator with a webhook, and an API server that asks it about this namespace."""
    certificates = await certify(folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with home.operator(WEBHOOK_CERT_DIR=certificates, WEBHOOK_PORT=port):
        await home.until(lambda: _listens(port), "the webhook listens")
        configuration = _configuration(home, port, (certificates / "tls.crt").read_bytes())
        await home.api.create(configuration)
        try:
            # An API server hears of its webhooks a moment later.
            await home.until(lambda: refuses(home, "films", embeddingModel="nobody"), "the webhook is asked")
            yield
        finally:
            name = configuration["metadata"]["name"]
            await home.api.delete("ValidatingWebhookConfiguration", name)


async def refuses(home: Home, name: str, **spec: Any) -> str:
    """Why such a collection would not be taken, empty where it would."""
    at = path("VectorCollection", home.namespace)
    try:
        await home.api.request("POST", at, collection(name, **spec), query={"dryRun": "All"})
    except Refused as refusal:
        return str(refusal)
    return ""


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _configuration(home: Home, port: int, authority: bytes) -> Obj:
    rule = {
        "apiGroups": [GROUP],
        "apiVersions": [VERSION],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["vectorcollections", "externalmodels"],
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": home.namespace},
        "webhooks": [
            {
                "name": f"validate.{GROUP}",
                "clientConfig": {
                    "url": f"https://127.0.0.1:{port}/validate",
                    "caBundle": base64.b64encode(authority).decode(),
                },
                "rules": [rule],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": home.namespace}},
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Fail",
                "timeoutSeconds": 10,
            }
        ],
    }


async def test_what_only_the_operator_knows_is_refused_at_apply(home: Home, tmp_path: Path) -> None:
    async with webhook(home, tmp_path):
        with pytest.raises(Refused, match="there is no ExternalModel 'small'") as unknown:
            await home.collect("films", embeddingModel="small")
        assert unknown.value.code in (403, 422)
        # As one apply of both brings them: the operator may not have heard of the model yet.
        await home.model("small", dimensions=8, endpoint={"url": "http://127.0.0.1:9", "protocol": "openai"})
        with pytest.raises(Refused, match=r"spec\.dimensions: expected 8"):
            await home.collect("films", embeddingModel="small")
        await home.collect("films", dimensions=8, embeddingModel="small")
        await home.ready("films")
        # Finalizers and status are written through it too.
        await home.change("films", {"targetRecall": 0.9})
        await home.ready("films")


async def test_a_name_that_is_an_alias_is_refused(home: Home, tmp_path: Path) -> None:
    async with webhook(home, tmp_path):
        await home.collect("films")
        await home.ready("films")
        aliases = Aliases(generation=1, collection_by_alias={"movies": "films"})
        metadata = {"name": ALIASES, "labels": {APP_LABEL: APP}}
        data = aliases_to_config_map_data(aliases)
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        await home.api.create(body, home.namespace)

        told = await home.until(lambda: refuses(home, "movies"), "the alias is known")
        assert "'movies' is an alias of collection 'films'" in told
