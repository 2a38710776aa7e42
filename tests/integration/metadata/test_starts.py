"""What a start of a service does not import: it is paid for by every restart, and by every local stack."""

from __future__ import annotations

import subprocess
import sys

import pytest

_IMPORTED = """
import asyncio, importlib, sys
for name in sys.argv[2:]:
    importlib.import_module(name)
from hanax.metadata.database import Database, DatabaseOptions
from hanax.metadata.upgrading import upgrade
async def main():
    database = Database(DatabaseOptions(sys.argv[1], timeout_s=60))
    await upgrade(database)
    await database.close()
asyncio.run(main())
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def _imported(url: str, *modules: str) -> set[str]:
    command = [sys.executable, "-c", _IMPORTED, url, *modules]
    told = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return set(told.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("module", "dear"),
    [
        (
            "hanax.batch_processor.process",
            {"alembic", "asyncpg", "pyarrow", "redis", "taskiq"},
        ),
        ("hanax.gateway.main", {"alembic", "asyncpg", "lightkube", "pyarrow", "redis"}),
    ],
)
def test_a_start_beside_a_database_of_this_version_imports_nothing_dear(
    tmp_path_factory: pytest.TempPathFactory, module: str, dear: set[str]
) -> None:
    url = f"sqlite:///{tmp_path_factory.mktemp('starts')}/metadata.db"
    # Whoever is first makes the tables.
    assert "alembic" in _imported(url)
    assert not dear & _imported(url, module)
