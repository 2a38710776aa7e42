"""Names that a shell completes: of collections, models and services.

Asked while somebody presses a key: quickly, or not at all, and never with an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import typer

from hanax.cli.connection import Asking
from hanax.cli.reading_settings import read_settings
from hanax.core.errors import HanaxError
from hanax.core.settings import CommandSettings
from hanax.local.layout import Layout
from hxp_vector_client import AsyncVectorClient, VectorError

_PATIENCE_S: Final = 2.0


def collection_names(context: typer.Context, incomplete: str) -> list[str]:
    async def ask(client: AsyncVectorClient) -> list[str]:
        return [one.name for one in await client.collections.list()]

    return _beginning(incomplete, _asked(context, ask))


def model_names(context: typer.Context, incomplete: str) -> list[str]:
    async def ask(client: AsyncVectorClient) -> list[str]:
        return [one.model for one in await client.models.status()]

    return _beginning(incomplete, _asked(context, ask))


def service_names(incomplete: str) -> list[str]:
    """Those that have a log."""
    with suppress(HanaxError):
        logs = Layout.at(read_settings(CommandSettings).data_dir).logs
        return _beginning(incomplete, [path.stem for path in logs.glob("*.log")])
    return []


def _asked(context: typer.Context, ask: Callable[[AsyncVectorClient], Awaitable[list[str]]]) -> list[str]:
    given = {name: context.params.get(name) for name in ("api", "profile", "config", "api_key_file")}
    asking = Asking(**{name: value for name, value in given.items() if value})

    async def answered() -> list[str]:
        async with asking.connection().client(patience_s=0.0) as client, asyncio.timeout(_PATIENCE_S):
            return await ask(client)

    with suppress(HanaxError, VectorError, TimeoutError):
        return asyncio.run(answered())
    return []


def _beginning(incomplete: str, names: list[str]) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))
