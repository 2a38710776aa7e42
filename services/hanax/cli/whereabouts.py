"""Where commands find the metadata database."""

from __future__ import annotations

from hanax.cli.reading_settings import read_settings
from hanax.core.settings import CommandSettings
from hanax.local.layout import Layout


def database_url(asked: str = "") -> str:
    """What is asked for, else HANAX_DATABASE_URL, else the file of the local stack."""
    settings = read_settings(CommandSettings)
    return asked or settings.database_url or f"sqlite:///{Layout.at(settings.data_dir).database_file}"
