"""Where commands find the metadata database, and whose password they show it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hanax.cli.whereabouts import database_options
from hanax.metadata.engines import DatabaseOptions, Place

OWN = "postgresql://hanax@db/hanax"
OTHER = "postgresql://hanax@elsewhere/hanax"


@pytest.mark.parametrize(
    ("variable", "asked", "url", "has_password"),
    [
        (OWN, "", OWN, True),
        (OWN, OWN, OWN, True),
        (OWN, OTHER, OTHER, False),
        ("", OTHER, OTHER, True),
    ],
)
def test_the_password_is_shown_to_the_database_that_it_belongs_to(
    monkeypatch: pytest.MonkeyPatch, variable: str, asked: str, url: str, has_password: bool
) -> None:
    password = Path("/run/secrets/password")
    monkeypatch.setenv("HANAX_DATABASE_URL", variable)
    monkeypatch.setenv("HANAX_DATABASE_PASSWORD_FILE", str(password))
    assert database_options(asked) == DatabaseOptions(url, password if has_password else None)


def test_the_local_stack_may_be_in_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "100%25 mine?"
    monkeypatch.setenv("HANAX_DATA_DIR", str(folder))
    for name in ("HANAX_DATABASE_URL", "HANAX_DATABASE_PASSWORD_FILE"):
        monkeypatch.delenv(name, raising=False)
    assert Place.parse(database_options().url).path == folder / "metadata.db"
