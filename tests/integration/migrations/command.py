"""`hana-x-migrate` as tests run it: on a folder, a database and a gateway of their own."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from hanax.cli.failures import exit_code
from hanax.cli.migrate.app import app
from tests.integration.gateway.stack import Stack

_RUN = "from hanax.cli.migrate.app import main; main()"


class Migrations:
    """A folder of migrations, a database, and the command."""

    def __init__(self, folder: Path, stack: Stack, output: pytest.CaptureFixture[str]) -> None:
        self.stack = stack
        self._output = output
        self.folder = folder / "migrations"
        self.folder.mkdir()
        self.variables = {
            "HANAX_API_URL": stack.gateway.url,
            "HANAX_DATABASE_URL": f"sqlite:///{folder}/metadata.db",
        }

    def write(self, name: str, text: str) -> Path:
        path = self.folder / f"{name}.py"
        path.write_text(text)
        return path

    def start(self, *words: str) -> subprocess.Popen[str]:
        """In a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-c", _RUN, *words, "--dir", str(self.folder)],
            env={**self.variables, "HOME": str(self.folder), "PATH": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, code: int = 0) -> str:
        """What it says, on both streams; `code` is how it has to end."""
        self._output.readouterr()
        ended = exit_code(app, [*words, "--dir", str(self.folder)])
        told = self._output.readouterr()
        assert ended == code, told
        assert "Traceback" not in told.err
        return told.out + told.err

    def rows(self, code: int = 0) -> dict[str, str]:
        told = orjson.loads(self.run("status", "--format", "json", code=code))
        return {row["name"]: row["state"] for row in told}

    def collection(self, name: str) -> dict[str, Any] | None:
        answer = self.stack.client.get(f"/api/v1/collections/{name}")
        return None if answer.status_code == 404 else dict(self.stack.data(answer))

    def free_lock(self) -> None:
        """As if the time had passed for which its dead holder had it."""
        with sqlite3.connect(self.variables["HANAX_DATABASE_URL"].removeprefix("sqlite:///")) as database:
            database.execute("UPDATE migration_lock SET until_us = 0")
        database.close()
