"""Where commands find the gateway and the metadata database."""

from __future__ import annotations

from typing import Final

from hanax.core.settings import LocalSettings
from hanax.local.layout import Layout
from hanax.local.state import read_state

_DEFAULT_API: Final = "http://127.0.0.1:8000"


def api_url(asked: str = "") -> str:
    """What is asked for, else HANAX_API_URL, else the local stack's where one runs, else the default."""
    settings = LocalSettings()
    if asked or settings.api_url:
        return asked or settings.api_url
    state = read_state(Layout.at(settings.data_dir).state_file)
    return state.api_url if state is not None else _DEFAULT_API


def database_url(asked: str = "") -> str:
    """What is asked for, else HANAX_DATABASE_URL, else the file of the local stack."""
    settings = LocalSettings()
    return asked or settings.database_url or f"sqlite:///{Layout.at(settings.data_dir).database_file}"
