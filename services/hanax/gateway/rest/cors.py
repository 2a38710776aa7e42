"""Pages of other origins: those that are listed may call from a browser (the CORS protocol of Fetch).

Around everything else, so that refusals can be read there too, and preflights, which carry no key, are
answered. Cookies are never asked for.
"""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

_ASKED: Final = (
    "Accept-Encoding",
    "Authorization",
    "Cache-Control",
    "Content-Encoding",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Last-Event-ID",
    "X-API-Key",
    "X-Request-ID",
)
_TOLD: Final = (
    "Age",
    "ETag",
    "Idempotent-Replayed",
    "Link",
    "Location",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Retry-After",
    "Server-Timing",
    "X-Cache",
    "X-Request-ID",
)
# How long a browser may remember what was answered to a preflight.
_MAX_AGE_S: Final = 600


def install_cors(app: FastAPI, origins: tuple[str, ...]) -> None:
    """origins: `https://host` or `*`; none: pages of other origins get no answer that they could read."""
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=_ASKED,
            expose_headers=_TOLD,
            max_age=_MAX_AGE_S,
        )
