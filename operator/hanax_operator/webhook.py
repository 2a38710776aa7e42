"""The validating webhook: HTTPS on every replica, for it must answer whoever leads.

The certificate is read from a folder, and read anew when it was renewed there.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from hanax_operator.admission import Admission

log = structlog.get_logger()

PATH = "/validate"
# The API server sends no object that is larger.
_MAX_BODY_BYTES = 4 * 1024 * 1024
_LOOK_FOR_RENEWAL_S = 60.0


class Webhook:
    def __init__(self, admission: Admission, certificates: Path) -> None:
        """Raises OSError or ssl.SSLError when the certificate can't be read."""
        self._admission = admission
        self._certificate = certificates / "tls.crt"
        self._key = certificates / "tls.key"
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._load()

    async def start(self, host: str, port: int) -> web.AppRunner:
        """Serve at https://host:port/validate. The runner's addresses tell the port."""
        app = web.Application(client_max_size=_MAX_BODY_BYTES)
        app.router.add_post(PATH, self._validate)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, host, port, ssl_context=self._context).start()
        return runner

    async def follow_renewals(self) -> None:
        """Take up a renewed certificate, until cancelled."""
        mark = self._certificate.stat().st_mtime_ns
        while True:
            await asyncio.sleep(_LOOK_FOR_RENEWAL_S)
            try:
                now = self._certificate.stat().st_mtime_ns
                if now != mark:
                    self._load()
                    mark = now
                    log.info("webhook certificate renewed")
            except (OSError, ssl.SSLError) as error:
                log.error("webhook certificate not renewed", error=str(error))

    def _load(self) -> None:
        # Connections that begin from now on get it.
        self._context.load_cert_chain(self._certificate, self._key)

    async def _validate(self, request: web.Request) -> web.Response:
        try:
            review: dict[str, Any] = await request.json()
            asked = review["request"]
            uid = asked["uid"]
        except (ValueError, KeyError, TypeError):
            return web.json_response({"error": "expected an AdmissionReview"}, status=400)
        refusal = await self._admission.review(asked)
        response: dict[str, Any] = {"uid": uid, "allowed": not refusal}
        if refusal:
            response["status"] = {"code": 422, "reason": "Invalid", "message": refusal}
        answer = {
            "apiVersion": review.get("apiVersion", "admission.k8s.io/v1"),
            "kind": "AdmissionReview",
            "response": response,
        }
        return web.json_response(answer)
