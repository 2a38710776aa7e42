"""Names that a shell completes: of collections, models and services.

Asked while somebody presses a key: quickly, or not at all, and never with an error.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

import typer

from hanax.cli.api import Api
from hanax.cli.connection import Asking
from hanax.cli.reading_settings import read_settings
from hanax.core.errors import HanaxError
from hanax.core.settings import CommandSettings
from hanax.local.layout import Layout

_PATIENCE_S: Final = 2.0


def collection_names(context: typer.Context, incomplete: str) -> list[str]:
    data = _asked(context, "/api/v1/collections")
    return _beginning(incomplete, [one["name"] for one in data["collections"]] if data else [])


def model_names(context: typer.Context, incomplete: str) -> list[str]:
    data = _asked(context, "/external/status")
    return _beginning(incomplete, [one["model"] for one in data["models"]] if data else [])


def service_names(incomplete: str) -> list[str]:
    """Those that have a log."""
    with suppress(HanaxError):
        logs = Layout.at(read_settings(CommandSettings).data_dir).logs
        return _beginning(incomplete, [path.stem for path in logs.glob("*.log")])
    return []


def _asked(context: typer.Context, path: str) -> Any:
    given = {name: context.params.get(name) for name in ("api", "profile", "config", "api_key_file")}
    asking = Asking(**{name: value for name, value in given.items() if value})

    async def ask(api: Api) -> Any:
        async with api, asyncio.timeout(_PATIENCE_S):
            return await api.get(path)

    with suppress(HanaxError, TimeoutError):
        return asyncio.run(ask(asking.connection().api(patience_s=0.0)))
    return None


def _beginning(incomplete: str, names: list[str]) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))
