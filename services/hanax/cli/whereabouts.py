"""Where commands find the metadata database."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from hanax.cli.reading_settings import read_settings
from hanax.core.settings import CommandSettings
from hanax.local.layout import Layout

if TYPE_CHECKING:
    from hanax.metadata.engines import DatabaseOptions


def database_options(asked: str = "") -> DatabaseOptions:
    """What is asked for, else HANAX_DATABASE_URL, else the file of the local stack.

    HANAX_DATABASE_PASSWORD_FILE belongs to HANAX_DATABASE_URL, where there is one: no other server sees it.
    """
    # Of the metadata database alone: an import of a second.
    from hanax.metadata.engines import DatabaseOptions

    settings = read_settings(CommandSettings)
    if asked and asked != settings.database_url != "":
        return DatabaseOptions(asked)
    if url := asked or settings.database_url:
        return DatabaseOptions(url, settings.database_password_file)
    return DatabaseOptions(f"sqlite:///{quote(str(Layout.at(settings.data_dir).database_file))}")
