"""/metrics, /health and /ready of the operator."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest


async def serve_health(
    host: str, port: int, is_alive: Callable[[], bool], is_ready: Callable[[], bool]
) -> web.AppRunner:
    """Ready: everything was listed once, so that webhooks and reconciles see what there is."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    def told(state: bool) -> web.Response:
        return web.json_response({"status": "ok" if state else "unavailable"}, status=200 if state else 503)

    async def health(_: web.Request) -> web.Response:
        return told(is_alive())

    async def ready(_: web.Request) -> web.Response:
        return told(is_ready())

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/health", health)
    app.router.add_get("/ready", ready)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner
